"""The learning curves of a run, as a table and as a picture."""

import csv
import io
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.checkpoints import write_quickly

Lines = Sequence[Mapping[str, Any]]

COLUMNS: tuple[str, ...] = (
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
_PANELS = (
    ("nll", "error of the next frame (NLL)"),
    ("kl_learned", "divergence from the learned prior (KL)"),
)
_TRAIN, _VALID, _BEST = "#9aa5b1", "#0b6e99", "#d1495b"


class Curves:
    """``curves.csv`` and ``curves.png`` in a run folder, redrawn as epochs pass."""

    SHARE = 0.02
    """Part of the time that drawing may take."""

    def __init__(self, folder: Path, title: str) -> None:
        self._folder = folder
        self._title = title
        self._next = 0.0

    def update(self, lines: Lines, *, force: bool = False) -> None:
        """Write the table, and the picture unless it was drawn a moment ago."""
        write_table(self._folder / "curves.csv", lines)
        started = time.monotonic()
        if lines and (force or started >= self._next):
            draw(self._folder / "curves.png", lines, self._title)
            ended = time.monotonic()
            self._next = ended + (ended - started) / self.SHARE


def write_table(path: Path, lines: Lines) -> None:
    """Write one CSV row per epoch; losses that were not measured stay empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    write_quickly(path, text.getvalue().encode())


def draw(path: Path, lines: Lines, title: str) -> None:
    """Draw training and validation losses over epochs, with the best epoch marked, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    axes: Any = figure.subplots(1, len(_PANELS))
    for panel, (key, label) in zip(axes, _PANELS, strict=True):
        _panel(panel, lines, key, label)
    axes[0].legend(frameon=False, fontsize=9)
    image = io.BytesIO()
    figure.savefig(image, format="png", dpi=130)
    write_quickly(path, image.getvalue())


def _panel(panel: Any, lines: Lines, key: str, label: str) -> None:
    train = _series(lines, key)
    valid = _series(lines, f"valid_{key}")
    mark = "o" if len(train[0]) < 3 else None
    panel.plot(*train, color=_TRAIN, lw=1.6, marker=mark, label="training")
    panel.plot(*valid, color=_VALID, lw=1.8, marker=mark, label="validation")
    best = [line["epoch"] for line in lines if line.get("best")]
    if best:
        panel.axvline(best[-1], color=_BEST, lw=1, ls=(0, (4, 3)), label=f"best: epoch {best[-1]}")
    panel.set_ylim(*_limits([*train[1], *valid[1]]))
    panel.set_title(label, loc="left", fontsize=10)
    panel.set_xlabel("epoch", fontsize=9)
    panel.tick_params(labelsize=8)
    panel.xaxis.get_major_locator().set_params(integer=True)
    panel.grid(alpha=0.25, lw=0.6)
    panel.spines[["top", "right"]].set_visible(False)


def _series(lines: Lines, key: str) -> tuple[list[int], list[float]]:
    chosen = [line for line in lines if key in line]
    return [line["epoch"] for line in chosen], [line[key] for line in chosen]


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Give bounds that show the bulk of a long curve: its steep first epochs leave the picture."""
    ordered = sorted(values)
    low = ordered[0]
    high = ordered[int(0.94 * (len(ordered) - 1))] if len(ordered) > 40 else ordered[-1]
    margin = 0.06 * (high - low) or 0.5
    return low - margin, high + margin
