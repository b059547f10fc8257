from service.jobs.connection import Database
from service.jobs.roster import SILENT_AFTER_S, Roster
from tests.service.jobs.conftest import Clock


def test_a_worker_serves_its_queues_until_it_leaves(database: Database, clock: Clock) -> None:
    roster = Roster(database, clock)
    roster.announce("one@here", ["batch", "interactive"])
    assert roster.serves("batch")
    assert not roster.serves("training")
    roster.leave("one@here")
    assert not roster.serves("batch")


def test_a_worker_that_falls_silent_is_struck_off(database: Database, clock: Clock) -> None:
    roster = Roster(database, clock)
    roster.announce("one@here", ["batch"])
    clock.now += SILENT_AFTER_S - 1
    roster.announce("two@here", ["batch"])
    assert [worker.name for worker in roster.present()] == ["one@here", "two@here"]
    clock.now += 2
    assert [worker.name for worker in roster.present()] == ["two@here"]
    clock.now -= 2
    assert [worker.name for worker in roster.present()] == ["two@here"]
