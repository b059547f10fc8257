"""One engine, many callers: who is served next, who together, and who is turned away at once.

The laws (each has a test): as many answers as questions; an error reaches only its own callers; the
engine never waits while there is work; a full queue answers at once; work whose callers have left
is dropped; what misses its deadline is told so; shutdown drains.

Work is a generator that yields between slices of a few milliseconds. Between two slices the engine
looks up: short work overtakes long work, and the oldest still gets every second slice.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future
from typing import Generic

from service.errors import DeadlineMissed, ServiceError
from service.inference.line import (
    Batch,
    Observer,
    R,
    Terms,
    Ticket,
    W,
    as_refusal,
    draining,
    overloaded,
)

OVERTAKE = 0.5
"""Work may overtake running work of which at least twice its own time is left."""
MAX_ACTIVE = 4


Run = Callable[[Sequence[W]], Generator[None, None, Sequence[R]]]


class Scheduler(Generic[W, R]):
    """Runs works in one thread of its own; `submit` may be called from any thread."""

    def __init__(
        self,
        run: Run[W, R],
        terms: Terms | None = None,
        *,
        observer: Observer | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the engine's thread.

        Args:
            run: computes a union of works of one lane and gives one result each, in order.
            terms: limits of queue and union.
            observer: told of every batch and refusal.
            clock: seconds; deadlines are on it.
        """
        self._run = run
        self._terms = terms or Terms()
        self._observer = observer
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[Ticket[W, R]] = deque()
        self._active: list[Batch[W, R]] = []
        self._closing = False
        self._turn = 0
        self._thread = threading.Thread(target=self._serve, name="engine", daemon=True)
        self._thread.start()

    def submit(self, work: W, *, deadline: float) -> "Future[R]":
        """Put work in line; cancel the future to have it dropped.

        Raises:
            Unavailable: at once, when draining, when too much work waits, or when the deadline
                cannot be met; it says when to come back.
        """
        with self._changed:
            refusal = self._refusal(work, deadline)
            if refusal is None:
                ticket: Ticket[W, R] = Ticket(work, deadline, self._clock())
                self._queue.append(ticket)
                self._changed.notify()
                return ticket.answer
        self._tell_refused(refusal.code)
        raise refusal

    @property
    def backlog_s(self) -> float:
        """Give the estimated engine time of all work that is waiting or running."""
        with self._changed:
            return self._waiting_s() + sum(batch.left_s for batch in self._active)

    @property
    def waiting(self) -> int:
        """Give the number of works that wait."""
        with self._changed:
            return len(self._queue)

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._thread.is_alive()

    @property
    def is_closing(self) -> bool:
        """Whether new work is refused because the engine shuts down."""
        return self._closing

    def close(self, drain_s: float) -> None:
        """Take no more work, finish what there is within `drain_s`, and refuse the rest."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join(timeout=drain_s)
        self._give_up(draining())

    def _refusal(self, work: W, deadline: float) -> ServiceError | None:
        if self._closing or not self._thread.is_alive():
            return draining()
        waiting = self._waiting_s()
        ahead = waiting + sum(batch.left_s for batch in self._active)
        if waiting and waiting + work.seconds > self._terms.queue_seconds:
            limit = f"at most {self._terms.queue_seconds:g} s may wait"
            return overloaded(f"{ahead:.1f} s of work is ahead of yours, {limit}", ahead)
        if ahead and self._clock() + ahead + work.seconds > deadline:
            late = f"with your {work.seconds:.1f} s it would miss its deadline"
            return overloaded(f"{ahead:.1f} s of work is ahead of yours, {late}", ahead)
        return None

    def _waiting_s(self) -> float:
        return sum(ticket.work.seconds for ticket in self._queue)

    def _serve(self) -> None:
        try:
            self._work()
        except Exception as error:  # a fault of this file: nobody may wait for ever
            self._give_up(error)

    def _work(self) -> None:
        while True:
            with self._changed:
                while not (self._queue or self._active or self._closing):
                    self._changed.wait()
                if self._closing and not (self._queue or self._active):
                    return
                self._admit()
                batch = self._next()
            if batch is not None:
                self._slice(batch)

    def _admit(self) -> None:
        """Drop dead tickets and start what should run now."""
        self._queue = deque(ticket for ticket in self._queue if self._is_wanted(ticket))
        while self._queue and len(self._active) < MAX_ACTIVE:
            shortest = min((batch.left_s for batch in self._active), default=None)
            head = next(
                (
                    t
                    for t in self._queue
                    if shortest is None or t.work.seconds < OVERTAKE * shortest
                ),
                None,
            )
            if head is None:
                return
            self._start(self._union(head))

    def _union(self, head: Ticket[W, R]) -> list[Ticket[W, R]]:
        """Give the head and whatever waiting work fits into its call."""
        tickets, rows = [head], head.work.rows
        for ticket in self._queue:
            fits = rows + ticket.work.rows <= self._terms.rows
            same = ticket.work.lane == head.work.lane and not (ticket.alone or head.alone)
            if ticket is not head and same and fits:
                tickets.append(ticket)
                rows += ticket.work.rows
        return tickets

    def _start(self, tickets: list[Ticket[W, R]]) -> None:
        chosen = {id(ticket) for ticket in tickets}
        self._queue = deque(ticket for ticket in self._queue if id(ticket) not in chosen)
        steps = self._run([ticket.work for ticket in tickets])
        self._active.append(Batch(tickets, steps, self._clock()))

    def _next(self) -> Batch[W, R] | None:
        self._turn += 1
        if not self._active:
            return None
        if self._turn % 2:
            return self._active[0]
        return min(self._active, key=lambda batch: batch.left_s)

    def _slice(self, batch: Batch[W, R]) -> None:
        wanted = [ticket for ticket in batch.tickets if self._is_wanted(ticket)]
        if not wanted:
            batch.steps.close()
            self._retire(batch)
            if self._observer is not None:
                self._observer.abandoned([t.work for t in batch.tickets], batch.busy_s)
            return
        began = self._clock()
        try:
            next(batch.steps)
        except StopIteration as end:
            batch.busy_s += self._clock() - began
            self._retire(batch)
            self._answer(batch, end.value)
        except Exception as error:
            self._retire(batch)
            self._isolate(batch, wanted, error)
        else:
            batch.busy_s += self._clock() - began

    def _answer(self, batch: Batch[W, R], results: Sequence[R]) -> None:
        if len(results) != len(batch.tickets):
            error = RuntimeError(f"{len(results)} results for {len(batch.tickets)} works")
            self._isolate(batch, batch.tickets, error)
            return
        for ticket, result in zip(batch.tickets, results, strict=True):
            ticket.succeed(result)
        if self._observer is not None:
            waited = [batch.started - ticket.entered for ticket in batch.tickets]
            self._observer.finished([t.work for t in batch.tickets], waited, batch.busy_s)

    def _isolate(
        self, batch: Batch[W, R], wanted: Sequence[Ticket[W, R]], error: Exception
    ) -> None:
        """Run the works of a failed union again one by one, so that only the guilty one fails."""
        if len(batch.tickets) > 1:
            with self._changed:
                for ticket in reversed(wanted):
                    ticket.alone = True
                    self._queue.appendleft(ticket)
            return
        for ticket in wanted:
            self._fail(ticket, as_refusal(error))

    def _give_up(self, error: Exception) -> None:
        """Tell everybody who still waits that no answer will come."""
        with self._changed:
            left = [*self._queue, *(t for batch in self._active for t in batch.tickets)]
            self._queue.clear()
            self._closing = True
        refusal = as_refusal(error)
        for ticket in left:
            ticket.fail(refusal)

    def _retire(self, batch: Batch[W, R]) -> None:
        with self._changed:
            self._active.remove(batch)

    def _is_wanted(self, ticket: Ticket[W, R]) -> bool:
        if ticket.answer.done() or ticket.answer.cancelled():
            return False
        if self._clock() <= ticket.deadline:
            return True
        late = DeadlineMissed(
            "the deadline passed before the work was done",
            fix="Ask for less (shorter window, horizon or fewer samples), or send it as a job.",
        )
        self._fail(ticket, late)
        return False

    def _fail(self, ticket: Ticket[W, R], error: ServiceError) -> None:
        ticket.fail(error)
        self._tell_refused(error.code)

    def _tell_refused(self, code: str) -> None:
        if self._observer is not None:
            self._observer.refused(code)
