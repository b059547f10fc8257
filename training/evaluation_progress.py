"""Says how far an evaluation is: a bar on a terminal, ``progress.json`` for others."""

from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress

from training.progress import Pace, ProgressFile

PHASE = "evaluating"


class Counter:
    """Counts steps of windows while rollouts run."""

    def __init__(self, path: Path, console: Console, total: int) -> None:
        self._file = ProgressFile(path, Pace(total))
        self._bar = Progress(console=console, disable=not console.is_terminal)
        self._task = self._bar.add_task(PHASE, total=total)
        self._done = 0

    def __enter__(self) -> Self:
        """Show the bar."""
        self._bar.start()
        self._file.report(PHASE, 0, force=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the bar and the file as they stand."""
        self._bar.stop()
        self._file.report(PHASE, self._done, force=True)

    def advance(self, steps: int) -> None:
        """Count steps that were taken."""
        self._done += steps
        self._bar.update(self._task, completed=self._done)
        self._file.report(PHASE, self._done)
