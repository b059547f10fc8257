import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from service import broker, stack
from service.broker import EmbeddedBroker
from service.jobs.assembly import open_roster
from service.settings import Settings
from service.stack import build_stack, quiet_environment
from service.supervisor import Part, StackError


@contextmanager
def answering(status: int, body: dict[str, Any]) -> Iterator[int]:
    """Answer every request the same way; give the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(body).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def parts(settings: Settings) -> dict[str, Part]:
    return {part.name: part for part in build_stack(settings, {}).parts}


def test_the_broker_comes_first_and_only_where_none_is_named(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "training_is_installed", lambda: False)
    own = parts(Settings(home=tmp_path, redis_url=None))
    assert list(own) == ["broker", "api", "worker"]
    assert own["api"].environment["REDIS_URL"].startswith("redis://:")
    named = parts(Settings(home=tmp_path, redis_url=broker.url))
    assert list(named) == ["api", "worker"]
    assert named["worker"].environment["REDIS_URL"] == broker.url


def test_a_trainer_comes_only_where_training_is_installed(
    tmp_path: Path, broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stack, "training_is_installed", lambda: True)
    with_training = parts(Settings(home=tmp_path, redis_url=broker.url))
    assert "training" in with_training["trainer"].command
    assert "training" not in with_training["worker"].command


def test_workers_are_mended_and_the_api_and_the_broker_are_not(tmp_path: Path) -> None:
    mended = {name: part.restarts for name, part in parts(Settings(home=tmp_path)).items()}
    assert mended["worker"]
    assert not mended["api"]
    assert not mended["broker"]


def test_no_broker_to_be_had_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(broker, "WHEEL", "no-such-wheel")
    with pytest.raises(StackError, match="no broker"):
        build_stack(Settings(home=tmp_path, redis_url=None), {})


@pytest.mark.parametrize(
    ("status", "body", "is_ready"),
    [
        (200, {"status": "ready", "reasons": []}, True),
        (503, {"status": "not-ready", "reasons": ["the broker does not answer"]}, False),
    ],
)
def test_the_api_is_ready_when_it_says_so(
    tmp_path: Path, status: int, body: dict[str, Any], is_ready: bool
) -> None:
    with answering(status, body) as port:
        api = parts(Settings(home=tmp_path, port=port))["api"]
        assert asyncio.run(api.is_ready()) is is_ready


def test_an_api_without_models_ends_the_start_and_says_why(tmp_path: Path) -> None:
    body = {"reasons": [stack.NO_MODEL], "refused": {"dnri-push3@1": "the sha256 differs"}}
    with answering(503, body) as port:
        api = parts(Settings(home=tmp_path, port=port))["api"]
        with pytest.raises(StackError, match="dnri-push3@1: the sha256 differs"):
            asyncio.run(api.is_ready())


def test_a_worker_is_ready_when_it_has_said_so_after_the_start(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    settings = Settings(home=tmp_path, redis_url=broker.url)
    roster = open_roster(settings)
    roster.announce("worker@here", ["batch"])  # left behind by an earlier stack
    worker = parts(settings)["worker"]
    assert not asyncio.run(worker.is_ready())
    roster.announce("worker@here", ["batch"])
    assert asyncio.run(worker.is_ready())


def test_logs_are_for_people_unless_somebody_chose_otherwise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(home=tmp_path)
    assert quiet_environment(settings, quiet=False)["RELATA_LOG_FORMAT"] == "console"
    monkeypatch.setenv("RELATA_LOG_FORMAT", "json")
    assert quiet_environment(settings, quiet=True)["RELATA_LOG_FORMAT"] == "json"
