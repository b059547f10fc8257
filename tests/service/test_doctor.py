from pathlib import Path

import pytest

from service import broker, doctor
from service.broker import free_port
from service.settings import Settings
from tests.service.small_artifacts import FOLDER


def settings(tmp_path: Path, **changes: object) -> Settings:
    return Settings(
        home=tmp_path, bundled_artifacts=FOLDER, port=free_port(), redis_url=None
    ).model_copy(update=changes)


def test_a_machine_that_has_everything_is_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.examine(settings(tmp_path)) == 0
    told = capsys.readouterr().out
    assert "small-markov, version 1 serves" in told
    assert "lacks" not in told


def test_what_serving_needs_and_does_not_find_is_status_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor.examine(settings(tmp_path, bundled_artifacts=tmp_path / "none")) == 1
    assert "none in" in capsys.readouterr().out


def test_a_machine_without_a_broker_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "WHEEL", "no-such-wheel")
    assert doctor.examine(settings(tmp_path)) == 1
    assert "no REDIS_URL and no server" in capsys.readouterr().out


def test_a_missing_runtime_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "RUNTIMES", ("no-such-runtime",))
    assert doctor.examine(settings(tmp_path)) == 1
    assert "no ONNX Runtime" in capsys.readouterr().out


def test_training_that_is_not_there_is_only_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(doctor, "training_is_installed", lambda: False)
    assert doctor.examine(settings(tmp_path)) == 0
    assert doctor.INSTALL_TRAINING in capsys.readouterr().out
