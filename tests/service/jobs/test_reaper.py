import dataclasses

import pytest

from service.jobs.connection import Database
from service.jobs.keys import JobRef, queue_list
from service.jobs.lease import Leases
from service.jobs.reaper import Reaper
from service.jobs.record import NewJob, Records
from service.jobs.store import Store
from service.jobs.work import Bench, answer_the_bell
from tests.service.jobs.conftest import TERMS, Bells, Clock
from tests.service.jobs.test_lease import claim, kill_worker, read
from tests.service.jobs.test_work import chunked


@pytest.fixture
def reaper(database: Database, records: Records, store: Store, bells: Bells) -> Reaper:
    return Reaper(database, records, store, bells, TERMS)


def test_rings_again_for_a_job_whose_worker_died(
    reaper: Reaper,
    records: Records,
    leases: Leases,
    database: Database,
    queued: JobRef,
    clock: Clock,
) -> None:
    lease = claim(records, leases, queued)
    clock.now += 60
    assert reaper.sweep().rung == ()
    kill_worker(database, lease)
    assert reaper.sweep().rung == (queued.id,)
    assert reaper.sweep().rung == (), "one ring is enough for a while"
    clock.now += 60
    assert reaper.sweep().rung == (queued.id,)


def test_rings_for_a_job_whose_message_was_lost(
    reaper: Reaper, queued: JobRef, bells: Bells, clock: Clock
) -> None:
    assert reaper.sweep().rung == ()
    clock.now += TERMS.ring_s + 0.1
    reaper.sweep()
    assert bells.rung == [(str(queued), "forecast", "interactive")]


def test_leaves_a_job_alone_whose_message_may_still_be_waiting(
    reaper: Reaper, database: Database, queued: JobRef, clock: Clock
) -> None:
    database.run("redis.call('LPUSH', KEYS[1], 'x')", [queue_list("interactive")], [])
    clock.now += 30
    assert reaper.sweep().rung == ()
    clock.now += 60
    assert reaper.sweep().rung == (queued.id,)


def test_a_clock_that_was_set_back_loses_no_job(
    reaper: Reaper, queued: JobRef, clock: Clock
) -> None:
    clock.now -= 10_000
    assert reaper.sweep().rung == (queued.id,)


def test_ends_a_cancelled_job_whose_worker_died(
    reaper: Reaper, records: Records, leases: Leases, database: Database, queued: JobRef
) -> None:
    lease = claim(records, leases, queued)
    records.cancel(queued)
    assert reaper.sweep().cancelled == ()
    kill_worker(database, lease)
    assert reaper.sweep().cancelled == (queued.id,)
    assert read(records, queued).state == "cancelled"


def test_lets_go_of_a_result_and_later_of_the_job(
    reaper: Reaper, bench: Bench, records: Records, queued: JobRef, clock: Clock
) -> None:
    answer_the_bell(bench, queued, chunked)
    stored = read(records, queued).result
    assert stored is not None
    clock.now += TERMS.keep_s - 1
    assert reaper.sweep().expired == ()
    clock.now += 2
    assert reaper.sweep().expired == (queued.id,)
    record = read(records, queued)
    assert (record.state, record.result) == ("expired", None)
    with pytest.raises(Exception, match="missing"):
        bench.store.read(stored)
    clock.now += 51
    assert reaper.sweep().forgotten == (queued.id,)
    assert records.get(queued) is None
    assert records.newest("default", None, 10) == []


def test_looks_after_every_tenant(reaper: Reaper, records: Records, clock: Clock) -> None:
    refs = [JobRef.new(tenant) for tenant in ("one", "two")]
    for ref in refs:
        records.create(ref, NewJob("forecast", "batch", "{}"), None)
    clock.now += 60
    assert sorted(reaper.sweep().rung) == sorted(ref.id for ref in refs)


def test_only_one_reaper_works_until_it_falls_silent(
    reaper: Reaper, database: Database, records: Records, store: Store, bells: Bells
) -> None:
    other = Reaper(database, records, store, bells, TERMS)
    assert reaper.sweep_if_leader() is not None
    assert other.sweep_if_leader() is None
    assert reaper.sweep_if_leader() is not None
    database.delete("relata:reaper")
    assert other.sweep_if_leader() is not None
    assert reaper.sweep_if_leader() is None


def test_a_poison_job_ends_though_every_bell_kills_a_worker(
    reaper: Reaper, bench: Bench, records: Records, database: Database, queued: JobRef, clock: Clock
) -> None:
    def poison(_: object) -> None:
        raise SystemExit(9)

    for _ in range(3):
        with pytest.raises(SystemExit):
            answer_the_bell(dataclasses.replace(bench), queued, poison)  # pyright: ignore
        database.delete(queued.lease)
        clock.now += 60
        assert reaper.sweep().rung == (queued.id,)
    assert answer_the_bell(bench, queued, chunked) == "exhausted"
    assert read(records, queued).state == "failed"
    clock.now += 60
    assert reaper.sweep().rung == ()
