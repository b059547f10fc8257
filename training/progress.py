"""Says how far training is: a bar on a terminal, plain lines elsewhere, a small file for others."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from training.checkpoints import write_quickly

REPORT_SECONDS = 0.5


class Pace:
    """How fast steps go since this process began, and hence how long the rest takes."""

    def __init__(self, total: int, done: int = 0) -> None:
        self.total = total
        self._first = done
        self._since = time.monotonic()

    def left(self, done: int) -> float | None:
        """Give the seconds left, or None while nothing was measured."""
        if done <= self._first:
            return None
        each = (time.monotonic() - self._since) / (done - self._first)
        return each * (self.total - done)


class ProgressFile:
    """``progress.json``: phase, done, total and the seconds left, replaced whole."""

    def __init__(self, path: Path, pace: Pace) -> None:
        self._path = path
        self._pace = pace
        self._written = 0.0

    def report(self, phase: str, done: int, *, force: bool = False) -> None:
        """Write where the run is, at most twice a second unless forced."""
        now = time.monotonic()
        if not force and now - self._written < REPORT_SECONDS:
            return
        self._written = now
        left = self._pace.left(done)
        line = {
            "phase": phase,
            "done": done,
            "total": self._pace.total,
            "eta_s": None if left is None else round(left, 1),
        }
        write_quickly(self._path, json.dumps(line).encode())


class Display:
    """The same for eyes: a live bar on a terminal, one plain line per epoch elsewhere."""

    def __init__(self, console: Console, pace: Pace) -> None:
        self._console = console
        self._pace = pace
        self._bar: Progress | None = None
        self._task = TaskID(0)
        if console.is_terminal:
            self._bar = Progress(
                TextColumn("[bold]{task.description:<10}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[left]}"),
                TextColumn("[dim]{task.fields[losses]}"),
                console=console,
            )
            self._task = self._bar.add_task("training", total=pace.total, left="", losses="")

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        if self._bar:
            self._bar.stop()

    def step(self, phase: str, done: int, losses: Mapping[str, float]) -> None:
        """Move the bar and show the newest losses."""
        if self._bar is None:
            return
        left = duration(self._pace.left(done))
        self._bar.update(self._task, completed=done, description=phase, left=f"{left} left")
        if losses:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
            self._bar.update(self._task, losses=shown)

    def epoch(self, line: Mapping[str, Any], epochs: int, done: int) -> None:
        """Say how an epoch went."""
        parts = [f"epoch {line['epoch']}/{epochs}", f"loss {line['loss']:.4f}"]
        if "valid_nll" in line:
            parts.append(f"valid nll {line['valid_nll']:.4f}  -elbo {line['valid_loss']:.4f}")
        parts.append(f"{line['seconds']:.1f} s, {duration(self._pace.left(done))} left")
        if line.get("best"):
            parts.append("best so far")
        self.say("  ".join(parts))

    def say(self, text: str) -> None:
        """Print one line, above the bar where there is one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)


def duration(seconds: float | None) -> str:
    """Give a length of time as people say it: ``45 s``, ``12 min``, ``3 h 20 min``."""
    if seconds is None:
        return "?"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
