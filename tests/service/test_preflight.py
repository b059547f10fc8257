import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from service import preflight
from service.broker import EmbeddedBroker, free_port
from service.preflight import check_named_broker, check_port, held_home
from service.settings import Settings
from service.supervisor import StackError


def test_a_busy_port_is_named_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=rf"port {port} on 127.0.0.1 is busy.*PORT={port + 1}"):
            check_port("127.0.0.1", port)
    check_port("127.0.0.1", port)


def test_a_full_disk_is_named_with_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    almost_nothing = SimpleNamespace(free=3 * 1024 * 1024)
    monkeypatch.setattr(preflight.shutil, "disk_usage", lambda _: almost_nothing)
    with (
        pytest.raises(StackError, match=r"no disk space: found 3 MB .* at least 64 MB"),
        held_home(tmp_path),
    ):
        pytest.fail("a full disk was taken for a good one")


def test_a_home_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(StackError, match=r"cannot write to .*file/home.*RELATA_HOME"),
        held_home(tmp_path / "file" / "home"),
    ):
        pytest.fail("a file was taken for a folder")


def test_a_home_is_held_by_one_stack_at_a_time(tmp_path: Path) -> None:
    with (
        held_home(tmp_path),
        pytest.raises(StackError, match="in use by another stack"),
        held_home(tmp_path),
    ):
        pytest.fail("two stacks hold one home")
    with held_home(tmp_path):
        pass


def test_a_broker_that_answers_passes(broker: EmbeddedBroker) -> None:
    check_named_broker(Settings(redis_url=broker.url))
    check_named_broker(Settings(redis_url=None))


def test_a_broker_that_does_not_answer_is_named_without_its_password() -> None:
    port = free_port()
    settings = Settings(redis_url=f"redis://:secret@127.0.0.1:{port}/0")
    with pytest.raises(StackError, match=f"no broker answers at 127.0.0.1:{port}") as caught:
        check_named_broker(settings)
    assert "secret" not in str(caught.value)
