"""The real composition: bundled artifacts, ONNX Runtime, the scheduler, HTTP."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.schemas.answers import ForecastAnswer, RelationsAnswer
from tests.service.artifact_files import edit_manifest, write_artifact
from tests.service.fakes import fast_settings

ARTIFACTS = Path(__file__).parent / "data"
MODELS = ["small-markov", "small-recurrent"]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    settings = fast_settings(bundled_artifacts=ARTIFACTS, home=tmp_path_factory.mktemp("home"))
    with TestClient(create_app(settings.model_copy(update={"redis_url": None}))) as running:
        yield running


def body(client: TestClient, model: str, **changes: Any) -> dict[str, Any]:
    """Give a request that fits a model: three entities inside its trained range."""
    card = client.get(f"/v1/models/{model}").json()["champion"]
    features = [feature for feature in card["features"] if feature["kind"] == "position"]
    start = [(feature["minimum"] + feature["maximum"]) / 2 for feature in features]
    step = [(feature["maximum"] - feature["minimum"]) / 50 for feature in features]
    values = [
        [[s + d * (t + 3) * (n - 1) for s, d in zip(start, step, strict=True)] for n in range(3)]
        for t in range(6)
    ]
    trajectory = {
        "entities": ["a", "b", "c"],
        "features": [feature["name"] for feature in features],
        "frame_rate": card["frame_rate"],
        "values": values,
    }
    return {"model": model, "trajectory": trajectory} | changes


def test_readyz_names_the_runtime_that_serves(client: TestClient) -> None:
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["runtime"]) == ("ready", "onnxruntime-cpu")
    assert sorted(ready["models"]) == MODELS
    assert ready["refused"] == {}


@pytest.mark.parametrize("model", MODELS)
class TestModels:
    def test_infer_relations(self, client: TestClient, model: str) -> None:
        for estimator, frames in (("posterior", [1, 2, 3, 4]), ("prior", [1, 2, 3, 4, 5])):
            answer = client.post("/infer-relations", json=body(client, model, estimator=estimator))
            found = RelationsAnswer.model_validate_json(answer.content, strict=True)
            assert (found.estimator, found.frames) == (estimator, frames)
            for frame in found.probabilities:
                for row in frame:
                    assert row is not None
                    assert sum(row) == pytest.approx(1, abs=1e-5)

    def test_forecast_the_same_for_the_same_seed(self, client: TestClient, model: str) -> None:
        request = body(client, model, horizon=4, num_samples=5, seed=3)
        first, again = (client.post("/forecast", json=request) for _ in range(2))
        assert first.status_code == 200
        found = ForecastAnswer.model_validate_json(first.content, strict=True)
        assert first.content == again.content
        assert found.frames == [6, 7, 8, 9]
        assert found.relations is not None
        assert found.relations.frames == [5, 6, 7, 8]
        other = client.post("/forecast", json=request | {"seed": 4}).json()
        assert other["mean"] != first.json()["mean"]

    def test_answer_in_the_callers_units(self, client: TestClient, model: str) -> None:
        request = body(client, model, horizon=3, num_samples=4, seed=1)
        in_metres = client.post("/forecast", json=request).json()
        trajectory = request["trajectory"]
        trajectory["units"] = dict.fromkeys(trajectory["features"], "cm")
        trajectory["values"] = [
            [[100 * x for x in row] for row in frame] for frame in trajectory["values"]
        ]
        in_centimetres = client.post("/forecast", json=request).json()
        for metres, centimetres in zip(
            in_metres["mean"][-1], in_centimetres["mean"][-1], strict=True
        ):
            assert [100 * x for x in metres] == pytest.approx(centimetres, rel=1e-3, abs=1e-3)

    def test_answer_a_batch_as_they_answer_its_parts(self, client: TestClient, model: str) -> None:
        one = body(client, model)
        batch = {"model": model, "trajectories": [one["trajectory"]] * 3}
        alone = client.post("/infer-relations", json=one).json()["probabilities"]
        for result in client.post("/infer-relations", json=batch).json()["results"]:
            for found, expected in zip(result["probabilities"], alone, strict=True):
                for row, known in zip(found, expected, strict=True):
                    assert row == pytest.approx(known, abs=1e-5)


def test_a_model_that_the_runtime_cannot_run_stops_nobody_else(tmp_path: Path) -> None:
    shutil.copytree(ARTIFACTS, tmp_path / "bundled")
    write_artifact(tmp_path / "bundled", "odd", 1)  # one graph of three: no family knows it
    settings = fast_settings(bundled_artifacts=tmp_path / "bundled", home=tmp_path / "home")
    with TestClient(create_app(settings.model_copy(update={"redis_url": None}))) as client:
        request = body(client, "small-markov")
        assert client.post("/infer-relations", json=request).status_code == 200
        answer = client.post("/infer-relations", json=request | {"model": "odd"})
        assert (answer.status_code, answer.json()["code"]) == (503, "family-unsupported")
        answer = client.put("/v1/models/odd/aliases/candidate", json={"version": 1})
        assert (answer.status_code, answer.json()["code"]) == (409, "family-unsupported")


def test_a_graph_that_the_runtime_refuses_is_503_and_not_500(tmp_path: Path) -> None:
    directory = tmp_path / "bundled" / "small-markov" / "1"
    shutil.copytree(ARTIFACTS / "small-markov" / "1", directory)
    (directory / "step.onnx").write_bytes((directory / "prior.onnx").read_bytes())
    text = (directory / "manifest.json").read_text()
    files = json.loads(text)["files"]
    edit_manifest(directory, files=files | {"step.onnx": files["prior.onnx"]})
    settings = fast_settings(bundled_artifacts=tmp_path / "bundled", home=tmp_path / "home")
    with TestClient(create_app(settings.model_copy(update={"redis_url": None}))) as client:
        answer = client.post("/infer-relations", json=body(client, "small-markov"))
        assert (answer.status_code, answer.json()["code"]) == (503, "artifact-unusable")


def test_jobs_need_a_broker(client: TestClient) -> None:
    answer = client.post("/v1/jobs", json={"kind": "forecast", "request": {}})
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs-unavailable")
