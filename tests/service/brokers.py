"""Starts real brokers for tests."""

import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from service.broker import EmbeddedBroker, prepare_broker
from service.jobs.connection import brisk


def start(broker: EmbeddedBroker) -> subprocess.Popen[bytes]:
    """Start a broker and wait until it answers."""
    process = subprocess.Popen(broker.command, cwd=broker.folder)
    database = brisk(broker.url)
    deadline = time.monotonic() + 20
    while not database.is_reachable():
        assert process.poll() is None
        assert time.monotonic() < deadline, "the broker does not answer"
        time.sleep(0.02)
    database.close()
    return process


@contextmanager
def running_broker(home: Path) -> Generator[EmbeddedBroker]:
    """Run a broker for a while."""
    embedded = prepare_broker(home)
    process = start(embedded)
    try:
        yield embedded
    finally:
        process.terminate()
        process.wait(10)
