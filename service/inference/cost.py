"""How long work will take: counted edge rows times a speed that is measured as work goes by."""

import threading
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Histogram

from service.inference.line import Work
from service.telemetry import REGISTRY, SECONDS

UNION_WORKS = Histogram(
    "relata_engine_union_works",
    "Works that ran as one union.",
    buckets=(1, 2, 4, 8, 16, 32, 64),
    registry=REGISTRY,
)
RUN_SECONDS = Histogram(
    "relata_engine_run_seconds", "Engine time of a union.", buckets=SECONDS, registry=REGISTRY
)
QUEUE_SECONDS = Histogram(
    "relata_engine_queue_seconds",
    "Wait of a work for the engine.",
    buckets=SECONDS,
    registry=REGISTRY,
)
REFUSED = Counter(
    "relata_engine_refused_total",
    "Works turned away or given up, by reason.",
    ("code",),
    registry=REGISTRY,
)

ROW_SECONDS = 8e-6
"""Per edge row of the published size (256 hidden), on one slow core; corrected by measurement."""
CALL_SECONDS = 3e-4
LEARNING = 0.2
MOST_CORRECTION = 50.0


@dataclass(frozen=True)
class Cost:
    """What some work asks of the engine: edge rows in all, and calls of the runtime."""

    rows: int
    calls: int

    @property
    def raw_seconds(self) -> float:
        """Give the time that it would take at the assumed speed."""
        return self.rows * ROW_SECONDS + self.calls * CALL_SECONDS


class Speedometer:
    """Learns for each kind of work how far the assumed speed is off."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._corrections: dict[Hashable, float] = {}

    def seconds(self, kind: Hashable, cost: Cost, pace: float = 1.0) -> float:
        """Give the time that work of this kind should take; `pace` is the first correction."""
        with self._lock:
            return cost.raw_seconds * self._corrections.setdefault(kind, _bounded(pace))

    def learn(self, kind: Hashable, expected_s: float, found_s: float) -> None:
        """Take in one measurement; a single slow call moves the estimate only a little."""
        if expected_s <= 0:
            return
        ratio = min(max(found_s / expected_s, 0.1), 10.0)
        with self._lock:
            before = self._corrections.get(kind, 1.0)
            self._corrections[kind] = _bounded(before * ratio**LEARNING)


def _bounded(correction: float) -> float:
    return min(max(correction, 1 / MOST_CORRECTION), MOST_CORRECTION)


class Ledger:
    """Counts for ``/metrics`` what the engine did, and teaches the speedometer."""

    def __init__(self, speedometer: Speedometer) -> None:
        self._speedometer = speedometer

    def finished(self, works: Sequence[Work], waited_s: Sequence[float], busy_s: float) -> None:
        """Count a union that was answered."""
        self._speedometer.learn(works[0].kind, sum(work.seconds for work in works), busy_s)
        UNION_WORKS.observe(len(works))
        RUN_SECONDS.observe(busy_s)
        for seconds in waited_s:
            QUEUE_SECONDS.observe(seconds)

    def abandoned(self, works: Sequence[Work], busy_s: float) -> None:
        """Learn from work that was given up: it would have taken longer than `busy_s`."""
        expected_s = sum(work.seconds for work in works)
        if busy_s > expected_s:
            self._speedometer.learn(works[0].kind, expected_s, busy_s)

    def refused(self, code: str) -> None:
        """Count a work that got no answer."""
        REFUSED.labels(code).inc()
