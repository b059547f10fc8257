"""Drives the app as a server does, message by message, for what a test client cannot do."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI

GONE = {"type": "http.disconnect"}


def part(body: bytes, *, more: bool = False) -> dict[str, Any]:
    """Give one message of a request's body."""
    return {"type": "http.request", "body": body, "more_body": more}


@dataclass
class Exchange:
    """One request: what it sends, and what came back."""

    path: str
    headers: Sequence[tuple[str, str]] = (("content-type", "application/json"),)
    inbox: "asyncio.Queue[dict[str, Any]]" = field(default_factory=asyncio.Queue)
    sent: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    received: int = 0

    def put(self, *messages: dict[str, Any]) -> None:
        """Let messages arrive."""
        for message in messages:
            self.inbox.put_nowait(message)

    @property
    def status(self) -> int | None:
        """Give the answer's status, if it has begun."""
        return self.sent[0]["status"] if self.sent else None

    async def run(self, app: FastAPI, state: dict[str, Any]) -> None:
        """Send the request through the app."""
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": self.path,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in self.headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
            "state": dict(state),
        }

        async def receive() -> dict[str, Any]:
            message = await self.inbox.get()
            self.received += 1
            return message

        async def send(message: Any) -> None:
            self.sent.append(message)

        await app(scope, receive, send)


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """Run the app's lifespan and give the state that it makes."""
    state: dict[str, Any] = {}
    async with app.router.lifespan_context(app) as made:
        state |= dict(made or {})
        yield state
