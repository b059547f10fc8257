"""What wraps every request, as pure ASGI so that a caller's leaving stays visible inside.

It names the request, counts its body while it arrives, measures it, and turns what nobody foresaw
into a problem document.
"""

import time
from typing import Any

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service import security, telemetry
from service.api.problems import problem_response, unexpected
from service.errors import BodyTooLarge

log: Any = structlog.get_logger("http")
QUIET_ROUTES = frozenset({"/livez", "/readyz", "/metrics"})


class Gate:
    """The outermost layer of the app."""

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; anything but HTTP passes through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visit = _Visit(scope, send)
        structlog.contextvars.bind_contextvars(request_id=visit.request_id)
        telemetry.HTTP_ACTIVE.inc()
        try:
            await self._app(scope, _counted(scope, receive, self._max_body_bytes), visit.send)
        except Exception as error:
            if visit.status is not None:
                raise  # half an answer is out: the server can only close the connection
            await problem_response(unexpected(error), visit.request_id)(scope, receive, visit.send)
        finally:
            telemetry.HTTP_ACTIVE.dec()
            visit.record()
            structlog.contextvars.unbind_contextvars("request_id")


class _Visit:
    """One request from the outside: its id, its answer's status, how long it took."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._started = time.perf_counter()
        self.status: int | None = None
        self.request_id = security.request_id(Headers(scope=scope).get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = self.request_id

    async def send(self, message: Message) -> None:
        """Pass a message on; the first one gets the headers that every answer has."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-ID"] = self.request_id
            for name, value in security.EVERY_ANSWER.items():
                headers[name] = value
        await self._send(message)

    def record(self) -> None:
        """Write the metrics and one log line."""
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "unknown")
        method = self._scope["method"] if route != "unknown" else "unknown"
        telemetry.HTTP_SECONDS.labels(method, route, str(self.status or 0)).observe(seconds)
        if route not in QUIET_ROUTES:
            log.info(
                "answered",
                method=method,
                route=route,
                status=self.status,
                ms=round(1000 * seconds, 2),
            )


def _counted(scope: Scope, receive: Receive, cap: int) -> Receive:
    """Give a receive that stops a body at ``cap`` bytes, announced or not."""
    announced = Headers(scope=scope).get("content-length", "")
    arrived = 0

    async def counted() -> Message:
        nonlocal arrived
        if announced.isdecimal() and int(announced[:19]) > cap:
            raise _too_large(cap)
        message = await receive()
        if message["type"] == "http.request":
            arrived += len(message.get("body", b""))
            if arrived > cap:
                raise _too_large(cap)
        return message

    return counted


def _too_large(cap: int) -> BodyTooLarge:
    return BodyTooLarge(
        f"found a body of more than {cap} bytes, expected at most that",
        fix="Cut or thin the recording, or send its parts one by one.",
    )
