"""The learning curves of a run, as a table and as a picture."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.checkpoints import write_atomically

COLUMNS = (
    "epoch",
    "loss",
    "nll",
    "kl_learned",
    "kl_average",
    "valid_loss",
    "valid_nll",
    "valid_kl_learned",
    "valid_kl_average",
    "learning_rate",
    "seconds",
)
_PANELS = (("nll", "Error of the next frame (NLL)"), ("kl_learned", "KL to the learned prior"))


def write_table(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    """Write one CSV row per epoch; losses that were not measured stay empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_atomically(path, text.getvalue().encode())


def draw(path: Path, lines: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draw training and validation losses over epochs, with the best epoch marked, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    axes: Any = figure.subplots(1, len(_PANELS))
    for panel, (key, label) in zip(axes, _PANELS, strict=True):
        _panel(panel, lines, key, label)
    axes[0].legend(frameon=False, fontsize=9)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=130)
    write_atomically(path, image.getvalue())


def _panel(panel: Any, lines: Sequence[Mapping[str, Any]], key: str, label: str) -> None:
    train = [(line["epoch"], line[key]) for line in lines]
    valid = [(line["epoch"], line[f"valid_{key}"]) for line in lines if f"valid_{key}" in line]
    panel.plot(*zip(*train, strict=True), color="#9aa5b1", lw=1.6, label="training")
    if valid:
        panel.plot(*zip(*valid, strict=True), color="#0b6e99", lw=1.8, label="validation")
    best = [line["epoch"] for line in lines if line.get("best")]
    if best:
        panel.axvline(best[-1], color="#d1495b", lw=1, ls=(0, (4, 3)), label=f"best ({best[-1]})")
    panel.set_yscale("symlog", linthresh=_threshold([value for _, value in [*train, *valid]]))
    panel.set_title(label, loc="left", fontsize=10)
    panel.set_xlabel("epoch", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.grid(alpha=0.25, lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _threshold(values: Sequence[float]) -> float:
    """Give the size below which the axis is linear, so that falling below zero stays readable."""
    sizes = sorted(abs(value) for value in values)
    return max(sizes[len(sizes) // 4], 1e-6)
