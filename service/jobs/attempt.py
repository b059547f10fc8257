"""One worker's try at a job: progress out, cancellation in, checkpoints kept, heart beating."""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
from redis.exceptions import RedisError

from service.jobs.lease import Lease, Leases, Report
from service.jobs.record import Record
from service.jobs.store import Store, StoredFile
from service.jobs.terms import JobTerms

StopReason = Literal["cancel", "drain", "lost"]
DRAIN_FILE_VARIABLE = "RELATA_DRAIN_FILE"
ABANDONED_EXIT = 70

log = structlog.get_logger(__name__)


class Stopped(Exception):
    """The computation ended early because it was told to; ``partial`` is what it had finished."""

    def __init__(self, partial: "Answer | None" = None) -> None:
        """Carry the finished part, if there is one that makes sense alone."""
        super().__init__("stopped on request")
        self.partial = partial


@dataclass(frozen=True)
class Answer:
    """The result of a job, as its caller will get it."""

    body: bytes
    media_type: str


def end_process() -> None:
    """End this process at once: its computation does not listen, and its job is not its own."""
    os._exit(ABANDONED_EXIT)


def is_draining() -> bool:
    """Say whether this worker has been told to finish: its parent process leaves a file."""
    path = os.environ.get(DRAIN_FILE_VARIABLE)
    return bool(path) and Path(str(path)).exists()


class Attempt:
    """What a computation sees of its job. Enter it to start the heartbeat, leave it to stop."""

    def __init__(
        self,
        record: Record,
        request: str,
        lease: Lease,
        leases: Leases,
        store: Store,
        terms: JobTerms,
        abandon: Callable[[], None] = end_process,
    ) -> None:
        """Begin at the record's milestone; ``request`` is JSON.

        ``abandon`` ends a process whose computation does not listen.
        """
        self.record = record
        self.request = request
        self.milestone = record.milestone
        self.stop_reason: StopReason | None = None
        self._lease = lease
        self._leases = leases
        self._store = store
        self._terms = terms
        self._abandon = abandon
        self._checkpoint = record.checkpoint
        self._report = Report("running", "starting", record.done, max(record.total, 1), None)
        self._pace = Pace()
        self._stepped_at = time.monotonic()
        self._stopped_at = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._keep_beating, name="heartbeat", daemon=True)

    def __enter__(self) -> "Attempt":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(timeout=self._terms.beat_s + 1.0)

    def report(self, phase: str, done: int, total: int, eta_s: float | None = None) -> None:
        """Say that work goes on: ``done`` of ``total`` steps of ``phase``; cheap, call it often.

        The last step is only ever reported by the end of the job: 100 % means downloadable.
        """
        self._stepped_at = time.monotonic()
        if eta_s is None:
            eta_s = self._pace.eta_s(phase, done, total)
        shown = min(done, max(total - 1, 0))
        self._report = Report("running", phase, shown, total, eta_s)

    def finalize(self) -> None:
        """Say that the computation is done and its result is being stored."""
        total = self._report.total
        self._report = Report("finalizing", "storing", max(total - 1, 0), total, 0.0)
        self._beat()

    def should_stop(self) -> bool:
        """Say whether to stop now: cancelled, drained or no longer ours."""
        return self.stop_reason is not None

    def keep(self, milestone: int, body: bytes, media_type: str) -> None:
        """Store a checkpoint that a successor can go on from; it replaces the one before."""
        before = self._checkpoint
        name = f"checkpoint-{self._lease.fence}-{milestone}"
        self._checkpoint = self._store.write(self.record.ref, name, body, media_type)
        # Only what this attempt has replaced: a successor may be writing its own by now.
        if self.reach(milestone, self._checkpoint) and before is not None:
            self._store.drop(before)

    def stored_checkpoint(self) -> bytes:
        """Give the last stored checkpoint; only where ``record.checkpoint`` names one."""
        if self._checkpoint is None:
            raise ValueError("this job has no checkpoint yet")
        return self._store.read(self._checkpoint)

    def reach(self, milestone: int, checkpoint: StoredFile | None = None) -> bool:
        """Record durable progress; checkpoints that lie elsewhere need no file here."""
        self.milestone = max(milestone, self.milestone)
        self._stepped_at = time.monotonic()
        held = self._leases.advance(self._lease, self.milestone, checkpoint)
        if not held:
            self._stop("lost")
        return held

    def _keep_beating(self) -> None:
        while not self._over.wait(self._terms.beat_s):
            try:
                self._beat()
            except RedisError:
                log.exception("broker-away", job=str(self.record.ref))
            if self._is_deaf():
                log.error("attempt-abandoned", job=str(self.record.ref), reason=self.stop_reason)
                self._give_up()

    def _beat(self) -> None:
        if is_draining():
            self._stop("drain")
        verdict = self._leases.beat(self._lease, self._report)
        if verdict != "ok":
            self._stop("cancel" if verdict == "cancel" else "lost")

    def _stop(self, reason: StopReason) -> None:
        if self.stop_reason is None:
            self._stopped_at = time.monotonic()
        if self.stop_reason != "lost":
            self.stop_reason = reason

    def _is_deaf(self) -> bool:
        """Whether the computation ignores a stop, or has taken no step for too long."""
        now = time.monotonic()
        if self.stop_reason in ("cancel", "lost"):
            return now - self._stopped_at > self._terms.cancel_grace_s
        return now - self._stepped_at > self._terms.stall_s

    def _give_up(self) -> None:
        if self.stop_reason == "cancel":
            self._leases.finish(self._lease, "cancelled")
        self._over.set()
        self._abandon()


class Pace:
    """Tells from the steps of a phase so far how long the rest will take."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Start with no phase."""
        self._clock = clock
        self._phase = ""
        self._from = (0, 0.0)

    def eta_s(self, phase: str, done: int, total: int) -> float | None:
        """Give the seconds to the end of ``phase``, or None before its second step."""
        now = self._clock()
        if phase != self._phase or done < self._from[0]:
            self._phase, self._from = phase, (done, now)
            return None
        steps, seconds = done - self._from[0], now - self._from[1]
        if steps <= 0 or seconds <= 0:
            return None
        return seconds / steps * (total - done)
