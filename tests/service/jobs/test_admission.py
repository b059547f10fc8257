from pathlib import Path
from typing import Any

import orjson
import pytest

from service.artifacts import ArtifactStore
from service.errors import Conflict, InvalidRequest, NotFound
from service.jobs.admission import SHORT_S, Admission
from service.settings import JOB_LIMITS
from tests.service.small_artifacts import FOLDER, small_artifact

MODEL = "small-markov"


class Judge:
    """Finds every request good, and says how long it takes."""

    def __init__(self, seconds: float = 1.0, refuses: int = -1) -> None:
        self.seconds = seconds
        self.refuses = refuses
        self.seen: list[Any] = []

    def judge(self, request: Any) -> float:
        self.seen.append(request)
        if len(self.seen) - 1 == self.refuses:
            raise InvalidRequest("found a rate of 2", code="frame-rate", pointer="/trajectory/x")
        return self.seconds


def admission(judge: Judge, *, can_train: bool = False) -> Admission:
    store = ArtifactStore(Path("/nonexistent"), FOLDER)
    return Admission(store, judge, JOB_LIMITS, lambda: can_train)


def forecast(**changes: Any) -> dict[str, Any]:
    trajectory = {
        "entities": ["a", "b"],
        "features": ["x", "y"],
        "frame_rate": small_artifact(MODEL).manifest.frame_rate,
        "values": [[[0.0, 0.1], None], [[0.2, 0.3], [0.4, 0.5]]],
    }
    return {"model": MODEL, "trajectory": trajectory, "horizon": 2} | changes


def test_a_job_keeps_the_version_and_the_seed_it_was_accepted_with() -> None:
    new = admission(Judge()).admit("forecast", forecast())
    kept = orjson.loads(new.request)
    assert kept["model"] == f"{MODEL}@1"
    assert isinstance(kept["seed"], int)
    assert kept["trajectory"]["values"] == forecast()["trajectory"]["values"]


def test_long_work_waits_in_a_queue_of_its_own() -> None:
    assert admission(Judge(SHORT_S / 2)).admit("forecast", forecast()).queue == "interactive"
    assert admission(Judge(SHORT_S * 2)).admit("forecast", forecast()).queue == "batch"
    batch = forecast(trajectory=None, trajectories=[forecast()["trajectory"]] * 3)
    assert admission(Judge(SHORT_S / 2)).admit("forecast", batch).queue == "batch"


def test_each_recording_of_a_batch_is_judged_and_the_bad_one_named() -> None:
    batch = forecast(trajectory=None, trajectories=[forecast()["trajectory"]] * 3)
    with pytest.raises(InvalidRequest) as caught:
        admission(Judge(refuses=1)).admit("forecast", batch)
    assert caught.value.pointer == "/trajectories/1/x"


def test_an_unknown_model_is_not_found() -> None:
    with pytest.raises(NotFound):
        admission(Judge()).admit("forecast", forecast(model="absent"))


def test_an_evaluation_is_told_where_it_can_be_done() -> None:
    with pytest.raises(InvalidRequest, match="not offered as a job") as caught:
        admission(Judge()).admit("evaluate", {"model": MODEL})
    assert "training evaluate" in caught.value.fix


def test_a_retraining_needs_somebody_who_can() -> None:
    request = {"experiment": "push3", "name": "mine"}
    with pytest.raises(Conflict) as caught:
        admission(Judge()).admit("retrain", request)
    assert caught.value.code == "training-not-installed"
    new = admission(Judge(), can_train=True).admit("retrain", request)
    assert (new.queue, orjson.loads(new.request)["alias"]) == ("training", "champion")
