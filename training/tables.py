"""Results as markdown: every seed a row, mean ± standard error below, baselines beside.

A run that is missing is not left out: its row says ``not run`` and the command that fills it.
"""

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from training.errors import ConfigError
from training.report import quoted

Result = Mapping[str, Any]
Runs = Mapping[tuple[str, int], Result]
Cell = Callable[[Result], float]


@dataclass(frozen=True)
class Experiment:
    """One experiment of a table and the seeds that must be there."""

    name: str
    seeds: tuple[int, ...]


TABLES: Mapping[str, tuple[Experiment, ...]] = {
    "push3": (Experiment("push3-published", (1, 2, 3, 4, 5)), Experiment("push3", (1, 2, 3))),
    "walk35": (Experiment("walk35-published", (1,)), Experiment("walk35", (1,))),
}


@dataclass(frozen=True)
class Section:
    """One markdown table: a heading, columns, how to print numbers, and rows that need no model.

    Attributes:
        heading: Text above.
        columns: Title and value of each column.
        form: Format of a number, such as ``.3f``.
        variants: Several rows per run: a name, and the key that ``columns`` are asked under.
        references: Name and cells of rows that any one run can give.
    """

    heading: str
    columns: Sequence[tuple[str, Callable[[Result, str], float]]]
    form: str
    variants: Mapping[str, str]
    references: Mapping[str, str]


def find_evaluations(root: Path) -> Runs:
    """Give the ``evaluation.json`` files in run folders under ``root`` by experiment and seed."""
    found: dict[tuple[str, int], Result] = {}
    places: dict[tuple[str, int], Path] = {}
    for path in sorted([*root.glob("*/evaluation.json"), *root.glob("*/*/evaluation.json")]):
        result: Result = json.loads(path.read_text(encoding="utf-8"))
        key = (str(result["experiment"]), int(result["seed"]))
        if key in found:
            raise ConfigError(
                f"{key[0]} with seed {key[1]} in {places[key].parent} and in {path.parent}",
                "one run per experiment and seed",
                "move one of the two out of the way",
            )
        found[key], places[key] = result, path
    return found


def results(name: str, runs: Runs, root: Path) -> str:
    """Give the markdown of one table."""
    experiments = TABLES[name]
    own = [
        runs[one.name, seed]
        for one in experiments
        for seed in one.seeds
        if (one.name, seed) in runs
    ]
    if not own:
        return "\n".join(_missing(one, seed, root) for one in experiments for seed in one.seeds)
    parts = [_markdown(section, experiments, runs, root, own[0]) for section in _sections(own[0])]
    return "\n\n".join(parts)


def written_into(document: Path, name: str, text: str) -> str:
    """Give the document with the part between the table's two marks replaced."""
    start, end = f"<!-- table {name} -->", f"<!-- end of table {name} -->"
    old = document.read_text(encoding="utf-8") if document.is_file() else ""
    if old.count(start) != 1 or old.count(end) != 1 or old.index(end) < old.index(start):
        raise ConfigError(f"{document} without the marks of table {name}", f"{start} … {end}")
    head, rest = old.split(start)
    return f"{head}{start}\n{text}\n{end}{rest.split(end)[1]}"


def _sections(sample: Result) -> Iterator[Section]:
    yield _training_section()
    if "references" in sample["relations"]["test"]:
        yield _relation_section()
    for index, forecast in enumerate(sample["forecasts"]):
        yield _forecast_section(sample, index, forecast)


def _training_section() -> Section:
    def fact(key: str) -> Callable[[Result, str], float]:
        return lambda result, _: float(result["training"][key])

    return Section(
        heading="Training. The weights are those of the best epoch (`selection` in the config).",
        columns=[
            ("epochs", fact("epochs")),
            ("planned", fact("planned_epochs")),
            ("best epoch", fact("best_epoch")),
            ("its validation loss", fact("best_valid_loss")),
            ("hours", fact("hours")),
        ],
        form=".4g",
        variants={"": ""},
        references={},
    )


def _relation_section() -> Section:
    def score(split: str, estimator: str, scoring: str) -> Callable[[Result, str], float]:
        def value(result: Result, reference: str) -> float:
            entry = result["relations"][split]
            if reference:
                return float(entry["references"][scoring][reference])
            return float(entry[estimator][scoring]["f1"])

        return value

    def trust(estimator: str, key: str) -> Callable[[Result, str], float]:
        def value(result: Result, reference: str) -> float:
            if reference:
                return float("nan")
            return float(result["relations"]["test"][estimator]["reliability"][key])

        return value

    return Section(
        heading="Relations. F1 on validation as published (posterior, label t against relation t), "
        "and on test time-aligned; Brier score and calibration error of p on test, aligned.",
        columns=[
            ("F1 valid posterior, published", score("valid", "posterior", "published")),
            ("F1 test posterior, aligned", score("test", "posterior", "aligned")),
            ("F1 test prior, aligned", score("test", "prior", "aligned")),
            ("Brier posterior", trust("posterior", "brier")),
            ("ECE posterior", trust("posterior", "ece")),
            ("Brier prior", trust("prior", "brier")),
            ("ECE prior", trust("prior", "ece")),
        ],
        form=".3f",
        variants={"": ""},
        references={
            "every pair always": "all",
            "best static graph": "static_oracle",
            "perfect model": "perfect",
        },
    )


def _forecast_section(sample: Result, index: int, forecast: Result) -> Section:
    def error(step: int) -> Callable[[Result, str], float]:
        return lambda result, name: float(result["forecasts"][index]["mse"][name][step - 1])

    shown = quoted(sample["steps"], len(forecast["mse"]["mean_of_paths"]))
    return Section(
        heading=f"Forecasts after {forecast['burn_in']} frames. MSE on {forecast['windows']} test "
        "windows in published units (training extremes are −1 and 1), over all features.",
        columns=[(f"step {step}", error(step)) for step in shown],
        form=".2e",
        variants={
            f", mean over {forecast['paths']} single paths": "single_path",
            f", mean of {forecast['paths']} paths": "mean_of_paths",
        },
        references={
            key.replace("_", " "): key
            for key in ("constant_velocity", "last_value")
            if key in forecast["mse"]
        },
    )


def _markdown(
    section: Section, experiments: Sequence[Experiment], runs: Runs, root: Path, sample: Result
) -> str:
    titles = ["", *(title for title, _ in section.columns)]
    lines = [section.heading, "", _row(titles), _row(["---"] + ["---:"] * len(section.columns))]
    for experiment in experiments:
        lines += _experiment_rows(section, experiment, runs, root)
    for title, key in section.references.items():
        lines.append(
            _row(
                [title, *(_number(cell(sample, key), section.form) for _, cell in section.columns)]
            )
        )
    return "\n".join(lines)


def _experiment_rows(
    section: Section, experiment: Experiment, runs: Runs, root: Path
) -> Iterator[str]:
    found = [runs[experiment.name, s] for s in experiment.seeds if (experiment.name, s) in runs]
    for seed in experiment.seeds:
        if (experiment.name, seed) not in runs:
            blanks = [""] * (len(section.columns) - 1)
            yield _row(
                [f"{experiment.name}, seed {seed}", _missing(experiment, seed, root), *blanks]
            )
            continue
        for suffix, key in section.variants.items():
            values = [cell(runs[experiment.name, seed], key) for _, cell in section.columns]
            cells = [_number(value, section.form) for value in values]
            yield _row([f"{experiment.name}, seed {seed}{suffix}", *cells])
    if len(found) > 1:
        for suffix, key in section.variants.items():
            cells = [
                _mean([cell(result, key) for result in found], section.form)
                for _, cell in section.columns
            ]
            yield _row([f"**{experiment.name}, {len(found)} seeds**{suffix}", *cells])


def _missing(experiment: Experiment, seed: int, root: Path) -> str:
    folder = root / experiment.name
    return (
        f"not run: `python -m training train {experiment.name} --run {folder} --seeds {seed} && "
        f"python -m training evaluate {folder}/seed-{seed}`"
    )


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float, form: str) -> str:
    return "" if value != value else format(value, form)


def _mean(values: Sequence[float], form: str) -> str:
    error = statistics.stdev(values) / len(values) ** 0.5
    return f"{statistics.fmean(values):{form}} ± {error:{form}}"
