import stat
from pathlib import Path

import pytest

from service import broker
from service.broker import BrokerMissing, find_server, prepare_broker
from service.jobs.connection import brisk
from tests.service.brokers import running_broker


def executable(folder: Path, name: str) -> Path:
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_a_server_on_the_path_is_preferred_to_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = executable(tmp_path, "valkey-server")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_server() == found
    redis = executable(tmp_path, "redis-server")
    assert find_server() == redis


def test_without_one_on_the_path_the_wheel_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = find_server()
    assert found is not None
    assert found.name == "valkey-server"


def test_without_any_server_the_way_out_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "WHEEL", "no-such-wheel")
    with pytest.raises(BrokerMissing, match=r"REDIS_URL.*make install"):
        prepare_broker(tmp_path)


def test_the_password_is_in_no_command_line_and_in_no_readable_file(tmp_path: Path) -> None:
    embedded = prepare_broker(tmp_path)
    password = embedded.url.split(":")[2].partition("@")[0]
    assert len(password) >= 24
    assert password not in " ".join(embedded.command)
    configuration = Path(embedded.command[1])
    assert password in configuration.read_text()
    assert stat.S_IMODE(configuration.stat().st_mode) == 0o600


def test_each_start_has_a_password_of_its_own(tmp_path: Path) -> None:
    assert prepare_broker(tmp_path).url != prepare_broker(tmp_path).url


def test_what_was_written_is_there_after_a_restart_and_only_for_who_knows_the_password(
    tmp_path: Path,
) -> None:
    home = tmp_path / "a home with spaces"
    with running_broker(home) as first:
        brisk(first.url).put("key", "value", 60_000)
    with running_broker(home) as second:
        assert brisk(second.url).read("key") == "value"
        assert not brisk(f"redis://127.0.0.1:{second.port}/0").is_reachable()
