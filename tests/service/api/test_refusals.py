"""The list of bad input: each gets a 4xx problem document that names the way out."""

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from starlette.testclient import TestClient

from service.schemas.answers import ProblemAnswer

Body = dict[str, Any]
JSON = {"Content-Type": "application/json"}
BOTH = pytest.mark.parametrize("path", ["/infer-relations", "/forecast"])


def body_for(path: str, relations: Body, forecast: Body) -> Body:
    return relations if path == "/infer-relations" else forecast


def check(answer: Any, status: int, code: str) -> ProblemAnswer:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = ProblemAnswer.model_validate_json(answer.content)
    assert (answer.status_code, problem.status, problem.code) == (status, status, code)
    assert problem.instance.endswith(answer.headers["x-request-id"])
    assert len(problem.errors) <= 20
    return problem


def change(**changes: Any) -> Callable[[Body], None]:
    return lambda body: body.update(changes)


def in_trajectory(**changes: Any) -> Callable[[Body], None]:
    return lambda body: body["trajectory"].update(changes)


def without(member: str) -> Callable[[Body], None]:
    return lambda body: body["trajectory"].__delitem__(member)


def in_values(value: Any, *place: int) -> Callable[[Body], None]:
    def put(body: Body) -> None:
        holder: Any = body["trajectory"]["values"]
        for index in place[:-1]:
            holder = holder[index]
        holder[place[-1]] = value

    return put


SEMANTIC: dict[str, tuple[Callable[[Body], None], str, str]] = {
    "wrong feature names": (
        in_trajectory(features=["lat", "lon"]),
        "feature-names",
        "/trajectory/features",
    ),
    "wrong feature count": (
        in_trajectory(features=["x", "y", "z"]),
        "feature-names",
        "/trajectory/features",
    ),
    "wrong frame rate": (in_trajectory(frame_rate=25.0), "frame-rate", "/trajectory/frame_rate"),
    "no frame rate": (without("frame_rate"), "missing-field", "/trajectory/frame_rate"),
    "frame rate zero": (
        in_trajectory(frame_rate=0),
        "out-of-range",
        "/trajectory/frame_rate",
    ),
    "frame rate as text": (
        in_trajectory(frame_rate="1"),
        "wrong-type",
        "/trajectory/frame_rate",
    ),
    "frame rate as boolean": (
        in_trajectory(frame_rate=True),
        "wrong-type",
        "/trajectory/frame_rate",
    ),
    "one entity": (
        in_trajectory(entities=["p1"], values=[[[0, 0]]] * 5),
        "single-entity",
        "/trajectory/entities",
    ),
    "no entity": (in_trajectory(entities=[], values=[[]]), "too-few", "/trajectory/entities"),
    "too few frames": (in_values([], 0), "ragged-rows", "/trajectory/values/0"),
    "no frames": (in_trajectory(values=[]), "too-few-frames", "/trajectory/values"),
    "one frame": (
        in_trajectory(values=[[[0, 0], [1, 1], [2, 2]]]),
        "too-few-frames",
        "/trajectory/values",
    ),
    "a frame short of a row": (
        in_values([[0, 0], [1, 1]], 1),
        "ragged-rows",
        "/trajectory/values/1",
    ),
    "a row short of a number": (in_values([0.0], 1, 2), "ragged-rows", "/trajectory/values/1/2"),
    "a row too long": (in_values([0.0] * 3, 1, 2), "ragged-rows", "/trajectory/values/1/2"),
    "a string for a number": (in_values("0.5", 1, 2, 0), "wrong-type", "/trajectory/values/1/2/0"),
    "NaN as text": (in_values("NaN", 1, 2, 0), "wrong-type", "/trajectory/values/1/2/0"),
    "a boolean for a number": (in_values(True, 1, 2, 0), "wrong-type", "/trajectory/values/1/2/0"),
    "null for a number": (in_values(None, 1, 2, 0), "partial-row", "/trajectory/values/1/2/0"),
    "an object for a frame": (in_values({}, 1), "wrong-type", "/trajectory/values/1"),
    "values as text": (in_trajectory(values="[]"), "wrong-type", "/trajectory/values"),
    "values as null": (in_trajectory(values=None), "wrong-type", "/trajectory/values"),
    "a huge value": (in_values(1e308, 1, 2, 0), "value-out-of-range", "/trajectory/values/1/2/0"),
    "duplicate ids": (
        in_trajectory(entities=["a", "b", "a"]),
        "duplicate-entity",
        "/trajectory/entities/2",
    ),
    "an empty id": (
        in_trajectory(entities=["a", "", "b"]),
        "empty-string",
        "/trajectory/entities/1",
    ),
    "an id that is a number": (
        in_trajectory(entities=["a", 1, "b"]),
        "wrong-type",
        "/trajectory/entities/1",
    ),
    "an unknown field": (change(estimate="prior"), "unknown-field", "/estimate"),
    "an unknown field inside": (in_trajectory(fps=25), "unknown-field", "/trajectory/fps"),
    "an unknown unit": (in_trajectory(units={"x": "px"}), "units", "/trajectory/units/x"),
    "a negative first frame": (
        in_trajectory(start_frame=-1),
        "out-of-range",
        "/trajectory/start_frame",
    ),
    "a path for a model": (change(model="../../etc/passwd"), "bad-name", "/model"),
    "an absolute path for a model": (change(model="/etc/passwd"), "bad-name", "/model"),
    "a backslash for a model": (change(model="..\\x"), "bad-name", "/model"),
    "an encoded path for a model": (change(model="%2e%2e%2fx"), "bad-name", "/model"),
    "a null byte in a model": (change(model="dnri-push3\0"), "bad-name", "/model"),
    "a line end in a model": (change(model="dnri-push3\n"), "bad-name", "/model"),
    "a path for a version": (change(model="dnri-push3@../2"), "bad-name", "/model"),
    "a name of 10,000 letters": (change(model="a" * 10_000), "bad-name", "/model"),
    "no model": (lambda body: body.__delitem__("model"), "missing-field", "/model"),
    "no trajectory": (lambda body: body.__delitem__("trajectory"), "one-or-many", ""),
    "both one and many": (change(trajectories=[]), "too-few", "/trajectories"),
}


@BOTH
@pytest.mark.parametrize("case", SEMANTIC)
def test_what_cannot_be_meant_is_422_with_a_place_and_a_fix(
    client: TestClient, relations_request: Body, forecast_request: Body, path: str, case: str
) -> None:
    spoil, code, pointer = SEMANTIC[case]
    body = body_for(path, relations_request, forecast_request)
    spoil(body)
    problem = check(client.post(path, json=body), 422, code)
    assert (problem.pointer or "") == pointer
    assert problem.fix


@BOTH
@pytest.mark.parametrize(
    ("model", "code"),
    [
        ("dnri-other", "model-not-found"),
        ("dnri-push3@9", "version-not-found"),
        ("dnri-push3@0", "version-not-found"),
        ("dnri-push3@" + "9" * 60, "version-not-found"),
        ("dnri-push3@candidate", "alias-not-found"),
    ],
)
def test_an_unknown_model_version_or_alias_is_404(
    client: TestClient,
    relations_request: Body,
    forecast_request: Body,
    path: str,
    model: str,
    code: str,
) -> None:
    body = body_for(path, relations_request, forecast_request) | {"model": model}
    assert check(client.post(path, json=body), 404, code).pointer == "/model"


@BOTH
@pytest.mark.parametrize(
    ("text", "code"),
    [
        (b"", "bad-json"),
        (b"{", "bad-json"),
        (b"not json", "bad-json"),
        (b'{"model": "a",}', "bad-json"),
        (b"\xff\xfe{}", "bad-json"),
        (b'{"model": "\xc3\x28"}', "bad-json"),
        (b'{"v": NaN}', "not-finite"),
        (b'{"v": [1, Infinity]}', "not-finite"),
        (b'{"v": -Infinity}', "not-finite"),
        (b'{"v": 1e400}', "not-finite"),
        (b"[" * 20_000, "too-deep"),
        (b'{"a":' * 20_000, "too-deep"),
        (b"[" * 20_000 + b"]" * 20_000, "too-deep"),
    ],
)
def test_what_is_not_json_is_400(client: TestClient, path: str, text: bytes, code: str) -> None:
    check(client.post(path, content=text, headers=JSON), 400, code)


@BOTH
def test_a_value_nested_900_deep_is_no_number(
    client: TestClient, relations_request: Body, forecast_request: Body, path: str
) -> None:
    body = body_for(path, relations_request, forecast_request)
    body["trajectory"]["values"][0] = "@"
    text = orjson.dumps(body).replace(b'"@"', b"[" * 900 + b"]" * 900)
    check(client.post(path, content=text, headers=JSON), 422, "ragged-rows")


@BOTH
@pytest.mark.parametrize("text", [b"[]", b'"text"', b"5", b"null", b"true"])
def test_json_that_is_no_object_is_422(client: TestClient, path: str, text: bytes) -> None:
    check(client.post(path, content=text, headers=JSON), 422, "wrong-type")


@BOTH
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_cap_is_413(client: TestClient, path: str, announced: bool) -> None:
    def chunks() -> Any:
        yield from [b" " * 10_000] * 21

    content = b" " * 210_000 if announced else chunks()
    answer = client.post(path, content=content, headers=JSON)
    check(answer, 413, "body-too-large")
    assert answer.headers["connection"] == "close"


@BOTH
@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Content-Type": "text/plain"}, "unsupported-media-type"),
        ({"Content-Type": ""}, "unsupported-media-type"),
        ({"Content-Type": "application/x-www-form-urlencoded"}, "unsupported-media-type"),
        ({"Content-Type": "application/json; charset=latin-1"}, "unsupported-charset"),
        (JSON | {"Content-Encoding": "gzip"}, "unsupported-encoding"),
    ],
)
def test_another_content_type_is_415(
    client: TestClient, path: str, headers: dict[str, str], code: str
) -> None:
    check(client.post(path, content=b"{}", headers=headers), 415, code)


@BOTH
def test_an_answer_that_cannot_be_given_is_406(
    client: TestClient, relations_request: Body, forecast_request: Body, path: str
) -> None:
    body = body_for(path, relations_request, forecast_request)
    check(client.post(path, json=body, headers={"Accept": "image/png"}), 406, "not-acceptable")


class TestForecast:
    @pytest.mark.parametrize(
        ("changes", "code", "pointer"),
        [
            ({"horizon": 1001}, "cost-over-limit", "/horizon"),
            ({"horizon": 10**18}, "cost-over-limit", "/horizon"),
            ({"horizon": 0}, "out-of-range", "/horizon"),
            ({"horizon": 2.5}, "wrong-type", "/horizon"),
            ({"horizon": "3"}, "wrong-type", "/horizon"),
            ({"horizon": True}, "wrong-type", "/horizon"),
            ({"num_samples": 257}, "cost-over-limit", "/num_samples"),
            ({"num_samples": 0}, "out-of-range", "/num_samples"),
            ({"seed": -1}, "out-of-range", "/seed"),
            ({"seed": 2**63}, "out-of-range", "/seed"),
            ({"seed": 1.5}, "wrong-type", "/seed"),
            ({"quantiles": [0.5, 1.0]}, "out-of-range", "/quantiles/1"),
            ({"quantiles": ["0.5"]}, "wrong-type", "/quantiles/0"),
            ({"outputs": ["everything"]}, "unknown-choice", "/outputs/0"),
            ({"outputs": []}, "too-few", "/outputs"),
            ({"relations": [{"source": "p1"}]}, "missing-field", "/relations/0/target"),
            ({"estimator": "posterior"}, "unknown-field", "/estimator"),
        ],
    )
    def test_a_request_out_of_bounds_is_422(
        self, client: TestClient, forecast_request: Body, changes: Body, code: str, pointer: str
    ) -> None:
        problem = check(client.post("/forecast", json=forecast_request | changes), 422, code)
        assert problem.pointer == pointer

    def test_an_answer_that_would_be_too_large_is_422_with_an_estimate(
        self, client: TestClient, forecast_request: Body
    ) -> None:
        trajectory = forecast_request["trajectory"]
        trajectory["entities"] = [f"e{index}" for index in range(150)]
        trajectory["values"] = [[[0, 0]] * 150] * 2
        body = forecast_request | {"horizon": 1000, "num_samples": 1}
        problem = check(client.post("/forecast", json=body), 422, "cost-over-limit")
        assert "46200000 values in the answer" in problem.detail
        assert "POST /v1/jobs" in (problem.fix or "")


class TestBatch:
    def test_a_refusal_points_into_the_recording_at_fault(
        self, client: TestClient, trajectory: Body
    ) -> None:
        batch = [trajectory, trajectory | {"frame_rate": 5.0}]
        answer = client.post("/forecast", json={"model": "dnri-push3", "trajectories": batch})
        check(answer, 422, "missing-field")
        body = {"model": "dnri-push3", "trajectories": batch}
        problem = check(client.post("/infer-relations", json=body), 422, "frame-rate")
        assert problem.pointer == "/trajectories/1/frame_rate"

    def test_too_many_recordings_are_422(self, client: TestClient, trajectory: Body) -> None:
        body = {"model": "dnri-push3", "trajectories": [trajectory] * 65}
        check(client.post("/infer-relations", json=body), 422, "cost-over-limit")


class TestEcho:
    SECRET = "swordfish"

    @BOTH
    @pytest.mark.parametrize(
        "spoil",
        [
            change(model=SECRET),
            change(model=f"dnri-push3@{SECRET}"),
            change(model=f"../{SECRET}"),
            change(**{f"{SECRET} with spaces": 1}),
            change(estimator=SECRET, outputs=[SECRET]),
            in_trajectory(entities=[SECRET, SECRET, "c"]),
            in_trajectory(features=[SECRET, "y"]),
            in_trajectory(frame_rate=SECRET),
            in_trajectory(units={"x": SECRET}),
            in_trajectory(units={SECRET: "m"}),
            in_values(SECRET, 1, 1, 1),
        ],
    )
    def test_no_refusal_repeats_what_was_sent(
        self,
        client: TestClient,
        relations_request: Body,
        forecast_request: Body,
        path: str,
        spoil: Callable[[Body], None],
    ) -> None:
        body = body_for(path, relations_request, forecast_request)
        spoil(body)
        answer = client.post(path, json=body)
        assert 400 <= answer.status_code < 500
        assert self.SECRET not in answer.text

    def test_a_body_of_many_errors_gets_a_short_answer(
        self, client: TestClient, relations_request: Body
    ) -> None:
        relations_request |= {f"f{index}": index for index in range(5_000)}
        answer = client.post("/infer-relations", json=relations_request)
        check(answer, 422, "too-many")
        assert len(answer.content) < 5_000


def test_a_path_or_method_that_is_not_there_is_a_problem_too(client: TestClient) -> None:
    check(client.get("/nowhere"), 404, "route-not-found")
    check(client.post("/nowhere", content=b"x" * 10), 404, "route-not-found")
    answer = client.get("/forecast")
    check(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == "POST"
