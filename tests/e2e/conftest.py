"""`python -m service up` as a person runs it, and what a person can do to it."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

UP_S = 90.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(is_so: Callable[[], bool], seconds: float, tell: Callable[[], str]) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{tell()}"
        time.sleep(0.1)


class Up:
    """One running `up`, what it prints, and a client."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        self.port = int(environment.pop("PORT", free_port()))
        self.home = home
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [sys.executable, "-m", "service", "up", *options],
            env=os.environ
            | {"PORT": str(self.port), "RELATA_HOME": str(home), "RELATA_JOB_LEASE_S": "3"}
            | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as output:
            self.lines.extend(line.rstrip() for line in output)

    @property
    def output(self) -> str:
        return "\n".join(self.lines)

    def wait_until_up(self) -> None:
        """Wait for the line that says where it serves."""
        until(lambda: "serves at" in self.output or self.is_over, UP_S, lambda: self.output)
        assert not self.is_over, self.output

    @property
    def is_over(self) -> bool:
        return self.process.poll() is not None

    def family(self) -> list[psutil.Process]:
        """Give all processes of the stack."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, word: str) -> psutil.Process:
        """Give the oldest process whose command line holds a word."""
        found = [one for one in self.family() if word in command_line(one)]
        return min(found, key=lambda one: one.create_time())

    def end(self, seconds: float = 40) -> int:
        """Wait for the end and give the exit status."""
        status = self.process.wait(seconds)
        self._reader.join()
        self.http.close()
        return status

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to stop; nothing may be left of it."""
        family = self.family()
        self.process.send_signal(number)
        status = self.end()
        left = [one for one in family if one.is_running() and one.status() != "zombie"]
        assert left == [], self.output
        return status

    def submit(self, kind: str, request: dict[str, Any]) -> dict[str, Any]:
        answer = self.http.post("/v1/jobs", json={"kind": kind, "request": request})
        assert answer.status_code == 202, answer.text
        return answer.json()

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        return self.http.get(job["links"]["self"]).json()

    def follow(
        self, job: dict[str, Any], is_so: Callable[[dict[str, Any]], bool], seconds: float
    ) -> dict[str, Any]:
        """Poll until the job is as wanted."""
        until(lambda: is_so(self.look(job)), seconds, lambda: f"{self.look(job)}\n{self.output}")
        return self.look(job)


def command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:  # it has just ended
        return ""


def is_over(job: dict[str, Any]) -> bool:
    return job["state"] in ("succeeded", "failed", "cancelled", "expired")


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Up]:
    started = Up(tmp_path / "home")
    started.wait_until_up()
    yield started
    if not started.is_over:
        assert started.stop() == 0
