import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from service.broker import EmbeddedBroker
from service.errors import Conflict, Gone, InvalidRequest, NotFound, ServiceError, Unavailable
from service.jobs.connection import brisk, listening
from service.jobs.events import BEGINNING, Events
from service.jobs.keys import JobRef
from service.jobs.record import NewJob, Records
from service.jobs.service import JobOffice, JobService
from service.jobs.store import Store
from service.jobs.work import Bench, answer_the_bell
from tests.service.jobs.conftest import Bells, Clock
from tests.service.jobs.test_work import UNDISTURBED, chunked

BODY = {"model": "dnri-push3", "horizon": 3}


async def admit(kind: Any, request: Mapping[str, Any]) -> NewJob:
    if "horizon" not in request:
        raise InvalidRequest("horizon is missing", code="missing-field", pointer="/horizon")
    return NewJob(kind, "interactive", json.dumps(dict(request)))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def jobs(
    broker: EmbeddedBroker, records: Records, store: Store, bells: Bells
) -> AsyncIterator[JobService]:
    events = Events(listening(broker.url))
    yield JobService(JobOffice(records, store, bells, events, admit))
    await events.close()


pytestmark = pytest.mark.anyio


async def test_a_submitted_job_is_written_and_rung_for(jobs: JobService, bells: Bells) -> None:
    job = await jobs.submit("forecast", BODY)
    assert (job.state, job.attempts, job.progress.done) == ("queued", 0, 0)
    assert bells.rung == [(f"default/{job.id}", "forecast", "interactive")]
    assert await jobs.get(job.id) == job
    assert [record.ref.id for record in await jobs.page(None, 10)] == [job.id]


async def test_a_bad_request_leaves_no_job(jobs: JobService, bells: Bells) -> None:
    with pytest.raises(InvalidRequest):
        await jobs.submit("forecast", {})
    assert await jobs.page(None, 10) == []
    assert bells.rung == []


async def test_the_same_key_and_body_give_the_same_job(jobs: JobService, bells: Bells) -> None:
    first = await jobs.enter("forecast", BODY, "k1")
    again = await jobs.enter("forecast", BODY, "k1")
    other = await jobs.enter("forecast", BODY, "k2")
    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert first.job.id == again.job.id != other.job.id
    assert len(bells.rung) == 2


async def test_a_key_reused_with_another_body_is_refused(jobs: JobService) -> None:
    await jobs.submit("forecast", BODY, "k1")
    with pytest.raises(InvalidRequest) as caught:
        await jobs.submit("forecast", BODY | {"horizon": 4}, "k1")
    assert caught.value.code == "idempotency-key-reused"


async def test_pages_come_newest_first_and_go_on_after_a_job(
    jobs: JobService, clock: Clock
) -> None:
    made: list[str] = []
    for _ in range(5):
        clock.now += 1
        made.append((await jobs.submit("forecast", BODY)).id)
    first = await jobs.page(None, 2)
    second = await jobs.page(first[-1].ref.id, 3)
    assert [record.ref.id for record in first + second] == made[::-1]


async def test_the_result_is_the_stored_body(jobs: JobService, bench: Bench) -> None:
    job = await jobs.submit("forecast", BODY)
    answer_the_bell(bench, JobRef("default", job.id), chunked)
    assert (await jobs.result(job.id)).body == UNDISTURBED


async def test_a_result_that_is_not_there_says_why(
    jobs: JobService, bench: Bench, records: Records, clock: Clock
) -> None:
    waiting = (await jobs.submit("forecast", BODY)).id
    failed = (await jobs.submit("forecast", BODY)).id
    cancelled = (await jobs.submit("forecast", BODY)).id
    done = (await jobs.submit("forecast", BODY)).id

    def refuse(_: object) -> Any:
        raise InvalidRequest("found 1 entity", code="single-entity")

    answer_the_bell(bench, JobRef("default", failed), refuse)
    answer_the_bell(bench, JobRef("default", done), chunked)
    records.expire(JobRef("default", done))
    assert (await jobs.cancel(cancelled)).state == "cancelled"
    expected: dict[str, tuple[type[ServiceError], str]] = {
        waiting: (Conflict, "job-not-ready"),
        failed: (ServiceError, "single-entity"),
        cancelled: (Conflict, "job-cancelled"),
        done: (Gone, "result-expired"),
    }
    for job_id, (kind, code) in expected.items():
        with pytest.raises(kind) as caught:
            await jobs.result(job_id)
        assert caught.value.code == code
    with pytest.raises(ServiceError) as caught:
        await jobs.result(failed)
    assert caught.value.status == 422


@pytest.mark.parametrize("job_id", ["0" * 32, "short", "../../etc/passwd", "0" * 31 + "G"])
async def test_a_job_that_is_not_the_callers_is_not_found(
    jobs: JobService, records: Records, job_id: str
) -> None:
    records.create(JobRef("another", "0" * 32), NewJob("forecast", "batch", "{}"), None)
    for call in (jobs.get, jobs.result, jobs.cancel, jobs.purge):
        with pytest.raises(NotFound):
            await call(job_id)


async def test_waiting_ends_when_the_job_does(jobs: JobService, bench: Bench) -> None:
    job = await jobs.submit("forecast", BODY)
    work = asyncio.to_thread(
        answer_the_bell, bench, JobRef("default", job.id), lambda a: chunked(a, pause_s=0.05)
    )
    waited, ending = await asyncio.gather(jobs.wait(job.id, (), 20.0), work)
    assert (waited.state, ending) == ("succeeded", "succeeded")


async def test_waiting_for_a_change_ends_with_the_first_one(
    jobs: JobService, records: Records
) -> None:
    job = await jobs.submit("forecast", BODY)
    seen = (await jobs.look(job.id)).etag
    waiting = asyncio.create_task(jobs.wait(job.id, {seen}, 20.0))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    records.cancel(JobRef("default", job.id))
    assert (await waiting).etag != seen


async def test_waiting_ends_at_its_time_with_the_job_as_it_is(jobs: JobService) -> None:
    job = await jobs.submit("forecast", BODY)
    assert (await jobs.wait(job.id, (), 0.2)).state == "queued"


async def test_events_can_be_joined_anywhere(jobs: JobService, bench: Bench) -> None:
    job = await jobs.submit("forecast", BODY)
    answer_the_bell(bench, JobRef("default", job.id), lambda a: chunked(a, pause_s=0.06))
    told = [event async for event in await jobs.events(job.id, BEGINNING) if event]
    assert [told[0].state, told[1].state, told[-1].state] == ["queued", "running", "succeeded"]
    assert told[-1].done == told[-1].total
    done = [event.done for event in told]
    assert done == sorted(done)
    rest = [event async for event in await jobs.events(job.id, told[2].id) if event]
    assert rest == told[3:]


async def test_a_purged_job_is_gone_and_one_at_work_cannot_be_purged(
    jobs: JobService, bench: Bench
) -> None:
    job = await jobs.submit("forecast", BODY)
    with pytest.raises(Conflict):
        await jobs.purge(job.id)
    answer_the_bell(bench, JobRef("default", job.id), chunked)
    await jobs.purge(job.id)
    with pytest.raises(NotFound):
        await jobs.get(job.id)


async def test_without_a_broker_the_answer_is_to_try_later(store: Store, bells: Bells) -> None:
    nowhere = "redis://127.0.0.1:1/0"
    records = Records(brisk(nowhere), keep_s=1, forget_s=1)
    events = Events(listening(nowhere))
    jobs = JobService(JobOffice(records, store, bells, events, admit))
    with pytest.raises(Unavailable) as caught:
        await jobs.submit("forecast", BODY)
    assert caught.value.code == "broker-unavailable"
    assert caught.value.retry_after_s
    await events.close()
