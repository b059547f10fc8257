import io
from typing import Any

import pytest
from pyarrow import csv, parquet
from starlette.testclient import TestClient

from service.schemas.answers import RelationsAnswer
from tests.service.fakes import FakeServices

Body = dict[str, Any]


class TestAnswer:
    @pytest.mark.parametrize("path", ["/infer-relations", "/v1/infer-relations"])
    def test_has_exactly_the_contracts_members(
        self, client: TestClient, relations_request: Body, path: str
    ) -> None:
        answer = client.post(path, json=relations_request)
        assert answer.status_code == 200
        assert list(answer.json()) == [
            "model",
            "estimator",
            "static",
            "relation_types",
            "none_type",
            "frames",
            "sources",
            "targets",
            "probabilities",
            "warnings",
        ]
        RelationsAnswer.model_validate(answer.json(), strict=True)

    def test_lists_pairs_source_major_and_frames_in_the_callers_numbers(
        self, client: TestClient, relations_request: Body
    ) -> None:
        relations_request["trajectory"]["start_frame"] = 100
        answer = client.post("/infer-relations", json=relations_request).json()
        assert answer["model"] == {"name": "dnri-push3", "version": 1, "family": "dnri"}
        assert answer["sources"] == ["p1", "p1", "p2", "p2", "p3", "p3"]
        assert answer["targets"] == ["p2", "p3", "p1", "p3", "p1", "p2"]
        assert answer["frames"] == [101, 102, 103]  # velocities use up 100, the posterior 104
        assert answer["probabilities"][0][0] == [0.25, 0.75]

    def test_of_the_prior_has_the_last_frame_too(
        self, client: TestClient, relations_request: Body
    ) -> None:
        relations_request["estimator"] = "prior"
        answer = client.post("/infer-relations", json=relations_request).json()
        assert (answer["estimator"], answer["frames"]) == ("prior", [1, 2, 3, 4])

    def test_is_null_for_a_pair_that_is_absent(
        self, client: TestClient, relations_request: Body
    ) -> None:
        relations_request["trajectory"]["values"][2][0] = None
        answer = client.post("/infer-relations", json=relations_request).json()
        absent = [[row is None for row in frame] for frame in answer["probabilities"]]
        with_p1 = [True, True, True, False, True, False]
        assert absent == [[False] * 6, with_p1, with_p1]  # gone at 2, reappearing at 3

    def test_to_a_batch_is_results_in_order(self, client: TestClient, trajectory: Body) -> None:
        batch = [trajectory | {"start_frame": start} for start in (0, 50)]
        body = {"model": "dnri-push3", "trajectories": batch}
        answer = client.post("/infer-relations", json=body).json()
        assert [result["frames"][0] for result in answer["results"]] == [1, 51]

    def test_never_holds_a_number_that_is_not_finite(
        self, client: TestClient, services: FakeServices, relations_request: Body
    ) -> None:
        services.pipeline.value = float("inf")
        answer = client.post("/infer-relations", json=relations_request)
        assert (answer.status_code, answer.json()["code"]) == (500, "not-finite")


class TestSelect:
    def test_thins_frames(self, client: TestClient, relations_request: Body) -> None:
        relations_request |= {"estimator": "prior", "select": {"every": 2}}
        answer = client.post("/infer-relations", json=relations_request).json()
        assert answer["frames"] == [1, 3]
        relations_request["select"] = {"last": 1}
        answer = client.post("/infer-relations", json=relations_request).json()
        assert (answer["frames"], len(answer["probabilities"])) == ([4], 1)

    def test_keeps_pairs(self, client: TestClient, relations_request: Body) -> None:
        relations_request["select"] = {"top_k": 2}
        answer = client.post("/infer-relations", json=relations_request).json()
        assert len(answer["sources"]) == len(answer["probabilities"][0]) == 2
        relations_request["select"] = {"threshold": 0.8}
        answer = client.post("/infer-relations", json=relations_request).json()
        assert (answer["sources"], answer["probabilities"]) == ([], [[], [], []])


class TestLongTable:
    def test_is_csv_for_those_who_accept_it(
        self, client: TestClient, relations_request: Body
    ) -> None:
        relations_request["trajectory"]["values"][4][0] = None
        answer = client.post(
            "/infer-relations",
            json=relations_request | {"estimator": "prior"},
            headers={"Accept": "text/csv"},
        )
        assert answer.headers["content-type"].startswith("text/csv")
        table = csv.read_csv(io.BytesIO(answer.content)).to_pydict()
        assert list(table) == [
            "sequence",
            "frame",
            "time",
            "source",
            "target",
            "type",
            "p",
            "entropy",
            "p_0",
            "p_1",
            "estimator",
        ]
        assert len(table["frame"]) == 3 * 6 + 2  # p1 is away in the last frame
        assert (table["type"][0], table["p"][0], table["time"][0]) == ("push", 0.75, 1.0)
        assert table["entropy"][0] == pytest.approx(0.5623351)

    def test_is_parquet_for_those_who_accept_it(
        self, client: TestClient, relations_request: Body
    ) -> None:
        answer = client.post(
            "/infer-relations",
            json=relations_request,
            headers={"Accept": "application/vnd.apache.parquet"},
        )
        table = parquet.read_table(io.BytesIO(answer.content))
        assert (table.num_rows, table.num_columns) == (18, 11)
