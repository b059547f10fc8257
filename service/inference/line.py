"""What stands in the engine's line: works, the tickets of their callers, and unions of them."""

import threading
from collections.abc import Generator, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import structlog

from service.errors import RuntimeFailure, ServiceError, Unavailable

log: Any = structlog.get_logger("scheduler")


class Work(Protocol):
    """A question to the engine."""

    @property
    def lane(self) -> Hashable:
        """Works of one lane may run as one union."""
        ...

    @property
    def kind(self) -> Hashable:
        """Works of one kind take equally long for equal cost."""
        ...

    @property
    def rows(self) -> int:
        """Edge rows that it adds to a call."""
        ...

    @property
    def seconds(self) -> float:
        """Estimated engine time, alone."""
        ...


W = TypeVar("W", bound=Work)
R = TypeVar("R")


class Observer(Protocol):
    """Learns what the engine did, for metrics and for better estimates."""

    def finished(self, works: Sequence[Work], waited_s: Sequence[float], busy_s: float) -> None:
        """A batch was answered after `busy_s` of engine time; each work waited so long before."""
        ...

    def abandoned(self, works: Sequence[Work], busy_s: float) -> None:
        """A batch was given up after `busy_s`, since nobody waited for it any more."""
        ...

    def refused(self, code: str) -> None:
        """A work was turned away or given up, for this reason."""
        ...


@dataclass(frozen=True)
class Terms:
    """What the scheduler holds itself to."""

    queue_seconds: float = 5.0
    """Estimated work that may wait."""
    rows: int = 1000
    """Edge rows of a union; larger work runs alone."""


@dataclass(eq=False)
class Ticket(Generic[W, R]):
    """One work in line, and who waits for it."""

    work: W
    deadline: float
    entered: float
    answer: "Future[R]" = field(default_factory=lambda: Future())
    alone: bool = False
    _settling: threading.Lock = field(default_factory=threading.Lock)

    def fail(self, error: Exception) -> None:
        """Tell the caller, if there still is one and nothing was said yet."""
        if self._is_mine_to_settle():
            self.answer.set_exception(error)

    def succeed(self, result: R) -> None:
        """Answer the caller, if there still is one and nothing was said yet."""
        if self._is_mine_to_settle():
            self.answer.set_result(result)

    def _is_mine_to_settle(self) -> bool:
        """Whether this call, of all threads, is the first; the engine and `close` may race."""
        return self._settling.acquire(blocking=False) and self.answer.set_running_or_notify_cancel()


@dataclass(eq=False)
class Batch(Generic[W, R]):
    """Tickets that run as one union."""

    tickets: list[Ticket[W, R]]
    steps: Generator[None, None, Sequence[R]]
    started: float
    busy_s: float = 0.0

    @property
    def left_s(self) -> float:
        """Give the estimated time still to go."""
        return max(0.0, sum(ticket.work.seconds for ticket in self.tickets) - self.busy_s)


def draining() -> Unavailable:
    """Give the refusal of an engine that shuts down."""
    return Unavailable(
        "this engine is shutting down",
        code="draining",
        fix="Send it again; another process or the restarted one answers.",
        retry_after_s=1.0,
    )


def overloaded(detail: str, ahead_s: float) -> Unavailable:
    """Give the refusal of work that cannot be done soon, with the time to come back."""
    return Unavailable(
        detail,
        code="overloaded",
        fix="Send it again after Retry-After seconds, or as a job.",
        retry_after_s=ahead_s,
    )


def as_refusal(error: Exception) -> ServiceError:
    """Give what the caller is told; the cause of an unknown error is logged, not sent."""
    if isinstance(error, ServiceError):
        return error
    log.error("engine-failure", exc_info=error)
    return RuntimeFailure(
        "the engine failed on this request; the cause is in the log",
        fix="Send it again; if it fails again, report it with the request id.",
    )
