import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from service.schemas.models import ModelDetail, ModelList, VersionCard
from tests.service.artifact_files import write_artifact


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "it did not come true within 10 s"
        time.sleep(0.01)


def version_of(client: TestClient, request: dict[str, Any], model: str) -> Any:
    answer = client.post("/infer-relations", json=request | {"model": model})
    return answer.json()["model"]["version"] if answer.status_code == 200 else answer.status_code


class TestCards:
    def test_list_names_versions_and_aliases(self, client: TestClient) -> None:
        listed = ModelList.model_validate_json(client.get("/v1/models").content)
        [summary] = listed.models
        assert (summary.name, summary.versions) == ("dnri-push3", [1])
        assert (summary.aliases, summary.refused) == ({"champion": 1}, [])

    def test_model_shows_the_card_of_its_champion(self, client: TestClient) -> None:
        detail = ModelDetail.model_validate_json(client.get("/v1/models/dnri-push3").content)
        assert detail.champion is not None
        assert detail.champion.relation_types == ["none", "push"]
        assert detail.champion.card.startswith("# dnri-push3")

    def test_version_is_found_by_number_and_by_alias(self, client: TestClient) -> None:
        for version in ("1", "champion"):
            answer = client.get(f"/v1/models/dnri-push3/{version}")
            card = VersionCard.model_validate_json(answer.content)
            assert (card.version, card.aliases, card.frame_rate) == (1, ["champion"], 1.0)

    def test_what_is_not_there_is_404(self, client: TestClient) -> None:
        for path, code in {
            "/v1/models/other": "model-not-found",
            "/v1/models/dnri-push3/2": "version-not-found",
            "/v1/models/dnri-push3/candidate": "alias-not-found",
        }.items():
            answer = client.get(path)
            assert (answer.status_code, answer.json()["code"]) == (404, code)

    def test_a_path_is_no_name(self, client: TestClient) -> None:
        for path in ("/v1/models/..%2f..", "/v1/models/%2e%2e", "/v1/models/%2Fetc%2Fpasswd"):
            assert client.get(path).status_code in (404, 422)
        assert client.get("/v1/models/UPPER").status_code == 422


class TestReload:
    def test_a_version_exported_now_is_served_now(
        self, client: TestClient, home: Path, relations_request: dict[str, Any]
    ) -> None:
        write_artifact(home, "dnri-push3", 2, frame_rate=1.0)
        assert version_of(client, relations_request, "dnri-push3@2") == 2
        assert version_of(client, relations_request, "dnri-push3") == 1

    def test_an_alias_moved_by_another_process_is_followed(
        self, client: TestClient, home: Path, relations_request: dict[str, Any]
    ) -> None:
        write_artifact(home, "dnri-push3", 2, frame_rate=1.0)
        (home / "dnri-push3" / "aliases").mkdir()
        (home / "dnri-push3" / "aliases" / "champion").write_text("2\n")
        eventually(lambda: version_of(client, relations_request, "dnri-push3") == 2)

    def test_a_corrupt_version_is_refused_by_name_and_the_old_one_serves(
        self, client: TestClient, home: Path, relations_request: dict[str, Any]
    ) -> None:
        directory = write_artifact(home, "dnri-push3", 2, frame_rate=1.0)
        (directory / "weights.safetensors").write_bytes(b"broken")
        answer = client.post("/infer-relations", json=relations_request | {"model": "dnri-push3@2"})
        assert (answer.status_code, answer.json()["code"]) == (503, "artifact-refused")
        assert "dnri-push3@2 is refused: weights.safetensors" in answer.json()["detail"]
        assert version_of(client, relations_request, "dnri-push3") == 1
        assert client.get("/readyz").json()["refused"].keys() == {"dnri-push3@2"}
        assert client.get("/v1/models").json()["models"][0]["refused"][0]["version"] == 2


class TestAlias:
    def test_moves_at_once_and_back(
        self, client: TestClient, home: Path, relations_request: dict[str, Any]
    ) -> None:
        write_artifact(home, "dnri-push3", 2, frame_rate=1.0)
        for version, previous in ((2, 1), (1, 2)):
            answer = client.put("/v1/models/dnri-push3/aliases/champion", json={"version": version})
            assert answer.json() == {
                "name": "dnri-push3",
                "alias": "champion",
                "version": version,
                "previous": previous,
            }
            assert version_of(client, relations_request, "dnri-push3") == version

    def test_may_be_a_new_word(self, client: TestClient, relations_request: dict[str, Any]) -> None:
        answer = client.put("/v1/models/dnri-push3/aliases/candidate", json={"version": 1})
        assert answer.json()["previous"] is None
        assert version_of(client, relations_request, "dnri-push3@candidate") == 1

    def test_to_a_version_that_is_missing_or_corrupt_is_refused(
        self, client: TestClient, home: Path
    ) -> None:
        path = "/v1/models/dnri-push3/aliases/champion"
        assert client.put(path, json={"version": 5}).status_code == 404
        directory = write_artifact(home, "dnri-push3", 2)
        (directory / "card.md").write_text("changed")
        answer = client.put(path, json={"version": 2})
        assert (answer.status_code, answer.json()["code"]) == (409, "artifact-refused")

    def test_that_is_no_word_or_a_body_that_is_none_is_422(self, client: TestClient) -> None:
        assert client.put("/v1/models/dnri-push3/aliases/7", json={"version": 1}).status_code == 422
        path = "/v1/models/dnri-push3/aliases/champion"
        for body in (
            {},
            {"version": 0},
            {"version": "1"},
            {"version": True},
            {"version": 1, "x": 1},
        ):
            assert client.put(path, json=body).status_code == 422
