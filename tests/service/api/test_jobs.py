"""``/v1/jobs`` over the whole service: real broker, real graphs; the worker is this process."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.broker import EmbeddedBroker
from service.inference.pipeline import OfflineRunner
from service.jobs import experiments
from service.jobs.assembly import open_bench
from service.jobs.connection import brisk
from service.jobs.keys import JobRef
from service.jobs.work import Bench, answer_the_bell
from service.settings import Settings
from service.tasks import offline
from tests.service.jobs.conftest import Bells
from tests.service.small_artifacts import FOLDER, small_artifact

MODEL = "small-markov"
Run = Callable[[str], str]


@pytest.fixture
def settings(broker: EmbeddedBroker, tmp_path: Path) -> Settings:
    brisk(broker.url).run("return redis.call('FLUSHALL')", [], [])
    return Settings(
        home=tmp_path, bundled_artifacts=FOLDER, redis_url=broker.url, log_level="error"
    )


@pytest.fixture
def http(settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(settings)) as client:
        yield client


@pytest.fixture
def bench(settings: Settings) -> Bench:
    return open_bench(settings, Bells())


@pytest.fixture
def run(settings: Settings, bench: Bench) -> Run:
    """Do a job as a worker does; give what became of it."""

    class Source:
        def open(self, reference: str) -> Any:
            return small_artifact(reference.partition("@")[0])

    runner = OfflineRunner(Source(), settings)

    def work(job_id: str) -> str:
        return answer_the_bell(
            bench, JobRef("default", job_id), lambda attempt: offline.forecast(runner, attempt)
        )

    return work


def forecast(**changes: Any) -> dict[str, Any]:
    values = [[[0.1 * t, 0.2], [0.5, 0.1 * t], [0.3, 0.9 - 0.05 * t]] for t in range(6)]
    trajectory = {
        "entities": ["a", "b", "c"],
        "features": ["x", "y"],
        "frame_rate": small_artifact(MODEL).manifest.frame_rate,
        "values": values,
    }
    request: dict[str, Any] = {"model": MODEL, "trajectory": trajectory, "horizon": 5, "seed": 3}
    return request | {"num_samples": 4} | changes


def submit(http: TestClient, request: dict[str, Any], **headers: str) -> Any:
    body = {"kind": "forecast", "request": request}
    return http.post("/v1/jobs", json=body, headers=headers)


class TestSubmit:
    def test_answers_202_with_the_job_where_it_is_and_when_to_look(self, http: TestClient) -> None:
        answer = submit(http, forecast())
        job = answer.json()
        assert answer.status_code == 202
        assert answer.headers["location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
        assert int(answer.headers["retry-after"]) >= 1
        assert (job["kind"], job["state"], job["attempts"]) == ("forecast", "queued", 0)
        assert job["progress"] == {"phase": "queued", "done": 0, "total": 0, "eta_s": None}

    @pytest.mark.parametrize(
        "change",
        [
            {"horizon": 0},
            {"model": "absent"},
            {"model": f"{MODEL}@77"},
            {"model": "../../etc"},
            {"surplus": 1},
            {"trajectory": forecast()["trajectory"] | {"frame_rate": 77.0}},
            {"trajectory": forecast()["trajectory"] | {"features": ["q", "r"]}},
            {"trajectory": forecast()["trajectory"] | {"entities": ["a", "a", "c"]}},
            {"trajectory": forecast()["trajectory"] | {"values": [[[0.0, 0.0]]]}},
            {"relations": [{"source": "a", "target": "zz", "type": "push"}]},
        ],
    )
    def test_refuses_what_the_synchronous_call_refuses_and_in_its_words(
        self, http: TestClient, change: dict[str, Any]
    ) -> None:
        direct = http.post("/forecast", json=forecast(**change))
        asked = submit(http, forecast(**change))
        assert asked.status_code == direct.status_code in (404, 422)
        assert asked.json()["code"] == direct.json()["code"]
        assert asked.json()["detail"] == direct.json()["detail"]
        assert http.get("/v1/jobs").json() == {"jobs": []}

    def test_takes_more_than_the_synchronous_call_but_not_everything(
        self, http: TestClient
    ) -> None:
        most = Settings().limits.horizon
        assert http.post("/forecast", json=forecast(horizon=most + 1)).status_code == 422
        assert submit(http, forecast(horizon=most + 1)).status_code == 202
        assert submit(http, forecast(horizon=10**9)).json()["code"] == "cost-over-limit"

    def test_points_into_the_body_that_was_sent(self, http: TestClient) -> None:
        problem = submit(http, forecast(horizon=0)).json()
        assert problem["pointer"] == "/request/horizon"
        assert problem["errors"][0]["pointer"] == "/request/horizon"
        assert submit(http, forecast(model="absent")).json()["pointer"] == "/request/model"

    def test_an_unknown_kind_is_refused(self, http: TestClient) -> None:
        answer = http.post("/v1/jobs", json={"kind": "dance", "request": {}})
        assert (answer.status_code, answer.json()["pointer"]) == (422, "/kind")

    def test_the_same_key_gives_the_same_job_and_says_so(self, http: TestClient) -> None:
        headers = {"Idempotency-Key": "k"}
        first, again = (submit(http, forecast(), **headers) for _ in range(2))
        assert first.json()["id"] == again.json()["id"]
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        other = submit(http, forecast(horizon=6), **headers)
        assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")

    def test_a_main_call_that_prefers_it_becomes_a_job(self, http: TestClient, run: Run) -> None:
        headers = {"Prefer": "respond-async"}
        answer = http.post("/forecast", json=forecast(), headers=headers)
        assert answer.status_code == 202
        assert run(answer.json()["id"]) == "succeeded"


class TestResult:
    def test_is_the_body_of_the_synchronous_call(self, http: TestClient, run: Run) -> None:
        job = submit(http, forecast()).json()
        assert http.get(job["links"]["result"]).status_code == 409
        run(job["id"])
        assert (
            http.get(job["links"]["result"]).json()
            == http.post("/forecast", json=forecast()).json()
        )

    def test_of_a_batch_is_that_of_the_synchronous_call(self, http: TestClient, run: Run) -> None:
        request = forecast()
        request["trajectories"] = [request.pop("trajectory")] * 3
        job = submit(http, request).json()
        run(job["id"])
        assert (
            http.get(job["links"]["result"]).json() == http.post("/forecast", json=request).json()
        )

    def test_a_seed_drawn_at_the_door_is_kept(
        self, http: TestClient, run: Run, bench: Bench
    ) -> None:
        request = forecast()
        del request["seed"]
        job = submit(http, request).json()
        kept = orjson.loads(bench.records.request(JobRef("default", job["id"])))
        run(job["id"])
        assert http.get(job["links"]["result"]).json()["seed"] == kept["seed"]
        assert kept["model"] == f"{MODEL}@1"

    def test_of_an_unknown_job_is_404(self, http: TestClient) -> None:
        for path in ("/v1/jobs/" + "0" * 32, "/v1/jobs/x", f"/v1/jobs/{'0' * 32}/result"):
            answer = http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, "job-not-found")

    def test_of_an_expired_job_is_410(self, http: TestClient, run: Run, bench: Bench) -> None:
        job = submit(http, forecast()).json()
        run(job["id"])
        bench.records.expire(JobRef("default", job["id"]))
        answer = http.get(job["links"]["result"])
        assert (answer.status_code, answer.json()["code"]) == (410, "result-expired")
        assert http.get(job["links"]["self"]).json()["state"] == "expired"


class TestLook:
    def test_a_version_that_the_caller_has_is_not_sent_again(
        self, http: TestClient, run: Run
    ) -> None:
        job = submit(http, forecast()).json()
        tag = http.get(job["links"]["self"]).headers["etag"]
        same = http.get(job["links"]["self"], headers={"If-None-Match": tag})
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        run(job["id"])
        changed = http.get(job["links"]["self"], headers={"If-None-Match": tag})
        assert (changed.status_code, changed.json()["state"]) == (200, "succeeded")
        assert "retry-after" not in changed.headers

    def test_waits_for_the_end_when_asked_to(self, http: TestClient, run: Run) -> None:
        job = submit(http, forecast()).json()
        worker = threading.Timer(0.3, run, args=(job["id"],))
        worker.start()
        answer = http.get(job["links"]["self"], headers={"Prefer": "wait=20"})
        worker.join()
        assert answer.json()["state"] == "succeeded"
        assert answer.headers["preference-applied"] == "wait=20"

    @pytest.mark.parametrize(
        ("size", "expected"), [("0", "at least 1"), ("999", "at most 100"), ("x", "an integer")]
    )
    def test_of_an_impossible_size_is_refused_by_name(
        self, http: TestClient, size: str, expected: str
    ) -> None:
        answer = http.get("/v1/jobs", params={"page_size": size})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-parameter")
        assert answer.json()["detail"] == f"query parameter page_size: expected {expected}"

    def test_lists_page_by_page_newest_first(self, http: TestClient) -> None:
        made = [submit(http, forecast()).json()["id"] for _ in range(3)]
        first = http.get("/v1/jobs", params={"page_size": 2}).json()
        token = first["next_page_token"]
        rest = http.get("/v1/jobs", params={"page_size": 2, "page_token": token}).json()
        assert [job["id"] for job in first["jobs"] + rest["jobs"]] == made[::-1]
        assert "next_page_token" not in rest


class TestEvents:
    def test_tell_the_whole_story_and_go_on_after_any_event(
        self, http: TestClient, run: Run
    ) -> None:
        job = submit(http, forecast()).json()
        run(job["id"])
        told = http.get(job["links"]["events"])
        assert told.headers["content-type"].startswith("text/event-stream")
        events = _events(told.text)
        assert events[0]["data"]["state"] == "queued"
        last = events[-1]["data"]
        assert last["state"] == "succeeded"
        assert last["progress"]["done"] == last["progress"]["total"] > 0
        for heard in range(len(events)):  # who heard the end hears nothing more, and at once
            headers = {"Last-Event-ID": events[heard]["id"]}
            again = http.get(job["links"]["events"], headers=headers)
            assert _events(again.text) == events[heard + 1 :]

    def test_refuse_an_id_that_is_none(self, http: TestClient) -> None:
        job = submit(http, forecast()).json()
        answer = http.get(job["links"]["events"], headers={"Last-Event-ID": "yesterday"})
        assert (answer.status_code, answer.json()["code"]) == (422, "bad-event-id")


class TestDelete:
    def test_cancels_a_job_that_waits_then_removes_it(self, http: TestClient, run: Run) -> None:
        job = submit(http, forecast()).json()
        cancelled = http.delete(job["links"]["self"])
        assert (cancelled.status_code, cancelled.json()["state"]) == (202, "cancelled")
        assert run(job["id"]) == "over"
        result = http.get(job["links"]["result"])
        assert (result.status_code, result.json()["code"]) == (409, "job-cancelled")
        assert http.delete(job["links"]["self"]).status_code == 204
        assert http.delete(job["links"]["self"]).status_code == 404


class TestRetrain:
    def submit(self, http: TestClient, **changes: Any) -> Any:
        request = {"experiment": "push3", "name": "dnri-mine"} | changes
        return http.post("/v1/jobs", json={"kind": "retrain", "request": request})

    def test_is_refused_with_the_command_where_nobody_can_train(
        self, http: TestClient, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(experiments, "training_is_installed", lambda: False)
        answer = self.submit(http)
        assert (answer.status_code, answer.json()["code"]) == (409, "training-not-installed")
        assert experiments.INSTALL_TRAINING in answer.json()["fix"]

    def test_is_accepted_where_training_is_installed(
        self, http: TestClient, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(experiments, "training_is_installed", lambda: True)
        answer = self.submit(http)
        assert answer.status_code == 202
        record = bench.records.get(JobRef("default", answer.json()["id"]))
        assert record is not None
        assert record.queue == "training"

    @pytest.mark.parametrize(
        ("change", "code", "pointer"),
        [
            ({"experiment": "pull9"}, "unknown-experiment", "/request/experiment"),
            ({"experiment": None, "dataset": "mine"}, "unknown-dataset", "/request/dataset"),
            ({"name": "../up"}, "bad-name", "/request/name"),
            ({"epochs": 0}, "out-of-range", "/request/epochs"),
        ],
    )
    def test_names_what_it_cannot_do(
        self, http: TestClient, change: dict[str, Any], code: str, pointer: str
    ) -> None:
        answer = self.submit(http, **change)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["pointer"] == pointer


def test_without_a_broker_the_calls_say_so(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, bundled_artifacts=FOLDER, redis_url=None, log_level="error")
    with TestClient(create_app(settings)) as client:
        answer = client.get("/v1/jobs")
    assert (answer.status_code, answer.json()["code"]) == (503, "jobs-unavailable")


def _events(text: str) -> list[dict[str, Any]]:
    blocks = [block.split("\n") for block in text.strip().split("\n\n") if "data: " in block]
    fields = [dict(line.split(": ", 1) for line in block) for block in blocks]
    return [field | {"data": orjson.loads(field["data"])} for field in fields]
