"""``/v1/jobs``: hand in work, follow it, fetch what came of it, cancel it, remove it."""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, cast

import orjson
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.api import media
from service.api.exchange import POLL_AFTER_S, off_loop, read_body
from service.api.services import desk, job_desk
from service.errors import InvalidRequest, NotFound
from service.jobs.events import BEGINNING, EVENT_ID, Event
from service.jobs.record import Record
from service.jobs.service import JobService
from service.schemas.jobs import Job, JobRequest
from service.schemas.parsing import parse_body

LONGEST_WAIT_S = 60
MOST_PER_PAGE = 100
EVENT_STREAM = "text/event-stream"
WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post(
    "",
    status_code=202,
    response_model=Job,
    summary="Hand in a forecast, an inference or a retraining",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {media.JSON: {"schema": JobRequest.model_json_schema()}},
        }
    },
)
async def submit(request: Request) -> Response:
    """Check the request as the synchronous call would, accept it, and say where to look for it."""
    raw = await read_body(request)
    asked = await off_loop(desk(request), lambda: parse_body(JobRequest, raw))
    key = request.headers.get("idempotency-key")
    try:
        submitted = await _jobs(request).enter(asked.kind, asked.request, key)
    except (InvalidRequest, NotFound) as refusal:
        is_about_key = refusal.code.startswith("idempotency-key")
        raise refusal if is_about_key else refusal.relocated("", "/request") from refusal
    headers = {"Idempotency-Replayed": "true"} if submitted.replayed else {}
    home = f"/v1/jobs/{submitted.record.ref.id}"
    return _answer(submitted.record, 202, headers | {"Location": home})


@router.get("", summary="List jobs, newest first")
async def list_jobs(
    request: Request,
    page_size: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 20,
    page_token: Annotated[str | None, Query(max_length=64)] = None,
) -> Response:
    """Give a page of jobs and, if there may be more, the token of the next page."""
    records = await _jobs(request).page(page_token, page_size)
    body: dict[str, Any] = {"jobs": [_body(record) for record in records]}
    if len(records) == page_size:
        body["next_page_token"] = records[-1].ref.id
    return Response(orjson.dumps(body), media_type=media.JSON)


@router.get("/{job_id}", response_model=Job, summary="Look at a job, or wait for it")
async def look(request: Request, job_id: str) -> Response:
    """Give the job.

    With ``Prefer: wait=20`` the answer comes when the job is over or after that many seconds; with
    ``If-None-Match`` as well, as soon as it differs from the version that the caller has.
    """
    jobs = _jobs(request)
    tags = request.headers.get("if-none-match", "").split(",")
    seen = frozenset(tag.strip() for tag in tags if tag.strip())
    seconds = _wait_s(request)
    record = await (jobs.wait(job_id, seen, seconds) if seconds else jobs.look(job_id))
    headers = {"Preference-Applied": f"wait={seconds}"} if seconds else {}
    if record.etag in seen:
        return Response(status_code=304, headers=headers | {"ETag": record.etag})
    return _answer(record, 200, headers)


@router.get("/{job_id}/result", summary="Fetch what came of a job")
async def result(request: Request, job_id: str) -> Response:
    """Give the body that the synchronous call would have given."""
    answer = await _jobs(request).result(job_id)
    return Response(answer.body, media_type=answer.media_type)


@router.get("/{job_id}/events", summary="Follow a job as server-sent events")
async def events(request: Request, job_id: str) -> Response:
    """Stream states and progress to the end of the job; ``Last-Event-ID`` goes on after one."""
    last_id = request.headers.get("last-event-id") or BEGINNING
    if not EVENT_ID.fullmatch(last_id):
        raise InvalidRequest(
            "found a Last-Event-ID that is none of ours",
            code="bad-event-id",
            fix="Send the id of the last event, or leave the header out to start at the beginning.",
        )
    told = await _jobs(request).events(job_id, BEGINNING)
    return StreamingResponse(
        _sent(told, last_id), media_type=EVENT_STREAM, headers={"Cache-Control": "no-store"}
    )


@router.delete("/{job_id}", summary="Cancel a job that runs; remove one that is over")
async def cancel(request: Request, job_id: str) -> Response:
    """Cancel: 202 and the job, which ends within two seconds. Remove: 204."""
    jobs = _jobs(request)
    record = await jobs.look(job_id)
    if record.is_over:
        await jobs.purge(job_id)
        return Response(status_code=204)
    await jobs.cancel(job_id)
    return _answer(await jobs.look(job_id), 202, {})


def _jobs(request: Request) -> JobService:
    return cast("JobService", job_desk(request))


def _wait_s(request: Request) -> int:
    found = WAIT.search(request.headers.get("prefer", "").lower())
    return min(int(found.group(1)), LONGEST_WAIT_S) if found else 0


def _body(record: Record) -> dict[str, Any]:
    return record.to_job().model_dump(mode="json", exclude_none=True) | {
        "progress": record.to_job().progress.model_dump(mode="json")
    }


def _answer(record: Record, status: int, headers: dict[str, str]) -> Response:
    waiting = {} if record.is_over else {"Retry-After": str(POLL_AFTER_S)}
    return Response(
        orjson.dumps(_body(record)),
        status_code=status,
        media_type=media.JSON,
        headers=headers | waiting | {"ETag": record.etag},
    )


async def _sent(told: AsyncIterator[Event | None], last_id: str) -> AsyncIterator[bytes]:
    """Write events in the format of the HTML standard, with a comment now and then in silence.

    The story is read from its beginning and told from after ``last_id`` on: so an event has the
    same name to those who come back, and who has heard the end hears that nothing follows.
    """
    yield b"retry: 2000\n\n"
    before = ""
    async for event in told:
        if event is None:
            yield b": waiting\n\n"
            continue
        kind = "state" if event.state != before else "progress"
        before = event.state
        if _place(event.id) <= _place(last_id):
            continue
        data = orjson.dumps(event.to_wire()).decode()
        yield f"id: {event.id}\nevent: {kind}\ndata: {data}\n\n".encode()


def _place(event_id: str) -> tuple[int, int]:
    moment, _, number = event_id.partition("-")
    return int(moment), int(number)
