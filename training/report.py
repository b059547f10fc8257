"""Tables for people: what was written, what was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from trajectories.dataset import Dataset


def describe(dataset: Dataset, folder: Path) -> Table:
    """Give a table of the splits of a dataset that was stored in ``folder``."""
    table = Table(title=f"{dataset.name} in {folder}", title_justify="left")
    for column in ("split", "sequences", "frames", "entities", "features", "labels"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for key, split in dataset.splits.items():
        lengths = sorted(set(split.lengths))
        table.add_row(
            key,
            str(len(split)),
            "–".join(str(length) for length in lengths[:: max(len(lengths) - 1, 1)]),
            str(len(dataset.entities)),
            " ".join(dataset.features),
            "yes" if split.relations is not None else "no",
        )
    table.caption = f"sha256 {dataset.fingerprint[:16]}…"
    return table


def evaluation_tables(result: Mapping[str, Any]) -> list[Table]:
    """Give the tables that sum up an ``evaluation.json``."""
    relations: Mapping[str, Any] = result["relations"]
    known = any("references" in split for split in relations.values())
    tables = [_relation_scores(relations)] if known else []
    tables.append(_usage(relations))
    tables += [_errors(forecast, result["steps"]) for forecast in result["forecasts"]]
    return [*tables, _coverage(result)]


def _table(title: str, *columns: str) -> Table:
    table = Table(
        title=title,
        title_justify="left",
        min_width=min(len(title), 78),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    for index, column in enumerate(columns):
        table.add_column(column, justify="right" if index else "left", no_wrap=True)
    return table


def _relation_scores(relations: Mapping[str, Any]) -> Table:
    columns = ("F1 publ.", "F1 aligned", "precision", "recall", "Brier", "ECE")
    table = _table("Relations (precision, recall, Brier, ECE: aligned)", "", *columns)
    for split, entry in relations.items():
        for estimator in ("posterior", "prior"):
            scores = entry[estimator]
            aligned, trust = scores["aligned"], scores["reliability"]
            numbers = [scores["published"]["f1"], aligned["f1"], aligned["precision"]]
            numbers += [aligned["recall"], trust["brier"], trust["ece"]]
            table.add_row(f"{split} {estimator}", *(f"{number:.3f}" for number in numbers))
        for name in entry["references"]["aligned"]:
            pair = (entry["references"][scoring][name] for scoring in ("published", "aligned"))
            label = f"{split} {name.replace('_', ' ')}"
            table.add_row(label, *(f"{number:.3f}" for number in pair), style="dim")
    return table


def _usage(relations: Mapping[str, Any]) -> Table:
    types = len(relations["test"]["posterior"]["usage"]["mean"])
    columns = (f"type {index}" for index in range(types))
    table = _table("Edge usage: mean probability (share where most probable)", "", *columns)
    for split, entry in relations.items():
        for estimator in ("posterior", "prior"):
            usage = entry[estimator]["usage"]
            cells = zip(usage["mean"], usage["most_probable"], strict=True)
            table.add_row(f"{split} {estimator}", *(f"{p:.3f} ({w:.3f})" for p, w in cells))
    return table


def _errors(forecast: Mapping[str, Any], steps: Sequence[int]) -> Table:
    shown = quoted(steps, len(forecast["mse"]["mean_of_paths"]))
    title = f"MSE on {forecast['windows']} test windows after {forecast['burn_in']} frames"
    table = _table(f"{title}, published units", "", *(f"step {step}" for step in shown))
    for name, errors in forecast["mse"].items():
        table.add_row(name.replace("_", " "), *(f"{errors[step - 1]:.2e}" for step in shown))
    return table


def _coverage(result: Mapping[str, Any]) -> Table:
    table = _table("Coverage of the bands on test", "burn-in", "50 %", "90 %")
    for forecast in result["forecasts"]:
        cells = [forecast["coverage"][level] for level in ("0.5", "0.9")]
        means = (sum(cell) / len(cell) for cell in cells)
        table.add_row(str(forecast["burn_in"]), *(f"{mean:.1%}" for mean in means))
    return table


def quoted(steps: Sequence[int], horizon: int) -> list[int]:
    """Give the quoted steps that a forecast of ``horizon`` steps reaches."""
    return [step for step in steps if step <= horizon]
