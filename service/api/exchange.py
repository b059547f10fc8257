"""One request to one answer: read, decode beside the loop, work while the caller stays, encode."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response

from service import telemetry
from service.api import media
from service.api.services import Desk, desk, job_desk
from service.artifacts import LoadedArtifact
from service.errors import BodyTimeout, ClientGone, DeadlineMissed, ServiceError
from service.inference.limits import check_limits
from service.schemas.jobs import JobKind
from service.schemas.parsing import parse_body
from service.schemas.requests import ModelRequest

Given = TypeVar("Given")
Asked = TypeVar("Asked", bound=ModelRequest)
Table = TypeVar("Table")
POLL_AFTER_S = 1


class Timings:
    """Milliseconds of each phase, for the ``Server-Timing`` header."""

    def __init__(self) -> None:
        self._phases: list[tuple[str, float]] = []

    @contextmanager
    def phase(self, name: str) -> Generator[None]:
        """Measure a block of code."""
        started = time.perf_counter()
        yield
        self._phases.append((name, 1000 * (time.perf_counter() - started)))

    def header(self) -> str:
        """Give the header's value."""
        return ", ".join(f"{name};dur={ms:.2f}" for name, ms in self._phases)


class Call(Protocol[Asked, Table]):
    """One of the two main calls: its kind, its body, the work and its representations."""

    kind: JobKind
    body: type[Asked]
    offers: Sequence[str]

    def prepared(self, request: Asked) -> Asked:
        """Give the request with everything decided that is drawn, such as a seed."""
        ...

    def run(self, at: Desk, single: Asked) -> Awaitable[Table]:
        """Do the work for one recording."""
        ...

    def encode(self, request: Asked, tables: Sequence[Table], media_type: str) -> bytes:
        """Give the answer's bytes."""
        ...


async def answer(request: Request, call: Call[Asked, Table]) -> Response:
    """Answer one of the two main calls: 200 with the body, or 202 with a job if preferred."""
    at = desk(request)
    media_type = media.choose(request.headers.get("accept"), call.offers)
    deadline_s = media.timeout_s(request.headers, most=at.settings.request_timeout_s)
    is_async = media.prefers_async(request.headers)
    timings = Timings()
    with timings.phase("receive"):
        raw = await read_body(request)
    with timings.phase("decode"):
        asked = await off_loop(at, lambda: _decoded(at, call, raw, is_async=is_async))
    if is_async:
        return await _accepted(request, call.kind, asked)
    asked = call.prepared(asked)
    with timings.phase("work"):
        most_s = at.settings.request_timeout_s
        work = _within(deadline_s, _each(at, call, asked), can_wait=deadline_s < most_s)
        tables = await until_gone(request, work)
    with timings.phase("encode"):
        body = await off_loop(at, lambda: call.encode(asked, tables, media_type))
    headers = {"Server-Timing": timings.header(), "Vary": "Accept"}
    return Response(body, media_type=media_type, headers=headers)


async def read_body(request: Request) -> bytes:
    """Give the whole body.

    Raises:
        UnsupportedMedia: if it is not JSON by its headers.
        BodyTooLarge: as soon as it is more than the cap, however it is sent.
        BodyTimeout: if it takes longer than the settings allow.
    """
    media.check_content(request.headers)
    seconds = desk(request).settings.body_timeout_s
    try:
        async with asyncio.timeout(seconds):
            return await request.body()
    except TimeoutError:
        raise BodyTimeout(
            f"the body did not arrive within {seconds:g} s", fix="Send it faster, or in parts."
        ) from None


async def off_loop(at: Desk, work: Callable[[], Given]) -> Given:
    """Run decoding or encoding in a thread of its own, so that the loop serves the others."""
    return await asyncio.get_running_loop().run_in_executor(at.codec, work)


async def until_gone(request: Request, work: Coroutine[Any, Any, Given]) -> Given:
    """Give the result of ``work``, or cancel it when the caller closes the connection.

    Raises:
        ClientGone: if the caller left first.
    """
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_departure(request))
    try:
        await asyncio.wait({task, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        telemetry.HTTP_CANCELLED.inc()
        raise ClientGone("the caller left before the answer")
    finally:
        for pending in (task, watcher):
            pending.cancel()
        await asyncio.gather(task, watcher, return_exceptions=True)


async def _departure(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _within(seconds: float, work: Coroutine[Any, Any, Given], *, can_wait: bool) -> Given:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise DeadlineMissed(
            f"the answer was not ready within {seconds:g} s",
            fix=("Allow more time with X-Request-Timeout-Ms, or send" if can_wait else "Send")
            + " it as a job: `Prefer: respond-async`.",
        ) from None


async def _each(at: Desk, call: Call[Asked, Table], asked: Asked) -> list[Table]:
    """Run all recordings of a request together; the first failure ends the others."""
    singles = asked.singles()
    tasks = [
        asyncio.ensure_future(_placed(call.run(at, single), index if asked.is_batch else None))
        for index, single in enumerate(singles)
    ]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _placed(work: Awaitable[Given], index: int | None) -> Given:
    try:
        return await work
    except ServiceError as error:
        if index is None:
            raise
        raise error.relocated("/trajectory", f"/trajectories/{index}") from error


def _decoded(at: Desk, call: Call[Asked, Any], raw: bytes, *, is_async: bool) -> Asked:
    """Decode, check and bound a request, and open its model: all that may take time."""
    asked = parse_body(call.body, raw)
    artifact: LoadedArtifact = at.services.store.open(asked.model)
    edge_types, wider = artifact.manifest.edge_types, at.settings.job_limits
    if is_async:
        check_limits(asked, wider, edge_types)
    else:
        check_limits(asked, at.settings.limits, edge_types, wider=wider)
    return asked


async def _accepted(request: Request, kind: JobKind, asked: ModelRequest) -> Response:
    """Hand in a job and give 202 with it, where to find it and when to look.

    The request is handed in as it was sent: what is drawn, such as a seed, is drawn when the job is
    made, so that the same idempotency key finds the same body again.
    """
    payload = asked.model_dump(mode="json", exclude_unset=True)
    accepted = await job_desk(request).enter(kind, payload, request.headers.get("idempotency-key"))
    job = accepted.job
    body = job.model_dump(mode="json", exclude_none=True)
    body["progress"] = job.progress.model_dump(mode="json")
    headers = {
        "Location": f"/v1/jobs/{job.id}",
        "Retry-After": str(POLL_AFTER_S),
        "Preference-Applied": "respond-async",
    }
    if accepted.replayed:
        headers["Idempotency-Replayed"] = "true"
    return Response(orjson.dumps(body), status_code=202, media_type=media.JSON, headers=headers)
