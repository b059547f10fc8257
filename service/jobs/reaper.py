"""The reaper: rings again for jobs that nobody holds, ends what was cancelled, expires the old."""

import secrets
import threading
from dataclasses import dataclass

import structlog
from redis.exceptions import RedisError

from service.jobs import keys
from service.jobs.connection import Database
from service.jobs.doorbell import QUEUES, Doorbell
from service.jobs.record import Record, Records
from service.jobs.store import Store
from service.jobs.terms import JobTerms

LONGEST_SILENCE_S = 600.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Sweep:
    """What one round did, by job id."""

    rung: tuple[str, ...] = ()
    cancelled: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()


class Reaper:
    """Looks after all jobs. Many may run; one at a time does the work."""

    def __init__(
        self,
        database: Database,
        records: Records,
        store: Store,
        doorbell: Doorbell,
        terms: JobTerms,
    ) -> None:
        """Take part in the election under a name of its own."""
        self._database = database
        self._records = records
        self._store = store
        self._doorbell = doorbell
        self._terms = terms
        self._name = secrets.token_hex(8)

    def run(self, stop: threading.Event) -> None:
        """Sweep every ``reap_s`` until told to stop; a broker that is away is waited for."""
        while not stop.wait(self._terms.reap_s):
            try:
                self.sweep_if_leader()
            except RedisError:
                log.warning("reaper-cannot-reach-broker")
            except Exception:
                log.exception("reaper-failed")

    def sweep_if_leader(self) -> Sweep | None:
        """Do one round, or nothing if another reaper leads."""
        tenure_ms = round(self._terms.reap_s * 5 * 1000)
        if not self._database.hold(keys.REAPER, self._name, tenure_ms):
            return None
        return self.sweep()

    def sweep(self) -> Sweep:
        """Do one round over all tenants."""
        records = self._records.open()
        held = self._database.exist([record.ref.lease for record in records])
        loose = [record for record, is_held in zip(records, held, strict=True) if not is_held]
        waiting = {queue: self._database.length(keys.queue_list(queue)) for queue in QUEUES}
        cancelled = [r for r in loose if r.state == "cancelling" and self._end_cancelled(r)]
        silent = [r for r in loose if r.state != "cancelling" and self._is_overdue(r, waiting)]
        for record in silent:
            self._ring(record)
        expired, forgotten = self._let_go()
        return Sweep(_ids(silent), _ids(cancelled), expired, forgotten)

    def _end_cancelled(self, record: Record) -> bool:
        return self._records.cancel(record.ref) == "cancelled"

    def _is_overdue(self, record: Record, waiting: dict[str, int]) -> bool:
        """Whether the message for this job must be taken for lost."""
        silence = self._records.now - max(record.rung_at, record.created_at)
        if silence < 0:  # the clock was set back
            return True
        if record.state == "queued" and waiting.get(record.queue, 0) > 0:
            # Its message may well be in the queue; do not flood it.
            return silence > min(60.0 * 2**record.rings, LONGEST_SILENCE_S)
        return silence > self._terms.ring_s

    def _ring(self, record: Record) -> None:
        log.info("doorbell-again", job=str(record.ref), state=record.state, rings=record.rings)
        self._doorbell.ring(record.ref, record.kind, record.queue)
        self._records.rung(record.ref)

    def _let_go(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        expired: list[Record] = []
        forgotten: list[Record] = []
        for record in self._records.outlived():
            self._store.remove(record.ref)
            if record.state == "expired":
                self._records.forget(record.ref)
                forgotten.append(record)
            else:
                self._records.expire(record.ref)
                expired.append(record)
        return _ids(expired), _ids(forgotten)


def _ids(records: list[Record]) -> tuple[str, ...]:
    return tuple(record.ref.id for record in records)
