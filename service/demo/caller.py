"""The few HTTP calls of the demo; a refusal becomes the one line that says why."""

from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import httpx

from service.supervisor import StackError

CALL_TIMEOUT_S = 60.0
WAIT_S = 1
NOT_MODIFIED = 304


class Caller:
    """Talks to one service."""

    def __init__(self, url: str) -> None:
        """Call the service at ``url``."""
        self._client = httpx.Client(base_url=url, timeout=CALL_TIMEOUT_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the connections back."""
        self._client.close()

    def models(self) -> frozenset[str]:
        """Give the names of the models that are served."""
        return frozenset(self._get("/readyz")["models"])

    def ask(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Give the answer to a request."""
        return _checked(self._send("POST", path, json=body)).json()

    def follow(self, job: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Poll a job to its end, telling each state of it; give the last one."""
        tag = ""
        while job["state"] not in ("succeeded", "failed", "cancelled", "expired"):
            headers = {"Prefer": f"wait={WAIT_S}", "If-None-Match": tag}
            answer = self._send("GET", job["links"]["self"], headers=headers)
            if answer.status_code != NOT_MODIFIED:
                job, tag = _checked(answer).json(), answer.headers["ETag"]
                tell(job)
        return job

    def fetch(self, path: str) -> bytes:
        """Give the bytes at a path."""
        return _checked(self._send("GET", path)).content

    def _get(self, path: str) -> dict[str, Any]:
        return _checked(self._send("GET", path)).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except httpx.HTTPError as error:
            raise StackError(f"{method} {path} got no answer: {error}") from error


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        problem = answer.json()
        reason = f"{problem['detail']} ({problem['code']})"
    except (ValueError, KeyError):
        reason = answer.reason_phrase
    request = answer.request
    raise StackError(
        f"{request.method} {request.url.path} was refused with {answer.status_code}: {reason}"
    )
