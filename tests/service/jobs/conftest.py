"""The parts of jobs over a real broker, which is emptied before each test."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from service.broker import EmbeddedBroker
from service.jobs.connection import Database, brisk
from service.jobs.keys import JobRef
from service.jobs.lease import Leases
from service.jobs.record import NewJob, Records
from service.jobs.store import Store
from service.jobs.terms import JobTerms
from service.jobs.work import Bench

TERMS = JobTerms(lease_s=1.0, beat_s=0.05, stall_s=30.0, cancel_grace_s=1.0, reap_s=0.2, ring_s=0.5)


class Clock:
    """A clock that only moves when told to."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bells:
    """A doorbell that remembers who rang."""

    rung: list[tuple[str, str, str]] = field(default_factory=list)

    def ring(self, ref: JobRef, kind: str, queue: str) -> bool:
        self.rung.append((str(ref), kind, queue))
        return True


@pytest.fixture
def database(broker: EmbeddedBroker) -> Iterator[Database]:
    connected = brisk(broker.url)
    connected.run("return redis.call('FLUSHALL')", [], [])
    yield connected
    connected.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def records(database: Database, clock: Clock) -> Records:
    return Records(database, keep_s=100.0, forget_s=50.0, clock=clock)


@pytest.fixture
def leases(database: Database, clock: Clock) -> Leases:
    return Leases(database, TERMS, clock)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "results"), tmp_path / "runs")


@pytest.fixture
def bells() -> Bells:
    return Bells()


@pytest.fixture
def bench(records: Records, leases: Leases, store: Store, bells: Bells) -> Bench:
    return Bench(records, leases, store, bells, TERMS, abandon=lambda: None)


@pytest.fixture
def queued(records: Records) -> JobRef:
    """A job that waits to be done."""
    ref = JobRef.new("default")
    records.create(ref, NewJob("forecast", "interactive", '{"horizon":3}'), None)
    return ref
