"""A stack of real processes: a broker and workers that tests may kill."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from service.broker import EmbeddedBroker, prepare_broker
from service.jobs.connection import patient
from service.jobs.doorbell import CeleryDoorbell, celery_app
from service.jobs.keys import JobRef
from service.jobs.record import NewJob, Record, Records
from service.jobs.roster import Roster
from service.jobs.store import Store
from service.tasks.command import SERVING_QUEUES, worker_command
from tests.service.brokers import start

CHUNK_WORKER = "tests.service.tasks.chunk_worker"


class Stack:
    """Processes of one test, and the view of a caller on them."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.broker: EmbeddedBroker = prepare_broker(home)
        self.broker_process = start(self.broker)
        self.environment = os.environ | {
            "REDIS_URL": self.broker.url,
            "RELATA_HOME": str(home),
            "RELATA_JOB_LEASE_S": "1.5",
            "RELATA_JOB_BEAT_S": "0.2",
            "RELATA_JOB_REAP_S": "0.3",
            "RELATA_JOB_RING_S": "1.0",
        }
        self.records = Records(patient(self.broker.url), keep_s=1000, forget_s=1000)
        self.store = Store(str(home / "results"), home / "runs")
        self.doorbell = CeleryDoorbell(celery_app(self.broker.url))
        self.workers: list[subprocess.Popen[bytes]] = []

    def restart_broker(self) -> None:
        """Kill the broker and start it again on the same files and port."""
        self.broker_process.kill()
        self.broker_process.wait()
        time.sleep(0.5)
        self.broker_process = start(self.broker)

    def start_worker(self, app: str = CHUNK_WORKER, name: str = "one") -> subprocess.Popen[bytes]:
        """Start a worker and wait until it has said that it is there."""
        with (self.home / f"worker-{name}-{len(self.workers)}.log").open("wb") as log:
            worker = subprocess.Popen(
                worker_command(SERVING_QUEUES, name, app),
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.workers.append(worker)
        roster = Roster(patient(self.broker.url))
        until(lambda: any(w.name.startswith(f"{name}@") for w in roster.present()), 60)
        return worker

    def submit(self, request: Mapping[str, Any], kind: Any = "forecast") -> JobRef:
        """Hand in a job as the API does: written first, then rung for."""
        ref = JobRef.new("default")
        queue = "training" if kind == "retrain" else "batch"
        self.records.create(ref, NewJob(kind, queue, json.dumps(request)), None)
        assert self.doorbell.ring(ref, kind, queue)
        self.records.rung(ref)
        return ref

    def read(self, ref: JobRef) -> Record:
        record = self.records.get(ref)
        assert record is not None
        return record

    def wait(self, ref: JobRef, is_so: Callable[[Record], bool], seconds: float = 60) -> Record:
        """Wait until the record is as wanted."""
        until(lambda: is_so(self.read(ref)), seconds, lambda: f"{self.read(ref)}\n{self.logs()}")
        return self.read(ref)

    def end_of(self, ref: JobRef, seconds: float = 60) -> Record:
        return self.wait(ref, lambda record: record.is_over, seconds)

    def body(self, ref: JobRef) -> bytes:
        stored = self.read(ref).result
        assert stored is not None
        return self.store.read(stored)

    def logs(self) -> str:
        return "\n".join(path.read_text()[-3000:] for path in sorted(self.home.glob("*.log")))

    def close(self) -> None:
        for worker in self.workers:
            end_tree(worker.pid)
            worker.wait()
        self.broker_process.kill()
        self.broker_process.wait()


def until(is_so: Callable[[], bool], seconds: float, tell: Callable[[], str] = lambda: "") -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline, f"not within {seconds} s\n{tell()}"
        time.sleep(0.05)


def end_tree(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    """Kill a process with all its descendants, as a machine that goes down does."""
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    built = Stack(tmp_path)
    yield built
    built.close()
