"""What the API may do with jobs; blocking calls to Redis and files run beside the event loop."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.exceptions import RedisError

from service.errors import Conflict, Gone, InvalidRequest, NotFound, ServiceError
from service.jobs.attempt import Answer
from service.jobs.doorbell import Doorbell
from service.jobs.events import Event, Events, broker_away
from service.jobs.keys import ID_PATTERN, JobRef
from service.jobs.record import Idempotency, NewJob, Record, Records
from service.jobs.store import Store
from service.schemas.jobs import Job, JobKind

MAX_KEY_LENGTH = 255
Given = TypeVar("Given")

Admit = Callable[[JobKind, Mapping[str, Any]], Awaitable[NewJob]]
"""Refuses a request as the synchronous call would, or gives the job that it makes."""


@dataclass(frozen=True)
class Submitted:
    """A job as it was right after its submission; ``replayed``: an earlier call had made it."""

    record: Record
    replayed: bool

    @property
    def job(self) -> Job:
        """Give the job as callers see it."""
        return self.record.to_job()


@dataclass(frozen=True)
class JobOffice:
    """The parts that a job service is made of."""

    records: Records
    store: Store
    doorbell: Doorbell
    events: Events
    admit: Admit


class StoredProblem(ServiceError):
    """The problem that a job ended with, told again."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        """Repeat a stored problem document."""
        super().__init__(str(problem.get("detail", "")), code=str(problem.get("code", "")))
        self.status = int(problem["status"])
        self.title = str(problem["title"])
        self._problem = dict(problem)

    def to_problem(self, instance: str = "") -> dict[str, Any]:
        """Give the document as it was stored; its instance is the job."""
        return self._problem


class JobService:
    """Submit, look, wait, fetch, cancel, purge. A tenant sees its own jobs only."""

    def __init__(self, office: JobOffice, tenant: str = "default") -> None:
        """Serve one tenant until there are keys to tell callers apart by."""
        self._office = office
        self._tenant = tenant

    async def submit(
        self, kind: JobKind, request: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Job:
        """Accept a job and give it as it stands.

        Raises:
            ServiceError: whatever the synchronous call would refuse this request with.
        """
        return (await self.enter(kind, request, idempotency_key)).job

    async def enter(
        self, kind: JobKind, request: Mapping[str, Any], idempotency_key: str | None = None
    ) -> Submitted:
        """Accept a job; written before anybody is told, so that it cannot be lost."""
        idempotency = self._idempotency(kind, request, idempotency_key)
        try:
            new = await self._office.admit(kind, request)
        except RedisError as error:
            raise broker_away() from error
        ref = JobRef.new(self._tenant)
        return await _beside(lambda: self._write_and_ring(ref, new, idempotency))

    async def is_reachable(self) -> bool:
        """Say whether the broker answers now."""
        return await asyncio.to_thread(self._office.records.is_reachable)

    async def look(self, job_id: str) -> Record:
        """Give the record of a job.

        Raises:
            NotFound: if there is none, or it is not the caller's.
        """
        ref = self._ref(job_id)
        record = await _beside(lambda: self._office.records.get(ref))
        if record is None:
            raise _not_found()
        return record

    async def get(self, job_id: str) -> Job:
        """Give a job as callers see it."""
        return (await self.look(job_id)).to_job()

    async def wait(self, job_id: str, seen: Collection[str], seconds: float) -> Record:
        """Give the record once it is over or its etag is none of ``seen``; at the latest in time.

        An empty ``seen`` waits for the end of the job.
        """
        deadline = asyncio.get_running_loop().time() + seconds
        record = await self.look(job_id)
        last_id = await self._office.events.last_id(record.ref)
        record = await self.look(job_id)
        while not record.is_over and (not seen or record.etag in seen):
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                break
            for event in await self._office.events.after(record.ref, last_id, left):
                last_id = event.id
            record = await self.look(job_id)
        return record

    async def page(self, after: str | None, size: int) -> list[Record]:
        """Give up to ``size`` jobs, newest first, that come after the job ``after``."""
        if after is not None:
            self._ref(after)
        return await _beside(lambda: self._office.records.newest(self._tenant, after, size))

    async def result(self, job_id: str) -> Answer:
        """Give the result: the body that the synchronous call would have given.

        A cancelled job gives the part that it had finished, if that makes sense alone.

        Raises:
            Conflict: not ready, or cancelled before there was anything.
            Gone: expired.
            StoredProblem: the job failed.
        """
        record = await self.look(job_id)
        stored = record.result
        if stored is None:
            raise _no_result(record)
        body = await _beside(lambda: self._office.store.read(stored))
        return Answer(body, stored.media_type)

    async def events(self, job_id: str, last_id: str) -> AsyncIterator[Event | None]:
        """Give the events of a job after ``last_id``; see ``Events.follow``."""
        record = await self.look(job_id)
        return self._office.events.follow(record.ref, last_id)

    async def cancel(self, job_id: str) -> Job:
        """Ask a job to stop; the answer says how far that has come."""
        ref = self._ref(job_id)
        await _beside(lambda: self._office.records.cancel(ref))
        return await self.get(job_id)

    async def purge(self, job_id: str) -> None:
        """Remove a job that is over, with its result.

        Raises:
            Conflict: if it is not over.
        """
        ref = self._ref(job_id)
        outcome = await _beside(lambda: self._forget(ref))
        if outcome == "open":
            raise Conflict(
                "the job is not over, so it cannot be removed",
                code="job-not-over",
                fix="Cancel it first.",
            )
        if outcome == "unknown":
            raise _not_found()

    async def close(self) -> None:
        """Give the connections back."""
        await self._office.events.close()

    def _write_and_ring(
        self, ref: JobRef, new: NewJob, idempotency: Idempotency | None
    ) -> Submitted:
        submission = self._office.records.create(ref, new, idempotency)
        if submission.outcome == "conflict":
            raise InvalidRequest(
                "this Idempotency-Key was used with another body within the last 24 hours",
                code="idempotency-key-reused",
                fix="Send a new key with a new request.",
            )
        if submission.outcome == "created":
            self._office.doorbell.ring(ref, new.kind, new.queue)
            self._office.records.rung(ref)
        record = self._office.records.get(submission.ref)
        if record is None:
            raise _not_found()
        return Submitted(record, replayed=submission.outcome == "replayed")

    def _forget(self, ref: JobRef) -> str:
        outcome = self._office.records.forget(ref)
        if outcome == "forgotten":
            self._office.store.remove(ref)
        return outcome

    def _idempotency(
        self, kind: JobKind, request: Mapping[str, Any], key: str | None
    ) -> Idempotency | None:
        if key is None:
            return None
        if not 0 < len(key) <= MAX_KEY_LENGTH:
            raise InvalidRequest(
                f"found an Idempotency-Key of {len(key)} characters, "
                f"expected 1 to {MAX_KEY_LENGTH}",
                code="idempotency-key",
            )
        body = json.dumps({"kind": kind, "request": request}, sort_keys=True)
        return Idempotency(_digest(f"POST /v1/jobs {key}"), _digest(body))

    def _ref(self, job_id: str) -> JobRef:
        if not ID_PATTERN.fullmatch(job_id):
            raise _not_found()
        return JobRef(self._tenant, job_id)


async def _beside(call: Callable[[], Given]) -> Given:
    """Run a blocking call in a thread; a broker that is away becomes a refusal to try later."""
    try:
        return await asyncio.to_thread(call)
    except RedisError as error:
        raise broker_away() from error


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _not_found() -> NotFound:
    return NotFound(
        "there is no such job", code="job-not-found", fix="GET /v1/jobs lists the jobs there are."
    )


def _no_result(record: Record) -> ServiceError:
    if record.error is not None and record.state == "failed":
        return StoredProblem(record.error)
    if record.state == "expired":
        return Gone(
            "the result of this job has expired",
            code="result-expired",
            fix="Submit the job again.",
        )
    if record.state == "cancelled":
        return Conflict(
            "the job was cancelled before it had a result",
            code="job-cancelled",
            fix="Submit it again to run it to the end.",
        )
    return Conflict(
        f"the job is {record.state}: {record.done} of {record.total} in phase {record.phase}",
        code="job-not-ready",
        fix="Poll GET /v1/jobs/{id}, or send it 'Prefer: wait=20', until state is succeeded.",
        retry_after_s=record.eta_s or 1.0,
    )
