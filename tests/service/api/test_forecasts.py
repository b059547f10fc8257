from typing import Any

import pytest
from starlette.testclient import TestClient

from service.schemas.answers import ForecastAnswer

Body = dict[str, Any]


class TestAnswer:
    @pytest.mark.parametrize("path", ["/forecast", "/v1/forecast"])
    def test_has_exactly_the_contracts_members(
        self, client: TestClient, forecast_request: Body, path: str
    ) -> None:
        answer = client.post(path, json=forecast_request)
        assert answer.status_code == 200
        assert list(answer.json()) == [
            "model",
            "seed",
            "frames",
            "entities",
            "features",
            "mean",
            "quantiles",
            "bands",
            "relations",
            "baseline",
            "warnings",
        ]
        ForecastAnswer.model_validate(answer.json(), strict=True)

    def test_continues_the_callers_frames(self, client: TestClient, forecast_request: Body) -> None:
        forecast_request["trajectory"]["start_frame"] = 10
        answer = client.post("/forecast", json=forecast_request).json()
        assert answer["frames"] == [15, 16, 17]
        assert answer["relations"]["frames"] == [14, 15, 16]
        assert answer["features"] == ["x", "y"]

    def test_is_null_for_an_entity_absent_in_the_last_frame(
        self, client: TestClient, forecast_request: Body
    ) -> None:
        forecast_request["trajectory"]["values"][4][1] = None
        answer = client.post("/forecast", json=forecast_request).json()
        assert [row is None for row in answer["mean"][0]] == [False, True, False]

    def test_echoes_the_seed(self, client: TestClient, forecast_request: Body) -> None:
        answer = client.post("/forecast", json=forecast_request | {"seed": 2**63 - 1})
        assert answer.json()["seed"] == 2**63 - 1

    def test_draws_a_seed_that_survives_javascript_and_shares_it_in_a_batch(
        self, client: TestClient, trajectory: Body
    ) -> None:
        body = {"model": "dnri-push3", "trajectories": [trajectory] * 2, "horizon": 1}
        seeds = [
            [result["seed"] for result in client.post("/forecast", json=body).json()["results"]]
            for _ in range(2)
        ]
        assert seeds[0][0] == seeds[0][1] < 2**53
        assert seeds[0] != seeds[1]

    def test_names_quantiles_by_their_level(
        self, client: TestClient, forecast_request: Body
    ) -> None:
        answer = client.post("/forecast", json=forecast_request | {"quantiles": [0.1, 0.9]})
        assert list(answer.json()["quantiles"]) == ["0.1", "0.9"]

    def test_holds_the_outputs_that_were_named(
        self, client: TestClient, forecast_request: Body
    ) -> None:
        body = forecast_request | {"outputs": ["samples", "relations"]}
        answer = client.post("/forecast", json=body).json()
        assert len(answer["samples"]) == 2
        assert "relations" in answer
        assert not {"mean", "quantiles", "bands", "baseline"} & set(answer)
