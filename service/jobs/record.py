"""The job record: one Redis hash that says all that is known about a job."""

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self, cast, get_args

from service.errors import NotFound
from service.jobs import keys, scripts
from service.jobs.connection import Database
from service.jobs.keys import JobRef
from service.jobs.store import StoredFile
from service.schemas.jobs import TERMINAL_STATES, Job, JobKind, JobState, Progress

Clock = Callable[[], float]
"""Seconds since the epoch."""

IDEMPOTENCY_S = 24 * 3600


@dataclass(frozen=True)
class NewJob:
    """What a caller asks for, checked; ``request`` is JSON."""

    kind: JobKind
    queue: str
    request: str


@dataclass(frozen=True)
class Idempotency:
    """A caller's key for this submission and the digest of what was sent with it."""

    digest: str
    body: str


@dataclass(frozen=True)
class Submission:
    """What became of a submission: ``created``, ``replayed`` or ``conflict``."""

    outcome: str
    ref: JobRef


@dataclass(frozen=True)
class Record:
    """A job as it was when it was read. Times are seconds since the epoch, 0 = not yet."""

    ref: JobRef
    kind: JobKind
    queue: str
    state: JobState
    version: int
    attempts: int
    starts: int
    fence: int
    milestone: int
    phase: str
    done: int
    total: int
    eta_s: float | None
    worker: str
    created_at: float
    started_at: float
    finished_at: float
    expires_at: float
    rung_at: float
    rings: int
    error: Mapping[str, Any] | None
    result: StoredFile | None
    checkpoint: StoredFile | None

    @classmethod
    def from_fields(cls, ref: JobRef, fields: Mapping[str, str]) -> Self:
        """Give the record in a hash."""
        state = cast("JobState", fields["state"])
        if state not in get_args(JobState):
            raise ValueError(f"job {ref} has the state {state!r}, expected one of JobState")

        def number(name: str) -> int:
            return int(fields.get(name) or 0)

        def moment(name: str) -> float:
            return float(fields.get(name) or 0.0)

        def file(name: str) -> StoredFile | None:
            return StoredFile.from_json(fields[name]) if fields.get(name) else None

        return cls(
            ref=ref,
            kind=cast("JobKind", fields["kind"]),
            queue=fields["queue"],
            state=state,
            version=number("version"),
            attempts=number("attempts"),
            starts=number("starts"),
            fence=number("fence"),
            milestone=number("milestone"),
            phase=fields.get("phase", "queued"),
            done=number("done"),
            total=number("total"),
            eta_s=float(fields["eta_s"]) if fields.get("eta_s") else None,
            worker=fields.get("worker", ""),
            created_at=moment("created_at"),
            started_at=moment("started_at"),
            finished_at=moment("finished_at"),
            expires_at=moment("expires_at"),
            rung_at=moment("rung_at"),
            rings=number("rings"),
            error=json.loads(fields["error"]) if fields.get("error") else None,
            result=file("result"),
            checkpoint=file("checkpoint"),
        )

    @property
    def is_over(self) -> bool:
        """Whether the job has ended, one way or the other."""
        return self.state in TERMINAL_STATES

    @property
    def etag(self) -> str:
        """Give the strong entity tag of this version of the record."""
        return f'"{self.ref.id[:12]}-{self.version}"'

    def to_job(self) -> Job:
        """Give the job as callers see it."""
        home = f"/v1/jobs/{self.ref.id}"
        return Job(
            id=self.ref.id,
            kind=self.kind,
            state=self.state,
            progress=Progress(phase=self.phase, done=self.done, total=self.total, eta_s=self.eta_s),
            attempts=self.attempts,
            created_at=moment_text(self.created_at),
            started_at=moment_text(self.started_at),
            finished_at=moment_text(self.finished_at),
            expires_at=moment_text(self.expires_at),
            error=dict(self.error) if self.error else None,
            links={"self": home, "result": f"{home}/result", "events": f"{home}/events"},
        )


def moment_text(seconds: float) -> str | None:
    """Give a time as RFC 3339 in UTC, or None for a time that has not come."""
    if not seconds:
        return None
    text = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


class Records:
    """All jobs of all tenants: what callers and the reaper may do to them."""

    def __init__(
        self, database: Database, keep_s: float, forget_s: float, clock: Clock = time.time
    ) -> None:
        """Keep results ``keep_s`` after the end of a job, and its record ``forget_s`` longer."""
        self._database = database
        self._keep_s = keep_s
        self._forget_s = forget_s
        self._clock = clock

    @property
    def now(self) -> float:
        """Give the time by the injected clock."""
        return self._clock()

    def is_reachable(self) -> bool:
        """Say whether the broker answers now."""
        return self._database.is_reachable()

    def create(self, ref: JobRef, new: NewJob, idempotency: Idempotency | None) -> Submission:
        """Write a new job, unless the same caller's key has made one already."""
        digest = idempotency.digest if idempotency else ""
        now = self._stamp()
        fields = {
            "kind": new.kind,
            "queue": new.queue,
            "state": "queued",
            "phase": "queued",
            "created_at": now,
            "version": 1,
        }
        outcome, known = self._database.run(
            scripts.CREATE,
            [
                *(ref.record, ref.jobs, ref.open, ref.events, keys.TENANTS, ref.request),
                keys.idempotency(ref.tenant, digest),
            ],
            [
                *(ref.id, now, ref.tenant, keys.record_prefix(ref.tenant)),
                idempotency.body if idempotency else "",
                IDEMPOTENCY_S if idempotency else 0,
                new.request,
                *(part for pair in fields.items() for part in pair),
            ],
        )
        return Submission(outcome, JobRef(ref.tenant, known))

    def get(self, ref: JobRef) -> Record | None:
        """Give the record of a job, or None if there is none."""
        fields = self._database.fields(ref.record)
        return Record.from_fields(ref, fields) if fields.get("state") else None

    def request(self, ref: JobRef) -> str:
        """Give what was asked for, as JSON.

        Raises:
            NotFound: if the job has expired or was never there.
        """
        request = self._database.read(ref.request)
        if request is None:
            raise NotFound("the request of this job is not stored", code="job-not-found")
        return request

    def newest(self, tenant: str, after: str | None, count: int) -> list[Record]:
        """Give a tenant's jobs, newest first, from the one after the id ``after``."""
        index = keys.all_jobs(tenant)
        start = 0
        if after is not None:
            rank = self._database.rank_from_newest(index, after)
            if rank is None:
                return []
            start = rank + 1
        names = self._database.newest(index, start, count)
        return self._read(JobRef(tenant, name) for name in names)

    def open(self) -> list[Record]:
        """Give every tenant's jobs that have not ended."""
        return self._read(
            JobRef(tenant, name)
            for tenant in sorted(self._database.members(keys.TENANTS))
            for name in sorted(self._database.members(keys.open_jobs(tenant)))
        )

    def outlived(self) -> list[Record]:
        """Give every tenant's ended jobs whose time is up."""
        return self._read(
            JobRef(tenant, name)
            for tenant in sorted(self._database.members(keys.TENANTS))
            for name in self._database.due(keys.ended_jobs(tenant), self.now)
        )

    def cancel(self, ref: JobRef) -> str:
        """Ask a job to stop: ``cancelled``, ``cancelling``, ``over`` or ``unknown``."""
        return self._run(scripts.CANCEL, ref, self._keep_s)

    def expire(self, ref: JobRef) -> str:
        """Let go of an ended job's result; its record stays for a while."""
        return self._run(scripts.EXPIRE, ref, self._forget_s)

    def forget(self, ref: JobRef) -> str:
        """Remove an ended job: ``forgotten``, ``open`` or ``unknown``."""
        return str(
            self._database.run(scripts.FORGET, [*script_keys(ref), ref.jobs], [ref.id, self.now])
        )

    def rung(self, ref: JobRef) -> None:
        """Remember that the doorbell was rung for a job just now."""
        self._run(scripts.RUNG, ref)

    def _read(self, refs: Iterable[JobRef]) -> list[Record]:
        wanted = list(refs)
        found = self._database.all_fields([ref.record for ref in wanted])
        return [
            Record.from_fields(ref, fields)
            for ref, fields in zip(wanted, found, strict=True)
            if fields.get("state")
        ]

    def _run(self, script: str, ref: JobRef, *args: float) -> str:
        return str(self._database.run(script, script_keys(ref), [ref.id, self._stamp(), *args]))

    def _stamp(self) -> str:
        return f"{self.now:.3f}"


def script_keys(ref: JobRef) -> list[str]:
    """Give the keys that every script takes."""
    return [ref.record, ref.lease, ref.events, ref.open, ref.ended, ref.request]
