"""Tables of the demo: who acted on whom and when, and how good the forecast was."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.table import Table

from service.demo.recordings import Exhibit, Floats, Truth

STRONGEST = 12
SURE = 0.5
FOLLOWED_STEPS = (1, 5, 10, 20, 40)

Flags = npt.NDArray[np.bool_]


def strengths(answer: dict[str, Any]) -> Floats:
    """Give the probability ``[F, E]`` that any relation holds; NaN where a pair is absent."""
    missing = [float("nan")] * len(answer["relation_types"])
    rows = [[missing if row is None else row for row in frame] for frame in answer["probabilities"]]
    probabilities = np.array(rows, np.float64)
    none_type = answer["none_type"]
    if none_type is None:
        return probabilities.max(axis=-1)
    return 1.0 - probabilities[..., none_type]


def relation_table(exhibit: Exhibit, answer: dict[str, Any]) -> Table:
    """Give the relations: every pair with the truth beside it, or the strongest ones."""
    if exhibit.truth is not None:
        return _against_truth(answer, exhibit.truth)
    return _strongest(answer)


def agreement(answer: dict[str, Any], truth: Truth) -> float:
    """Give the F1 score of the relations: inferred where more likely than not, against the truth.

    Both are taken at the frames of the answer.
    """
    acting, really = strengths(answer) > SURE, _really(answer, truth)
    hits = int((acting & really).sum())
    return 2 * hits / max(int(acting.sum() + really.sum()), 1)


def _against_truth(answer: dict[str, Any], truth: Truth) -> Table:
    strength, really = strengths(answer), _really(answer, truth)
    table = Table(title="Who pushes whom, and in which frames", title_justify="left")
    for heading in ("relation", "inferred", "really", "surest"):
        table.add_column(heading, justify="right" if heading == "surest" else "left")
    for pair, (source, target) in enumerate(zip(answer["sources"], answer["targets"], strict=True)):
        column = strength[:, pair]
        table.add_row(
            f"{source} → {target}",
            _spans(column > SURE, answer["frames"]),
            _spans(really[:, pair], answer["frames"]),
            f"{np.nanmax(column):.2f}",
        )
    return table


def _strongest(answer: dict[str, Any]) -> Table:
    strength = strengths(answer)
    mean = np.nanmean(strength, axis=0)
    table = Table(title=f"The {STRONGEST} strongest relations", title_justify="left")
    for heading in ("source", "target", "mean p", "surest", "mostly in frames"):
        table.add_column(heading, justify="right" if heading in ("mean p", "surest") else "left")
    for pair in np.argsort(-mean, kind="stable")[:STRONGEST]:
        column = strength[:, pair]
        table.add_row(
            answer["sources"][pair],
            answer["targets"][pair],
            f"{mean[pair]:.2f}",
            f"{np.nanmax(column):.2f}",
            _spans(column > SURE, answer["frames"]),
        )
    return table


def errors(exhibit: Exhibit, forecast: dict[str, Any]) -> dict[str, Floats]:
    """Give the mean distance to the truth by step, ``[H]``, of the forecast and of baselines."""
    mean = np.array(forecast["mean"], np.float64)
    truth = exhibit.values[exhibit.given : exhibit.given + len(mean)]
    last = np.repeat(exhibit.values[exhibit.given - 1][None], len(mean), axis=0)
    rivals = {"this model": mean}
    rivals |= {
        name.replace("_", " "): np.array(values, np.float64)
        for name, values in forecast["baseline"].items()
    }
    rivals.setdefault("last value", last)
    return {name: _distance(values, truth) for name, values in rivals.items()}


def error_table(by_step: dict[str, Floats], unit: str) -> Table:
    """Give the errors at a few steps."""
    horizon = len(next(iter(by_step.values())))
    steps = [step for step in FOLLOWED_STEPS if step <= horizon]
    title = f"Forecast error: mean distance to what really happened, in {unit}"
    table = Table(title=title, title_justify="left")
    table.add_column("after so many steps")
    for step in steps:
        table.add_column(str(step), justify="right")
    for name, distances in by_step.items():
        table.add_row(name, *(f"{distances[step - 1]:.3g}" for step in steps))
    return table


def _distance(values: Floats, truth: Floats) -> Floats:
    return np.sqrt(((values - truth) ** 2).sum(axis=-1)).mean(axis=-1)


def _really(answer: dict[str, Any], truth: Truth) -> Flags:
    """Give whether each relation of the answer really held, ``[F, E]``."""
    known = {pair: i for i, pair in enumerate(zip(truth.sources, truth.targets, strict=True))}
    columns = [known[pair] for pair in zip(answer["sources"], answer["targets"], strict=True)]
    frames = np.minimum(np.array(answer["frames"]), len(truth.types) - 1)
    return truth.types[frames][:, columns] > 0


def _spans(holds: Flags, frames: Sequence[int]) -> str:
    """Give the frames in which something holds, as in ``3-9, 14``."""
    spans: list[list[int]] = []
    for frame, is_so in zip(frames, holds, strict=True):
        if not is_so:
            continue
        if spans and spans[-1][1] == frame - 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    texts = [str(a) if a == b else f"{a}-{b}" for a, b in spans]
    return ", ".join(texts[:4]) + (", …" if len(texts) > 4 else "") or "–"
