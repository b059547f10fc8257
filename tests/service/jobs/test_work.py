"""A job from the bell to its end, in this process."""

import dataclasses
import errno
import json
import threading
import time
from pathlib import Path

import pytest

from service.errors import InvalidRequest
from service.jobs import attempt as attempts
from service.jobs.attempt import Answer, Attempt, Stopped
from service.jobs.connection import Database
from service.jobs.keys import JobRef
from service.jobs.record import Record, Records
from service.jobs.store import Store
from service.jobs.work import Bench, answer_the_bell

CHUNKS = 6


def chunked(attempt: Attempt, pause_s: float = 0.0, die_at: int = -1) -> Answer:
    """Sum squares chunk by chunk, going on from the checkpoint: the shape of a long rollout."""
    sums = _resumed(attempt)
    for chunk in range(len(sums), CHUNKS):
        if attempt.should_stop():
            raise Stopped(Answer(json.dumps(sums).encode(), "application/json"))
        if chunk == die_at:
            raise SystemExit(9)
        time.sleep(pause_s)
        sums.append(chunk**2 + (sums[-1] if sums else 0))
        attempt.report("summing", chunk + 1, CHUNKS)
        attempt.keep(chunk + 1, json.dumps(sums).encode(), "application/json")
    return Answer(json.dumps(sums).encode(), "application/json")


def _resumed(attempt: Attempt) -> list[int]:
    if attempt.record.checkpoint is None:
        return []
    return json.loads(attempt.stored_checkpoint())


def read(bench: Bench, ref: JobRef) -> Record:
    record = bench.records.get(ref)
    assert record is not None
    return record


def body_of(bench: Bench, ref: JobRef) -> bytes:
    stored = read(bench, ref).result
    assert stored is not None
    return bench.store.read(stored)


UNDISTURBED = json.dumps([0, 1, 5, 14, 30, 55]).encode()


def test_a_job_that_is_done_can_be_fetched_and_leaves_only_its_result(
    bench: Bench, queued: JobRef, tmp_path: Path
) -> None:
    assert answer_the_bell(bench, queued, chunked) == "succeeded"
    record = read(bench, queued)
    assert (record.state, record.done, record.total) == ("succeeded", CHUNKS, CHUNKS)
    assert body_of(bench, queued) == UNDISTURBED
    folder = tmp_path / "results" / "default" / queued.id
    assert [path.name for path in folder.iterdir()] == ["result-1"]


def test_a_second_bell_for_the_same_job_does_nothing(bench: Bench, queued: JobRef) -> None:
    answer_the_bell(bench, queued, chunked)
    before = read(bench, queued)
    assert answer_the_bell(bench, queued, chunked) == "over"
    assert read(bench, queued) == before


def test_a_bell_for_a_job_that_was_never_there_does_nothing(bench: Bench) -> None:
    assert answer_the_bell(bench, JobRef.new("default"), chunked) == "unknown"


@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_a_successor_goes_on_from_the_last_chunk_to_the_identical_result(
    bench: Bench, database: Database, queued: JobRef, chunk: int
) -> None:
    with pytest.raises(SystemExit):
        answer_the_bell(bench, queued, lambda attempt: chunked(attempt, die_at=chunk))
    database.delete(queued.lease)
    started_at: list[int] = []

    def successor(attempt: Attempt) -> Answer:
        started_at.append(attempt.milestone)
        return chunked(attempt)

    assert answer_the_bell(bench, queued, successor) == "succeeded"
    assert started_at == [chunk]
    assert body_of(bench, queued) == UNDISTURBED


def test_a_refusal_fails_the_job_with_its_own_problem(bench: Bench, queued: JobRef) -> None:
    def refuse(_: Attempt) -> Answer:
        raise InvalidRequest("found 1 entity", code="single-entity", fix="Send two.")

    assert answer_the_bell(bench, queued, refuse) == "failed"
    error = read(bench, queued).error
    assert error is not None
    assert (error["code"], error["status"], error["fix"]) == ("single-entity", 422, "Send two.")
    assert error["instance"] == f"urn:relata:job:{queued.id}"


def test_an_unexpected_failure_is_told_without_its_details(bench: Bench, queued: JobRef) -> None:
    def break_down(_: Attempt) -> Answer:
        raise ZeroDivisionError("secret")

    assert answer_the_bell(bench, queued, break_down) == "failed"
    error = read(bench, queued).error
    assert error is not None
    assert error["code"] == "runtime-failure"
    assert "secret" not in json.dumps(error)


def test_a_full_disk_fails_the_job_and_says_so(
    bench: Bench, queued: JobRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bench.store._files, "mv", full)
    assert answer_the_bell(bench, queued, chunked) == "failed"
    error = read(bench, queued).error
    assert error is not None
    assert (error["code"], error["status"]) == ("disk-full", 507)


def test_a_cancelled_job_stops_and_keeps_its_finished_part(
    bench: Bench, records: Records, queued: JobRef
) -> None:
    threading.Timer(0.3, lambda: records.cancel(queued)).start()
    ending = answer_the_bell(bench, queued, lambda attempt: chunked(attempt, pause_s=0.5))
    assert ending == "cancelled"
    kept = json.loads(body_of(bench, queued))
    assert 0 < len(kept) < CHUNKS
    assert json.loads(UNDISTURBED)[: len(kept)] == kept


def test_a_computation_that_does_not_listen_is_ended_and_its_job_is_cancelled(
    bench: Bench, records: Records, queued: JobRef
) -> None:
    deserted = threading.Event()
    deaf_bench = dataclasses.replace(bench, abandon=deserted.set)

    def deaf(_: Attempt) -> Answer:
        records.cancel(queued)
        assert deserted.wait(30.0), "nobody ended the deaf computation"
        raise SystemExit(9)

    with pytest.raises(SystemExit):
        answer_the_bell(deaf_bench, queued, deaf)
    assert read(bench, queued).state == "cancelled"


def test_a_computation_that_takes_no_step_is_ended(bench: Bench, queued: JobRef) -> None:
    deserted = threading.Event()
    terms = bench.terms.model_copy(update={"stall_s": 0.2})

    def hung(_: Attempt) -> Answer:
        assert deserted.wait(30.0), "nobody ended the hung computation"
        raise SystemExit(9)

    with pytest.raises(SystemExit):
        answer_the_bell(dataclasses.replace(bench, terms=terms, abandon=deserted.set), queued, hung)
    assert read(bench, queued).state == "running"


def test_a_drained_worker_hands_its_job_back_uncounted_and_rings(
    bench: Bench, queued: JobRef, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = tmp_path / "drain"
    monkeypatch.setenv(attempts.DRAIN_FILE_VARIABLE, str(drain))
    threading.Timer(0.2, drain.touch).start()
    assert answer_the_bell(bench, queued, lambda a: chunked(a, pause_s=0.2)) == "released"
    record = read(bench, queued)
    assert (record.state, record.attempts) == ("queued", 0)
    assert bench.doorbell.rung == [(str(queued), "forecast", "interactive")]  # pyright: ignore
    drain.unlink()
    assert answer_the_bell(bench, queued, chunked) == "succeeded"
    assert body_of(bench, queued) == UNDISTURBED
    assert read(bench, queued).attempts == 1


def test_a_damaged_result_is_not_handed_out(
    bench: Bench, store: Store, queued: JobRef, tmp_path: Path
) -> None:
    answer_the_bell(bench, queued, chunked)
    path = tmp_path / "results" / "default" / queued.id / "result-1"
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(Exception, match="sha256"):
        body_of(bench, queued)
