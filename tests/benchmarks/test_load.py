"""A closed loop asks exactly as often as it was told, and stops at the first failure."""

import asyncio
import http.server
import threading
from collections.abc import Generator

import httpx
import pytest

from benchmarks.load import ask_repeatedly


class Answerer(http.server.BaseHTTPRequestHandler):
    """Counts what it is asked; answers 500 on /broken."""

    asked = 0

    def do_POST(self) -> None:
        type(self).asked += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(500 if self.path == "/broken" else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Generator[str]:
    Answerer.asked = 0
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answerer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("callers", [1, 3])
def test_every_request_is_counted_and_the_first_is_not(url: str, callers: int) -> None:
    timing = asyncio.run(ask_repeatedly(url, "/", {}, callers=callers, requests=10))
    assert timing.answers == 10
    assert Answerer.asked == 11
    assert 0 < timing.median <= timing.p95


def test_a_failure_is_not_timed_as_an_answer(url: str) -> None:
    with pytest.raises(httpx.HTTPStatusError):
        asyncio.run(ask_repeatedly(url, "/broken", {}, callers=2, requests=4))
