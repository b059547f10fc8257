"""Retraining with a stand-in for the training commands: real children, killed and taken up."""

import dataclasses
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.broker import EmbeddedBroker
from service.jobs import experiments
from service.jobs.attempt import Answer, Attempt
from service.jobs.connection import Database, brisk
from service.jobs.keys import JobRef
from service.jobs.lease import Leases
from service.jobs.record import NewJob, Record, Records
from service.jobs.store import Store
from service.jobs.terms import JobTerms
from service.jobs.work import Bench, answer_the_bell
from service.tasks.retrain import Workshop, retrain
from tests.service.jobs.conftest import Bells
from tests.service.tasks.conftest import until

FAKE = Path(__file__).parent / "fake_training"
EPOCHS = 12
UNDISTURBED = f"sum-{sum(epoch**2 for epoch in range(EPOCHS))}"


@dataclass
class FakeStore:
    """Numbers versions as the real store does; remembers promotions."""

    folder: Path
    promoted: list[tuple[str, str, int]] = dataclasses.field(default_factory=list)

    def next_version(self, name: str) -> int:
        taken = [int(path.name) for path in (self.folder / name).glob("[0-9]*")]
        return max(taken, default=1) + 1  # version 1 is bundled

    def promote(self, name: str, alias: str, version: int) -> int:
        self.promoted.append((name, alias, version))
        return version - 1

    def refresh(self) -> None:
        pass


@dataclass
class Smithy:
    """One job, the bench it is done at, and the workshop."""

    bench: Bench
    workshop: Workshop
    ref: JobRef
    store: FakeStore
    database: Database

    def work(self, attempt: Attempt) -> Answer:
        return retrain(self.workshop, attempt)

    def run(self) -> str:
        return answer_the_bell(self.bench, self.ref, self.work)

    @property
    def record(self) -> Record:
        record = self.bench.records.get(self.ref)
        assert record is not None
        return record

    @property
    def result(self) -> dict[str, object]:
        stored = self.record.result
        assert stored is not None
        return json.loads(self.bench.store.read(stored))

    @property
    def starts(self) -> list[int]:
        path = self.workshop.scratch(self.ref) / "starts"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    @property
    def epochs(self) -> int:
        path = self.workshop.scratch(self.ref) / "run" / "metrics.jsonl"
        return path.read_text().count("\n") if path.exists() else 0


@pytest.fixture
def smithy(
    broker: EmbeddedBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Smithy]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(FAKE))
    monkeypatch.setattr(experiments, "training_is_installed", lambda: True)
    database = brisk(broker.url)
    database.run("return redis.call('FLUSHALL')", [], [])
    terms = JobTerms(lease_s=2.0, beat_s=0.05)
    records = Records(database, 100, 100)
    store = Store(str(tmp_path / "results"), tmp_path / "runs")
    bench = Bench(records, Leases(database, terms), store, Bells(), terms, lambda: None)
    fake = FakeStore(tmp_path / "artifacts")
    workshop = Workshop(store.scratch, fake.folder, fake, 3)  # pyright: ignore[reportArgumentType]
    ref = JobRef.new("default")
    request = {"experiment": "push3", "name": "dnri-mine", "epochs": EPOCHS}
    records.create(ref, NewJob("retrain", "training", json.dumps(request)), None)
    built = Smithy(bench, workshop, ref, fake, database)
    yield built
    for pid in built.starts:
        assert not is_alive(pid), "a child was left behind"
    database.close()


def is_alive(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().split()[2] != "Z"


def test_trains_evaluates_exports_installs_and_promotes(smithy: Smithy) -> None:
    assert smithy.run() == "succeeded"
    assert smithy.result == {
        "model": {"name": "dnri-mine", "version": 2},
        "alias": "champion",
        "previous_version": 1,
        "training": {"reason": "finished", "weights_sha256": UNDISTURBED},
        "evaluation": {"f1": 0.9},
    }
    assert smithy.store.promoted == [("dnri-mine", "champion", 2)]
    installed = smithy.store.folder / "dnri-mine"
    assert [path.name for path in installed.iterdir()] == ["2"]
    assert json.loads((installed / "2" / "manifest.json").read_text())["version"] == 2


def test_reports_the_progress_of_the_child(smithy: Smithy) -> None:
    seen: set[tuple[str, int, int]] = set()
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.03):
            record = smithy.record
            seen.add((record.phase, record.done, record.total))

    watcher = threading.Thread(target=look)
    watcher.start()
    smithy.run()
    stop.set()
    watcher.join()
    steps = {done for phase, done, total in seen if phase == "training" and total == EPOCHS}
    assert len(steps) >= 3
    assert all(done < total for phase, done, total in seen if phase == "training")


def test_a_killed_child_goes_on_from_its_checkpoint(smithy: Smithy) -> None:
    def kill() -> None:
        until(lambda: smithy.epochs >= 3, 20)
        os.kill(smithy.starts[0], signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    assert smithy.run() == "succeeded"
    killer.join()
    assert len(smithy.starts) == 2
    assert smithy.result["training"] == {"reason": "finished", "weights_sha256": UNDISTURBED}
    assert (smithy.record.attempts, smithy.record.starts) == (1, 1)


def test_a_child_that_is_killed_at_the_same_place_three_times_fails_the_job(
    smithy: Smithy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_DIE_AT", "2")
    assert smithy.run() == "failed"
    error = smithy.record.error
    assert error is not None
    assert error["code"] == "training-killed"
    assert "SIGKILL" in error["detail"]
    # The first child got two epochs further, so its death does not count.
    assert len(smithy.starts) == 3


def test_a_child_that_fails_tells_its_last_words(
    smithy: Smithy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_FAIL_AT", "1")
    assert smithy.run() == "failed"
    error = smithy.record.error
    assert error is not None
    assert error["code"] == "training-failed"
    assert "found nan in the loss, expected a number" in error["detail"]
    assert len(smithy.starts) == 1


@pytest.mark.parametrize("deaf", [False, True])
def test_cancelling_ends_the_child_and_keeps_its_checkpoints(
    smithy: Smithy, monkeypatch: pytest.MonkeyPatch, deaf: bool
) -> None:
    if deaf:
        monkeypatch.setenv("FAKE_DEAF", "1")
    monkeypatch.setenv("FAKE_PACE_S", "0.3")

    def cancel() -> None:
        until(lambda: smithy.epochs >= 2, 20)
        smithy.bench.records.cancel(smithy.ref)

    canceller = threading.Thread(target=cancel)
    canceller.start()
    assert smithy.run() == "cancelled"
    canceller.join()
    assert 2 <= smithy.epochs < EPOCHS
    assert smithy.store.promoted == []


def test_a_drained_worker_hands_back_and_the_next_goes_on(
    smithy: Smithy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drain = tmp_path / "drain"
    monkeypatch.setenv("RELATA_DRAIN_FILE", str(drain))

    def tell() -> None:
        until(lambda: smithy.epochs >= 3, 20)
        drain.touch()

    teller = threading.Thread(target=tell)
    teller.start()
    assert smithy.run() == "released"
    teller.join()
    drain.unlink()
    assert (smithy.record.state, smithy.record.attempts) == ("queued", 0)
    assert smithy.run() == "succeeded"
    assert len(smithy.starts) == 2
    assert smithy.result["training"] == {"reason": "finished", "weights_sha256": UNDISTURBED}


def test_a_version_installed_just_before_a_death_is_not_installed_twice(
    smithy: Smithy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object) -> int:
        raise SystemExit(9)

    with monkeypatch.context() as patched:
        patched.setattr(smithy.store, "promote", die, raising=False)
        with pytest.raises(SystemExit):
            smithy.run()
    smithy.database.delete(smithy.ref.lease)
    assert smithy.run() == "succeeded"
    assert [path.name for path in (smithy.store.folder / "dnri-mine").iterdir()] == ["2"]
    assert smithy.store.promoted == [("dnri-mine", "champion", 2)]


def test_a_number_that_another_retraining_took_is_not_overwritten(smithy: Smithy) -> None:
    taken = smithy.store.folder / "dnri-mine" / "2"

    def take() -> None:
        until(lambda: smithy.epochs >= 2, 20)
        taken.mkdir(parents=True)
        (taken / "manifest.json").write_text('{"version": 2, "made_from": "another"}')

    taker = threading.Thread(target=take)
    taker.start()
    assert smithy.run() == "succeeded"
    taker.join()
    assert json.loads((taken / "manifest.json").read_text())["made_from"] == "another"
    assert smithy.result["model"] == {"name": "dnri-mine", "version": 3}
