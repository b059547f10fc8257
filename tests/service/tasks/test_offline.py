"""Forecasts and inferences as jobs, over real graphs; a kill is an exception nobody catches."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from service.broker import EmbeddedBroker
from service.inference.pipeline import Checkpoint, OfflineRunner
from service.jobs.assembly import open_bench
from service.jobs.attempt import Answer, Attempt
from service.jobs.connection import Database, brisk
from service.jobs.keys import JobRef
from service.jobs.record import NewJob, Record
from service.jobs.work import Bench, answer_the_bell
from service.settings import Settings
from service.tasks import offline
from tests.service.jobs.conftest import Bells
from tests.service.small_artifacts import FOLDER, small_artifact

MODELS = ("small-markov", "small-recurrent")


class Source:
    def open(self, reference: str) -> Any:
        return small_artifact(reference.partition("@")[0])


@pytest.fixture
def settings(broker: EmbeddedBroker, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, bundled_artifacts=FOLDER, redis_url=broker.url)


@pytest.fixture
def database(broker: EmbeddedBroker) -> Database:
    database = brisk(broker.url)
    database.run("return redis.call('FLUSHALL')", [], [])
    return database


@pytest.fixture
def bench(settings: Settings, database: Database) -> Bench:
    return open_bench(settings, Bells())


@pytest.fixture
def runner(settings: Settings) -> OfflineRunner:
    return OfflineRunner(Source(), settings)


@pytest.fixture(autouse=True)
def _store_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(offline, "CHECKPOINT_EVERY_S", 0.0)
    monkeypatch.setattr(offline, "CHECKPOINT_SHARE", 1e9)


def trajectory(shift: float = 0.0) -> dict[str, Any]:
    return {
        "entities": ["a", "b", "c"],
        "features": ["x", "y"],
        "frame_rate": small_artifact("small-markov").manifest.frame_rate,
        "values": [
            [[0.02 * t + shift, 0.2], [0.5, 0.03 * t], [0.3, 0.9 - 0.02 * t]] for t in range(8)
        ],
    }


def forecast(model: str, **changes: Any) -> dict[str, Any]:
    request = {"model": model, "trajectory": trajectory(), "horizon": 12, "seed": 5}
    return request | {"num_samples": 700} | changes


def submit(bench: Bench, request: dict[str, Any], kind: Any = "forecast") -> JobRef:
    ref = JobRef.new("default")
    bench.records.create(ref, NewJob(kind, "batch", json.dumps(request)), None)
    return ref


def read(bench: Bench, ref: JobRef) -> Record:
    record = bench.records.get(ref)
    assert record is not None
    return record


def body(bench: Bench, ref: JobRef) -> bytes:
    stored = read(bench, ref).result
    assert stored is not None
    return bench.store.read(stored)


def run(bench: Bench, runner: OfflineRunner, ref: JobRef) -> str:
    return answer_the_bell(bench, ref, lambda attempt: offline.forecast(runner, attempt))


class Killed(BaseException):
    """Ends a worker as SIGKILL does: nothing is written after it."""


def run_until(bench: Bench, runner: OfflineRunner, ref: JobRef, checkpoints: int) -> None:
    """Do a job and die as soon as so many checkpoints are stored."""

    def work(attempt: Attempt) -> Answer:
        real = offline.Journey.at_chunk

        def at_chunk(journey: Any, at: Checkpoint) -> None:
            real(journey, at)
            if attempt.milestone >= checkpoints:
                raise Killed

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(offline.Journey, "at_chunk", at_chunk)
            return offline.forecast(runner, attempt)

    with pytest.raises(Killed):
        answer_the_bell(bench, ref, work)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("checkpoints", [1, 2])
def test_a_rollout_that_was_killed_ends_with_the_very_bytes_of_an_undisturbed_one(
    bench: Bench, runner: OfflineRunner, database: Database, model: str, checkpoints: int
) -> None:
    undisturbed = submit(bench, forecast(model))
    assert run(bench, runner, undisturbed) == "succeeded"
    disturbed = submit(bench, forecast(model))
    run_until(bench, runner, disturbed, checkpoints)
    assert read(bench, disturbed).milestone == checkpoints
    database.delete(disturbed.lease)
    assert run(bench, runner, disturbed) == "succeeded"
    assert read(bench, disturbed).starts == 2
    assert body(bench, disturbed) == body(bench, undisturbed)


def test_a_successor_does_not_start_over(
    bench: Bench, runner: OfflineRunner, database: Database
) -> None:
    ref = submit(bench, forecast("small-markov"))
    run_until(bench, runner, ref, 2)
    stored = read(bench, ref).checkpoint
    assert stored is not None
    with np.load(io.BytesIO(bench.store.read(stored)), allow_pickle=False) as arrays:
        assert arrays["run.position"].any()
    database.delete(ref.lease)
    first: list[int] = []

    def work(attempt: Attempt) -> Answer:
        real = offline.Journey.at_chunk

        def at_chunk(journey: Any, at: Checkpoint) -> None:
            first.append(at.done)
            real(journey, at)

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(offline.Journey, "at_chunk", at_chunk)
            return offline.forecast(runner, attempt)

    answer_the_bell(bench, ref, work)
    assert first[0] > 0


def test_a_batch_goes_on_with_the_recording_that_was_being_done(
    bench: Bench, runner: OfflineRunner, database: Database
) -> None:
    request = forecast("small-markov")
    del request["trajectory"]
    request["trajectories"] = [trajectory(shift) for shift in (0.0, 0.1, 0.2)]
    undisturbed, disturbed = (submit(bench, request) for _ in range(2))
    run(bench, runner, undisturbed)
    run_until(bench, runner, disturbed, read(bench, undisturbed).milestone // 2 + 1)
    database.delete(disturbed.lease)
    run(bench, runner, disturbed)
    assert body(bench, disturbed) == body(bench, undisturbed)
    assert len(json.loads(body(bench, disturbed))["results"]) == 3


def test_a_checkpoint_that_cannot_be_read_only_costs_time(
    bench: Bench, runner: OfflineRunner, database: Database, tmp_path: Path
) -> None:
    undisturbed, disturbed = (submit(bench, forecast("small-markov")) for _ in range(2))
    run(bench, runner, undisturbed)
    run_until(bench, runner, disturbed, 1)
    stored = read(bench, disturbed).checkpoint
    assert stored is not None
    (tmp_path / "results" / stored.path).write_bytes(b"rubbish")
    database.delete(disturbed.lease)
    assert run(bench, runner, disturbed) == "succeeded"
    assert body(bench, disturbed) == body(bench, undisturbed)


def test_a_cancelled_rollout_keeps_the_paths_that_were_complete(
    bench: Bench, runner: OfflineRunner
) -> None:
    ref = submit(bench, forecast("small-markov", num_samples=1500, outputs=["mean", "samples"]))

    def work(attempt: Attempt) -> Answer:
        real = offline.Journey.at_chunk

        def at_chunk(journey: Any, at: Checkpoint) -> None:
            real(journey, at)
            if at.done > at.total // 2:
                bench.records.cancel(ref)
                attempt._beat()

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(offline.Journey, "at_chunk", at_chunk)
            return offline.forecast(runner, attempt)

    assert answer_the_bell(bench, ref, work) == "cancelled"
    partial = json.loads(body(bench, ref))
    assert 0 < len(partial["samples"]) < 1500
    assert "job-cancelled" in [warning["code"] for warning in partial["warnings"]]


def test_relations_are_a_job_like_any_other(bench: Bench, runner: OfflineRunner) -> None:
    request = {"model": "small-markov", "trajectory": trajectory(), "estimator": "prior"}
    ref = submit(bench, request, "infer-relations")
    ending = answer_the_bell(bench, ref, lambda attempt: offline.infer_relations(runner, attempt))
    assert ending == "succeeded"
    answer = json.loads(body(bench, ref))
    assert (answer["estimator"], len(answer["frames"])) == ("prior", 7)
