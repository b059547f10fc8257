from pathlib import Path

import pytest
from pydantic import ValidationError

from service.settings import Settings


def test_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATA_HOME", "/var/lib/relata")
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("REDIS_URL", "redis://broker:6379/0")
    found = Settings()
    assert (found.port, found.redis_url) == (9001, "redis://broker:6379/0")
    assert found.writable_artifacts == Path("/var/lib/relata/artifacts")


def test_artifacts_may_be_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELATA_ARTIFACTS", "/models")
    assert Settings().writable_artifacts == Path("/models")


def test_a_name_with_the_prefix_beats_the_plain_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "1")
    monkeypatch.setenv("RELATA_PORT", "2")
    assert Settings().port == 2


@pytest.mark.parametrize(("name", "value"), [("RUNTIME", "tensorrt"), ("PORT", "many")])
def test_nonsense_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"RELATA_{name}", value)
    with pytest.raises(ValidationError):
        Settings()
