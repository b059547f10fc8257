import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from fastapi import FastAPI
from starlette.testclient import TestClient

from service.app import create_app
from service.errors import QuotaExceeded, Unavailable
from tests.service.asgi import GONE, Exchange, part, running
from tests.service.fakes import FakeJobs, FakeServices, fast_settings

Body = dict[str, Any]


def drive(
    services: FakeServices,
    scene: Callable[[FastAPI, dict[str, Any]], Awaitable[None]],
    **settings: Any,
) -> None:
    async def play() -> None:
        app = create_app(fast_settings(**settings), build=lambda _: services)
        async with running(app) as state:
            await asyncio.wait_for(scene(app, state), 10)

    asyncio.run(play())


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


class TestDeparture:
    def test_of_the_caller_cancels_the_work_at_once(
        self, services: FakeServices, forecast_request: Body
    ) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            services.pipeline.gate = asyncio.Event()  # never set: the work would last for ever
            exchange = Exchange("/forecast")
            exchange.put(part(orjson.dumps(forecast_request)))
            task = asyncio.create_task(exchange.run(app, state))
            await until(lambda: services.pipeline.began == 1)
            exchange.put(GONE)
            await task
            assert services.pipeline.cancelled == 1

        drive(services, scene)

    def test_ends_every_recording_of_a_batch(
        self, services: FakeServices, trajectory: Body
    ) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            services.pipeline.gate = asyncio.Event()
            exchange = Exchange("/infer-relations")
            body = {"model": "dnri-push3", "trajectories": [trajectory] * 3}
            exchange.put(part(orjson.dumps(body)))
            task = asyncio.create_task(exchange.run(app, state))
            await until(lambda: services.pipeline.began == 3)
            exchange.put(GONE)
            await task
            assert services.pipeline.cancelled == 3

        drive(services, scene)

    def test_in_the_middle_of_the_body_starts_no_work(self, services: FakeServices) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            exchange = Exchange("/forecast")
            exchange.put(part(b'{"model":', more=True), GONE)
            await exchange.run(app, state)
            assert services.pipeline.began == 0

        drive(services, scene)


class TestBody:
    def test_over_the_cap_is_refused_while_it_still_arrives(self, services: FakeServices) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            exchange = Exchange("/forecast")
            exchange.put(*[part(b" " * 1000, more=True)] * 1000)
            await exchange.run(app, state)
            assert (exchange.status, exchange.received) == (413, 11)

        drive(services, scene, max_body_bytes=10_000)

    def test_announced_over_the_cap_is_refused_unread(self, services: FakeServices) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            headers = (("content-type", "application/json"), ("content-length", "9" * 30))
            exchange = Exchange("/forecast", headers)
            exchange.put(part(b"{}"))
            await exchange.run(app, state)
            assert (exchange.status, exchange.received) == (413, 0)

        drive(services, scene)

    def test_that_stops_arriving_is_408(self, services: FakeServices) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            exchange = Exchange("/forecast")
            exchange.put(part(b"{", more=True))
            await exchange.run(app, state)
            assert exchange.status == 408

        drive(services, scene, body_timeout_s=0.05)

    def test_in_a_thousand_pieces_is_the_same_body(
        self, services: FakeServices, relations_request: Body
    ) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            exchange = Exchange("/infer-relations")
            text = orjson.dumps(relations_request)
            exchange.put(*[part(text[i : i + 1], more=True) for i in range(len(text))], part(b""))
            await exchange.run(app, state)
            assert exchange.status == 200

        drive(services, scene)


class TestDeadline:
    def test_of_the_caller_is_504(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.pipeline.gate = asyncio.Event()
        answer = client.post(
            "/forecast", json=forecast_request, headers={"X-Request-Timeout-Ms": "30"}
        )
        assert (answer.status_code, answer.json()["code"]) == (504, "deadline-missed")
        assert "X-Request-Timeout-Ms" in answer.json()["fix"]
        assert services.pipeline.cancelled == 1

    def test_of_the_server_is_not_said_to_be_the_callers(
        self, services: FakeServices, forecast_request: Body
    ) -> None:
        async def scene(app: FastAPI, state: dict[str, Any]) -> None:
            services.pipeline.gate = asyncio.Event()
            exchange = Exchange("/forecast")
            exchange.put(part(orjson.dumps(forecast_request)))
            await exchange.run(app, state)
            assert exchange.status == 504
            fix = str(orjson.loads(exchange.sent[-1]["body"])["fix"])
            assert "respond-async" in fix
            assert "X-Request-Timeout-Ms" not in fix

        drive(services, scene, request_timeout_s=0.05)

    def test_that_is_none_is_422(self, client: TestClient, forecast_request: Body) -> None:
        for header in ("0", "-1", "soon", "1e3", "9" * 400, "٣"):
            answer = client.post(
                "/forecast",
                json=forecast_request,
                headers={"X-Request-Timeout-Ms": header.encode()},
            )
            assert (answer.status_code, answer.json()["code"]) == (422, "bad-timeout")


class TestCapacity:
    def test_a_full_engine_is_503_with_the_time_to_come_back(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.pipeline.failure = Unavailable("full", code="overloaded", retry_after_s=2.4)
        answer = client.post("/forecast", json=forecast_request)
        assert (answer.status_code, answer.json()["code"]) == (503, "overloaded")
        assert answer.headers["retry-after"] == "2"

    def test_a_used_up_quota_is_429(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.pipeline.failure = QuotaExceeded("enough", retry_after_s=0.1)
        answer = client.post("/forecast", json=forecast_request)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")

    def test_an_error_nobody_foresaw_is_a_problem_without_its_text(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.pipeline.failure = ZeroDivisionError("secret detail")
        answer = client.post("/forecast", json=forecast_request)
        assert (answer.status_code, answer.json()["code"]) == (500, "runtime-failure")
        assert answer.headers["content-type"] == "application/problem+json"
        assert "secret" not in answer.text


class TestRespondAsync:
    def test_hands_in_the_request_as_it_was_sent(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.jobs = FakeJobs()
        headers = {"Prefer": "wait=5, respond-async"}
        answer = client.post("/forecast", json=forecast_request, headers=headers)
        assert (answer.status_code, answer.json()["state"]) == (202, "queued")
        assert answer.json()["progress"] == {
            "phase": "queued",
            "done": 0,
            "total": 1,
            "eta_s": None,
        }
        assert answer.headers["location"] == "/v1/jobs/j1"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["preference-applied"] == "respond-async"
        assert services.jobs.entered == [("forecast", forecast_request, None)]
        assert services.pipeline.began == 0

    def test_finds_the_job_of_the_same_idempotency_key(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.jobs = FakeJobs()
        headers = {"Prefer": "respond-async", "Idempotency-Key": "k"}
        answers = [
            client.post("/forecast", json=forecast_request, headers=headers) for _ in range(2)
        ]
        replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
        assert replayed == [None, "true"]

    def test_allows_more_than_an_answer_at_once(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.jobs = FakeJobs()
        body = forecast_request | {"horizon": 5_000}
        assert client.post("/forecast", json=body).status_code == 422
        headers = {"Prefer": "respond-async"}
        assert client.post("/forecast", json=body, headers=headers).status_code == 202

    def test_without_a_broker_is_503_and_says_how_to_get_one(
        self, client: TestClient, forecast_request: Body
    ) -> None:
        headers = {"Prefer": "respond-async"}
        answer = client.post("/forecast", json=forecast_request, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (503, "jobs-unavailable")
        assert "REDIS_URL" in answer.json()["fix"]

    def test_is_never_the_answer_to_those_who_did_not_ask(
        self, client: TestClient, services: FakeServices, forecast_request: Body
    ) -> None:
        services.jobs = FakeJobs()
        assert client.post("/forecast", json=forecast_request).status_code == 200
        assert services.jobs.entered == []


def test_server_timing_names_the_phases(client: TestClient, forecast_request: Body) -> None:
    header = client.post("/forecast", json=forecast_request).headers["server-timing"]
    names = [part.split(";")[0] for part in header.split(", ")]
    assert names == ["receive", "decode", "work", "encode"]


def test_the_services_are_closed_when_the_app_stops(services: FakeServices) -> None:
    with TestClient(create_app(fast_settings(), build=lambda _: services)):
        assert not services.closed
    assert services.closed
