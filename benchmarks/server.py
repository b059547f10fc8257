"""A service of our own to measure: started for the benchmark, stopped after it."""

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager

import httpx

READY_WITHIN_S = 60


@contextmanager
def started_service() -> Generator[str]:
    """Start the API without jobs on a free port; give its address once it is ready.

    Raises:
        RuntimeError: if it is not ready within a minute.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as home:
        environment = os.environ | {"PORT": str(port), "RELATA_HOME": home}
        environment |= {"RELATA_LOG_LEVEL": "error"}
        environment.pop("REDIS_URL", None)
        command = [sys.executable, "-m", "service", "api"]
        process = subprocess.Popen(command, env=environment)
        try:
            _wait_until_ready(process, url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    deadline = time.monotonic() + READY_WITHIN_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/readyz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.2)
    raise RuntimeError(
        f"the service was not ready within {READY_WITHIN_S} s (exit code {process.poll()}); "
        "start one yourself and name it with --url"
    )
