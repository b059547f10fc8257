"""A running app over fake networks and real artifact files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.broker import EmbeddedBroker
from service.schemas.examples import example_trajectory
from tests.service.artifact_files import write_artifact
from tests.service.brokers import running_broker
from tests.service.fakes import FakeServices, fake_services, fast_settings


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A real broker, one for all tests; who uses it empties it first."""
    with running_broker(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def services(tmp_path: Path, home: Path) -> FakeServices:
    write_artifact(tmp_path / "bundled", "dnri-push3", 1, frame_rate=1.0)
    return fake_services(home, tmp_path / "bundled")


@pytest.fixture
def client(services: FakeServices) -> Iterator[TestClient]:
    app = create_app(fast_settings(max_body_bytes=200_000), build=lambda _: services)
    with TestClient(app) as running:
        yield running


@pytest.fixture
def trajectory() -> dict[str, Any]:
    return example_trajectory(frames=5)


@pytest.fixture
def relations_request(trajectory: dict[str, Any]) -> dict[str, Any]:
    return {"model": "dnri-push3", "trajectory": trajectory}


@pytest.fixture
def forecast_request(trajectory: dict[str, Any]) -> dict[str, Any]:
    return {"model": "dnri-push3", "trajectory": trajectory, "horizon": 3, "num_samples": 2}
