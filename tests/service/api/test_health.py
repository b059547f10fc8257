from pathlib import Path

from starlette.testclient import TestClient

from service.app import create_app
from service.schemas.answers import ReadyAnswer
from tests.service.fakes import FakeJobs, FakeServices, fake_services, fast_settings


def ready(client: TestClient) -> tuple[int, ReadyAnswer]:
    answer = client.get("/readyz")
    return answer.status_code, ReadyAnswer.model_validate_json(answer.content)


def test_livez_asks_for_nothing(client: TestClient) -> None:
    assert client.get("/livez").json() == {"status": "alive"}


def test_probes_that_ask_for_the_head_only_are_answered(client: TestClient) -> None:
    assert [client.head(path).status_code for path in ("/livez", "/readyz")] == [200, 200]


class TestReadyz:
    def test_names_runtime_models_and_broker(
        self, client: TestClient, services: FakeServices
    ) -> None:
        status, found = ready(client)
        assert (status, found.status, found.runtime) == (200, "ready", "fake-cpu")
        assert found.models == {"dnri-push3": {"aliases": {"champion": 1}}}
        assert found.broker.state == "none"
        services.jobs = FakeJobs()
        assert ready(client)[1].broker.state == "up"

    def test_is_503_without_the_broker_that_it_should_have(
        self, client: TestClient, services: FakeServices
    ) -> None:
        services.jobs = FakeJobs(reachable=False)
        status, found = ready(client)
        assert (status, found.broker.state) == (503, "down")
        assert found.reasons == ["the broker does not answer"]

    def test_is_503_without_a_model(self, tmp_path: Path) -> None:
        empty = fake_services(tmp_path / "a", tmp_path / "b")
        with TestClient(create_app(fast_settings(), build=lambda _: empty)) as client:
            status, found = ready(client)
        assert (status, found.reasons) == (503, ["no model can be served"])
