"""Says how far training is: a bar on a terminal, plain lines elsewhere, a small file for others."""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from training.checkpoints import write_quickly

REPORT_SECONDS = 0.5


class ProgressFile:
    """``progress.json``: phase, done, total and the seconds left, replaced whole."""

    def __init__(self, path: Path, total: int) -> None:
        self._path = path
        self._total = total
        self._written = 0.0
        self._started: tuple[float, int] | None = None

    def report(self, phase: str, done: int, *, force: bool = False) -> None:
        """Write where the run is, at most twice a second unless forced."""
        now = time.monotonic()
        if self._started is None:
            self._started = (now, done)
        if not force and now - self._written < REPORT_SECONDS:
            return
        self._written = now
        line = {"phase": phase, "done": done, "total": self._total, "eta_s": self._eta(now, done)}
        write_quickly(self._path, json.dumps(line).encode())

    def _eta(self, now: float, done: int) -> float | None:
        since, first = self._started or (now, done)
        if done <= first:
            return None
        return round((now - since) / (done - first) * (self._total - done), 1)


class Display:
    """The same for eyes: a live bar with losses on a terminal, one plain line per epoch elsewhere."""

    def __init__(self, console: Console, total: int) -> None:
        self._console = console
        self._progress: Progress | None = None
        if console.is_terminal:
            self._progress = Progress(
                TextColumn("[bold]{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("steps · left"),
                TimeRemainingColumn(elapsed_when_finished=True),
                TextColumn("{task.fields[losses]}"),
                console=console,
            )
            self._task = self._progress.add_task("training", total=total, losses="")

    def __enter__(self) -> Self:
        """Show the bar."""
        if self._progress:
            self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar as it stands."""
        if self._progress:
            self._progress.stop()

    def step(self, phase: str, done: int, losses: Mapping[str, float]) -> None:
        """Move the bar and show the newest losses."""
        if self._progress:
            shown = "  ".join(f"{name} {value:.4g}" for name, value in losses.items())
            self._progress.update(self._task, completed=done, description=phase, losses=shown)

    def epoch(self, line: Mapping[str, object], epochs: int) -> None:
        """Say how an epoch went."""
        parts = [f"epoch {line['epoch']}/{epochs}", f"loss {line['loss']:.4f}"]
        if "valid_nll" in line:
            parts.append(f"valid nll {line['valid_nll']:.4f} elbo loss {line['valid_loss']:.4f}")
        parts.append(f"{line['seconds']:.1f} s")
        if line.get("best"):
            parts.append("best so far")
        self.say("  ".join(parts))

    def say(self, text: str) -> None:
        """Print one line, above the bar where there is one."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)
