"""The worker's side of a job: claim it, keep it, advance it, end it or hand it back."""

import json
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from service.errors import RuntimeFailure
from service.jobs import scripts
from service.jobs.connection import Database, Value
from service.jobs.keys import JobRef
from service.jobs.record import Clock, Record, script_keys
from service.jobs.store import StoredFile
from service.jobs.terms import JobTerms

Outcome = Literal["claimed", "busy", "over", "exhausted", "unknown"]
Verdict = Literal["ok", "cancel", "lost"]
FinalState = Literal["succeeded", "failed", "cancelled"]


@dataclass(frozen=True)
class Lease:
    """The right to work on a job; void as soon as somebody else's fence is higher."""

    ref: JobRef
    token: str
    fence: int


@dataclass(frozen=True)
class Report:
    """Where a worker is; ``eta_s`` None while it cannot be told."""

    state: Literal["running", "finalizing"]
    phase: str
    done: int
    total: int
    eta_s: float | None


class Leases:
    """Claims and everything that needs one. All calls may be repeated without harm."""

    def __init__(self, database: Database, terms: JobTerms, clock: Clock = time.time) -> None:
        """Use ``terms`` for lengths and limits; the lease itself is timed by Redis, not here."""
        self._database = database
        self._terms = terms
        self._clock = clock

    def claim(self, record: Record, worker: str) -> tuple[Outcome, Lease | None]:
        """Try to take the job; only ``claimed`` comes with a lease."""
        token = secrets.token_hex(8)
        outcome, fence = self._run(
            scripts.CLAIM,
            record.ref,
            token,
            worker,
            self._lease_ms,
            self._terms.most_deaths,
            self._terms.keep_s,
            json.dumps(obituary(record, self._terms.most_deaths)),
        )
        lease = Lease(record.ref, token, fence) if outcome == "claimed" else None
        return cast("Outcome", outcome), lease

    def beat(self, lease: Lease, report: Report) -> Verdict:
        """Renew the lease and report progress; hear whether to go on."""
        eta = "" if report.eta_s is None else f"{report.eta_s:.1f}"
        return cast(
            "Verdict",
            self._run(
                scripts.BEAT,
                lease.ref,
                *(lease.token, lease.fence, self._lease_ms),
                *(report.state, report.phase, report.done, report.total, eta),
            ),
        )

    def advance(self, lease: Lease, milestone: int, checkpoint: StoredFile | None) -> bool:
        """Record durable progress; false if the lease is lost."""
        pointer = checkpoint.to_json() if checkpoint else ""
        verdict = self._run(
            scripts.ADVANCE,
            lease.ref,
            *(lease.token, lease.fence, self._lease_ms, milestone, pointer),
        )
        return verdict == "ok"

    def finish(
        self,
        lease: Lease,
        state: FinalState,
        *,
        result: StoredFile | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> bool:
        """End the job; false if the lease is lost, and then nothing has changed."""
        verdict = self._run(
            scripts.FINISH,
            lease.ref,
            *(lease.fence, state, self._terms.keep_s),
            result.to_json() if result else "",
            json.dumps(error) if error else "",
        )
        return verdict == "ok"

    def release(self, lease: Lease) -> bool:
        """Hand the job back; the attempt does not count."""
        return self._run(scripts.RELEASE, lease.ref, lease.fence, self._terms.keep_s) == "ok"

    @property
    def _lease_ms(self) -> int:
        return round(self._terms.lease_s * 1000)

    def _run(self, script: str, ref: JobRef, *args: Value) -> Any:
        now = f"{self._clock():.3f}"
        return self._database.run(script, script_keys(ref), [ref.id, now, *args])


def obituary(record: Record, deaths: int) -> dict[str, Any]:
    """Give the problem of a job that killed its workers: where it was last seen."""
    return RuntimeFailure(
        f"this {record.kind} job ended its worker {deaths} times without progress between; it was "
        f"last seen in phase {record.phase!r} at {record.done} of {record.total}, "
        f"on worker {record.worker or 'unknown'}, after {record.starts} starts",
        code="worker-lost",
        fix="Ask for less at a time (horizon, samples, entities), or give the worker more memory.",
    ).to_problem(f"urn:relata:job:{record.ref.id}")
