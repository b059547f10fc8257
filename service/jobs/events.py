"""What happened to a job, in order: a capped Redis stream that readers can join anywhere."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, cast

from redis.exceptions import RedisError

from service.errors import Unavailable
from service.jobs.connection import LONGEST_BLOCK_S
from service.jobs.keys import JobRef
from service.schemas.jobs import TERMINAL_STATES

EVENT_ID = re.compile(r"^\d{1,20}-\d{1,20}$")
BEGINNING = "0-0"


@dataclass(frozen=True)
class Event:
    """One entry of the stream; ``id`` is what ``Last-Event-ID`` names."""

    id: str
    state: str
    phase: str
    done: int
    total: int
    eta_s: float | None
    attempts: int

    @property
    def is_last(self) -> bool:
        """Whether nothing follows."""
        return self.state in TERMINAL_STATES

    def to_wire(self) -> dict[str, Any]:
        """Give the event in the words of the job body."""
        return {
            "state": self.state,
            "progress": {
                "phase": self.phase,
                "done": self.done,
                "total": self.total,
                "eta_s": self.eta_s,
            },
            "attempts": self.attempts,
        }


class Events:
    """Reads streams without blocking the event loop."""

    def __init__(self, client: Any) -> None:
        """Read through an event-loop client (``connection.listening``)."""
        self._client = client

    async def after(self, ref: JobRef, last_id: str, wait_s: float) -> list[Event]:
        """Give the events after ``last_id``, waiting up to ``wait_s`` for the first.

        Raises:
            Unavailable: if the broker is away.
        """
        block_ms = max(1, round(min(wait_s, LONGEST_BLOCK_S) * 1000))
        try:
            answer = await self._client.xread({ref.events: last_id}, count=100, block=block_ms)
        except RedisError as error:
            raise broker_away() from error
        return [_event(name, fields) for name, fields in _entries(answer)]

    async def follow(self, ref: JobRef, last_id: str) -> AsyncIterator[Event | None]:
        """Give events as they come, to the last one; None now and then while nothing happens."""
        while True:
            events = await self.after(ref, last_id, LONGEST_BLOCK_S)
            if not events:
                yield None
            for event in events:
                last_id = event.id
                yield event
                if event.is_last:
                    return

    async def last_id(self, ref: JobRef) -> str:
        """Give the id of the newest event, or the beginning if there is none."""
        try:
            newest = await self._client.xrevrange(ref.events, count=1)
        except RedisError as error:
            raise broker_away() from error
        return cast("str", newest[0][0]) if newest else BEGINNING

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()


def broker_away() -> Unavailable:
    """Give the refusal of a call that needs the broker while it is away."""
    return Unavailable(
        "the job store does not answer",
        code="broker-unavailable",
        fix="Try again; accepted jobs are kept and go on when it is back.",
        retry_after_s=2,
    )


def _entries(answer: Any) -> list[tuple[str, dict[str, str]]]:
    """Give the entries of the one stream that was read, in either protocol's shape."""
    if not answer:
        return []
    if isinstance(answer, dict):  # RESP3: {stream: [entries]}
        batches = cast("list[Any]", next(iter(cast("dict[str, Any]", answer).values())))
        return [entry for batch in batches for entry in batch]
    return cast("list[tuple[str, dict[str, str]]]", answer[0][1])


def _event(name: str, fields: dict[str, str]) -> Event:
    return Event(
        id=name,
        state=fields["state"],
        phase=fields["phase"],
        done=int(fields["done"]),
        total=int(fields["total"]),
        eta_s=float(fields["eta_s"]) if fields["eta_s"] else None,
        attempts=int(fields["attempts"]),
    )
