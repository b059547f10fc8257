"""Which workers are there and what they can do: each says so every few seconds."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from service.jobs import keys
from service.jobs.connection import Database
from service.jobs.record import Clock

SILENT_AFTER_S = 15.0
ANNOUNCE_S = 4.0


@dataclass(frozen=True)
class Worker:
    """One worker process: its name, the queues it serves and when it last said so."""

    name: str
    queues: tuple[str, ...]
    seen_at: float


class Roster:
    """The workers that are alive, by their own word."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        """Read and write one hash."""
        self._database = database
        self._clock = clock

    def announce(self, name: str, queues: Sequence[str]) -> None:
        """Say that a worker is there."""
        worker = Worker(name, tuple(queues), self._clock())
        self._database.set_field(keys.WORKERS, name, json.dumps(asdict(worker)))

    def leave(self, name: str) -> None:
        """Say that a worker is gone."""
        self._database.remove_field(keys.WORKERS, name)

    def present(self) -> list[Worker]:
        """Give the workers heard of lately; the others are struck off."""
        known = [_worker(text) for text in self._database.fields(keys.WORKERS).values()]
        earliest = self._clock() - SILENT_AFTER_S
        for worker in known:
            if worker.seen_at < earliest:
                self.leave(worker.name)
        return sorted((w for w in known if w.seen_at >= earliest), key=lambda w: w.name)

    def serves(self, queue: str) -> bool:
        """Say whether any worker serves a queue now."""
        return any(queue in worker.queues for worker in self.present())


def _worker(text: str) -> Worker:
    fields = json.loads(text)
    return Worker(fields["name"], tuple(fields["queues"]), fields["seen_at"])
