"""Runs the phases of a long job one by one, each a supervised child that can be taken up again."""

import json
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from service.errors import RuntimeFailure
from service.jobs.attempt import Attempt, Stopped
from service.tasks.child import POLL_S, Child, FolderLock

DRAIN_GRACE_S = 15.0
"""What a child may take to save a checkpoint when its worker is told to finish."""
CANCEL_GRACE_S = 0.5
SIGNALLED_STATUS = 128
ENDINGS = (signal.SIGTERM, signal.SIGINT)
STATUS_OF_SIGNAL = frozenset(SIGNALLED_STATUS + number for number in ENDINGS)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Phase:
    """One command of a job; ``milestone`` counts what it has made durable so far."""

    name: str
    command: Sequence[str]
    is_done: Callable[[], bool]
    milestone: Callable[[], int]


class Phases:
    """Carries out phases in one folder; a child that is killed goes on where it was."""

    def __init__(self, attempt: Attempt, folder: Path, most_deaths: int) -> None:
        """Work in ``folder``, where children write ``progress.json``."""
        self._attempt = attempt
        self._folder = folder
        self._most_deaths = most_deaths
        self._lock = FolderLock(folder.with_suffix(".lock"))
        self._told: bytes = b""

    def run(self, phases: Sequence[Phase]) -> None:
        """Do all phases that are not done yet.

        Raises:
            Stopped: told to stop; what was finished stays in the folder.
            RuntimeFailure: a child failed, or was killed too often without progress.
        """
        try:
            if not self._lock.take(self._attempt.should_stop):
                raise Stopped
            self._folder.mkdir(parents=True, exist_ok=True)
            for phase in phases:
                if not phase.is_done():
                    self._finish(phase)
                self._attempt.reach(phase.milestone())
        finally:
            self._lock.release()

    def _finish(self, phase: Phase) -> None:
        deaths, reached = 0, phase.milestone()
        while True:
            with Child(phase.command, self._folder.with_suffix(".log"), self._lock) as child:
                status = self._watch(child, phase)
                last_words = child.last_words()
            if status == 0:
                return
            if status > 0 and status not in STATUS_OF_SIGNAL:
                raise _failed(phase, status, last_words)
            deaths = 1 if phase.milestone() > reached else deaths + 1
            reached = phase.milestone()
            log.warning("child-killed", phase=phase.name, status=status, deaths=deaths)
            if deaths >= self._most_deaths:
                raise _killed(phase, status, deaths)

    def _watch(self, child: Child, phase: Phase) -> int:
        while True:
            status = child.wait(POLL_S)
            if status is not None:
                return status
            if self._attempt.should_stop():
                is_drain = self._attempt.stop_reason == "drain"
                child.stop(DRAIN_GRACE_S if is_drain else CANCEL_GRACE_S)
                raise Stopped
            self._pass_on(phase)

    def _pass_on(self, phase: Phase) -> None:
        """Tell the job what the child has written about itself, if that is news."""
        told = _read(self._folder / "progress.json")
        if told == self._told:
            return
        self._told = told
        milestone = phase.milestone()
        if milestone > self._attempt.milestone:
            self._attempt.reach(milestone)
        try:
            seen: dict[str, Any] = json.loads(told)
        except json.JSONDecodeError:
            return
        self._attempt.report(
            str(seen["phase"]), int(seen["done"]), int(seen["total"]), seen.get("eta_s")
        )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _failed(phase: Phase, status: int, last_words: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"{phase.name} ended with status {status}; its last line was: {last_words}",
        code="training-failed",
        fix="Correct what it names and submit the job again.",
    )


def _killed(phase: Phase, status: int, deaths: int) -> RuntimeFailure:
    ending = signal.Signals(-status).name if status < 0 else f"status {status}"
    return RuntimeFailure(
        f"{phase.name} was killed {deaths} times in a row without progress, at last by {ending}",
        code="training-killed",
        fix="Give the worker more memory, or train a smaller model; then submit the job again.",
    )
