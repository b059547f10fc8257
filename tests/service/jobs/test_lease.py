import time

from service.jobs.connection import Database
from service.jobs.keys import JobRef
from service.jobs.lease import Lease, Leases, Report
from service.jobs.record import Record, Records
from service.jobs.store import StoredFile
from tests.service.jobs.conftest import TERMS

STEP = Report("running", "rollout", 1, 3, None)
RESULT = StoredFile("default/x/result-1", 2, "ab", "application/json")


def read(records: Records, ref: JobRef) -> Record:
    record = records.get(ref)
    assert record is not None
    return record


def claim(records: Records, leases: Leases, ref: JobRef) -> Lease:
    outcome, lease = leases.claim(read(records, ref), "here:1")
    assert outcome == "claimed"
    assert lease is not None
    return lease


def kill_worker(database: Database, lease: Lease) -> None:
    """Let the lease run out at once, as it does when its worker is dead."""
    database.delete(lease.ref.lease)


class TestClaim:
    def test_one_of_two_workers_gets_the_job(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        claim(records, leases, queued)
        assert leases.claim(read(records, queued), "there:2") == ("busy", None)

    def test_counts_the_first_attempt(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        claim(records, leases, queued)
        record = read(records, queued)
        assert (record.state, record.attempts, record.starts) == ("running", 1, 1)

    def test_says_when_there_is_nothing_to_do(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        leases.finish(lease, "succeeded", result=RESULT)
        assert leases.claim(read(records, queued), "there:2") == ("over", None)

    def test_an_unknown_job_cannot_be_claimed(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        record = read(records, queued)
        records.cancel(queued)
        records.forget(queued)
        assert leases.claim(record, "there:2") == ("unknown", None)

    def test_a_lease_runs_out_by_itself(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        claim(records, leases, queued)
        time.sleep(TERMS.lease_s + 0.2)
        assert leases.claim(read(records, queued), "there:2")[0] == "claimed"

    def test_three_deaths_without_progress_fail_the_job_and_say_what_it_did(
        self, records: Records, leases: Leases, database: Database, queued: JobRef
    ) -> None:
        for _ in range(3):
            lease = claim(records, leases, queued)
            leases.beat(lease, STEP)
            kill_worker(database, lease)
        assert leases.claim(read(records, queued), "there:2") == ("exhausted", None)
        record = read(records, queued)
        assert (record.state, record.attempts, record.starts) == ("failed", 3, 3)
        assert record.error is not None
        assert record.error["code"] == "worker-lost"
        assert "3 times" in record.error["detail"]
        assert "'rollout' at 1 of 3" in record.error["detail"]

    def test_a_death_after_a_milestone_is_not_counted(
        self, records: Records, leases: Leases, database: Database, queued: JobRef
    ) -> None:
        for milestone in range(1, 8):
            lease = claim(records, leases, queued)
            leases.advance(lease, milestone, None)
            kill_worker(database, lease)
        record = read(records, queued)
        assert (record.state, record.attempts, record.starts) == ("running", 1, 7)

    def test_a_milestone_that_was_reached_before_is_no_progress(
        self, records: Records, leases: Leases, database: Database, queued: JobRef
    ) -> None:
        for _ in range(4):
            lease = claim(records, leases, queued)
            leases.advance(lease, 1, None)
            kill_worker(database, lease)
        assert leases.claim(read(records, queued), "there:2") == ("exhausted", None)


class TestFence:
    def test_a_worker_that_lost_its_lease_can_change_nothing(
        self, records: Records, leases: Leases, database: Database, queued: JobRef
    ) -> None:
        late = claim(records, leases, queued)
        kill_worker(database, late)
        claim(records, leases, queued)
        before = read(records, queued)
        assert leases.beat(late, STEP) == "lost"
        assert not leases.advance(late, 9, RESULT)
        assert not leases.finish(late, "succeeded", result=RESULT)
        assert not leases.release(late)
        assert read(records, queued) == before

    def test_a_silent_worker_that_nobody_replaced_goes_on(
        self, records: Records, leases: Leases, database: Database, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        kill_worker(database, lease)
        assert leases.beat(lease, STEP) == "ok"
        assert leases.claim(read(records, queued), "there:2") == ("busy", None)

    def test_an_end_that_is_told_twice_is_one_end(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        assert leases.finish(lease, "succeeded", result=RESULT)
        ended = read(records, queued)
        assert leases.finish(lease, "succeeded", result=RESULT)
        assert read(records, queued) == ended


class TestRelease:
    def test_a_job_handed_back_waits_again_and_its_attempt_does_not_count(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        for _ in range(5):
            assert leases.release(claim(records, leases, queued))
        record = read(records, queued)
        assert (record.state, record.attempts, record.starts) == ("queued", 0, 5)

    def test_a_job_cancelled_meanwhile_is_not_handed_back(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        records.cancel(queued)
        assert leases.release(lease)
        assert read(records, queued).state == "cancelled"


class TestBeat:
    def test_carries_progress_and_makes_a_new_version_only_when_it_moved(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        leases.beat(lease, STEP)
        record = read(records, queued)
        assert (record.phase, record.done, record.total) == ("rollout", 1, 3)
        leases.beat(lease, STEP)
        assert read(records, queued).etag == record.etag
        leases.beat(lease, Report("running", "rollout", 2, 3, 0.5))
        assert read(records, queued).etag != record.etag

    def test_hears_of_a_cancellation(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        assert records.cancel(queued) == "cancelling"
        assert leases.beat(lease, STEP) == "cancel"
        assert read(records, queued).state == "cancelling"

    def test_a_job_is_at_100_percent_only_when_it_has_succeeded(
        self, records: Records, leases: Leases, queued: JobRef
    ) -> None:
        lease = claim(records, leases, queued)
        leases.beat(lease, Report("finalizing", "storing", 2, 3, 0.0))
        assert read(records, queued).done == 2
        leases.finish(lease, "succeeded", result=RESULT)
        assert read(records, queued).done == 3
