"""Every refusal of the service, sorted by whose fault it is.

    ServiceError                500  (base; the caller sees no detail of it)
    ├── RequestError                 the request is at fault
    │   ├── MalformedBody       400  not JSON at all
    │   ├── NotFound            404  no such model, version, alias, job or route
    │   ├── MethodNotAllowed    405
    │   ├── NotAcceptable       406
    │   ├── BodyTimeout         408  the body stopped arriving
    │   ├── Conflict            409  the state of a thing forbids it
    │   ├── Gone                410  it was here and has expired
    │   ├── BodyTooLarge        413
    │   ├── UnsupportedMedia    415
    │   ├── InvalidRequest      422  well-formed, but cannot be meant
    │   └── QuotaExceeded       429  with Retry-After
    └── CapacityError                the service is at fault
        ├── ClientGone          499  nobody is left to read the answer
        ├── RuntimeFailure      500  the runtime failed; the cause is logged, not sent
        ├── Unavailable         503  starting, draining, full or broken; with Retry-After
        └── DeadlineMissed      504

Each carries a stable slug ``code``, what was found and expected (``detail``), where (``pointer``, a
JSON pointer into the request) and how to fix it (``fix``). None of them repeats the input.
"""

import copy
import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

MAX_FINDINGS = 20
PROBLEM_TYPE_PREFIX = "urn:relata:problem:"


@dataclass(frozen=True)
class Finding:
    """One thing wrong with a request: a stable code, what was found, where and the way out."""

    code: str
    detail: str
    pointer: str = ""
    fix: str = ""

    def to_wire(self) -> dict[str, str]:
        """Give the entry as it stands in a problem document; empty members are left out."""
        members = {
            "code": self.code,
            "pointer": self.pointer,
            "detail": self.detail,
            "fix": self.fix,
        }
        return {key: value for key, value in members.items() if value}


class ServiceError(Exception):
    """Base of all refusals; subclasses fix ``status``, ``title`` and a default ``code``."""

    status = 500
    title = "Internal error"
    default_code = "internal-error"
    is_about_body = False
    """Whether there is always a pointer; the empty one means the whole body."""

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        pointer: str = "",
        fix: str = "",
        findings: Sequence[Finding] = (),
        retry_after_s: float | None = None,
    ) -> None:
        """Keep what the problem document needs; ``findings`` default to this one refusal."""
        super().__init__(detail)
        first = Finding(code or self.default_code, detail, pointer, fix)
        self.findings: tuple[Finding, ...] = tuple(findings)[:MAX_FINDINGS] or (first,)
        self.detail = detail
        self.code = code or self.findings[0].code
        self.pointer = pointer or self.findings[0].pointer
        self.fix = fix or self.findings[0].fix
        self.retry_after_s = retry_after_s

    @classmethod
    def from_findings(cls, findings: Sequence[Finding]) -> "ServiceError":
        """Give one refusal that lists several findings; the first one names it."""
        first = findings[0]
        return cls(
            first.detail, code=first.code, pointer=first.pointer, fix=first.fix, findings=findings
        )

    def relocated(self, old: str, new: str) -> Self:
        """Give the same refusal with the start of its pointers replaced: one item of a batch."""
        moved = copy.copy(self)
        moved.pointer = _moved(self.pointer, old, new)
        moved.findings = tuple(
            dataclasses.replace(finding, pointer=_moved(finding.pointer, old, new))
            for finding in self.findings
        )
        return moved

    def to_problem(self, instance: str = "") -> dict[str, Any]:
        """Give the RFC 9457 document; ``instance`` is the request id as a URI."""
        members: dict[str, Any] = {
            "type": PROBLEM_TYPE_PREFIX + self.code,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
            "code": self.code,
            "pointer": self.pointer,
            "fix": self.fix,
        }
        entries = [finding.to_wire() for finding in self.findings]
        if self.is_about_body:
            entries = [{"code": entry["code"], "pointer": ""} | entry for entry in entries]
        kept = {
            key: value
            for key, value in members.items()
            if value != "" or (key == "pointer" and self.is_about_body)
        }
        return kept | {"errors": entries}

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers that go with the answer: Retry-After in whole seconds where it is known."""
        if self.retry_after_s is None:
            return {}
        return {"Retry-After": str(max(1, round(self.retry_after_s)))}


def _moved(pointer: str, old: str, new: str) -> str:
    return new + pointer.removeprefix(old) if pointer.startswith(old) else pointer


class RequestError(ServiceError):
    """The request is at fault; sending it again unchanged gives the same refusal."""

    status = 400
    title = "Bad request"
    default_code = "bad-request"


class MalformedBody(RequestError):
    """The body cannot be read as the format that it claims."""

    title = "Body is not JSON"
    default_code = "bad-json"
    is_about_body = True


class NotFound(RequestError):
    """There is no such thing, or it is not the caller's."""

    status = 404
    title = "Not found"
    default_code = "not-found"


class MethodNotAllowed(RequestError):
    """The path exists but does not do this."""

    status = 405
    title = "Method not allowed"
    default_code = "method-not-allowed"


class NotAcceptable(RequestError):
    """No representation that the caller accepts can be given."""

    status = 406
    title = "Not acceptable"
    default_code = "not-acceptable"


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    status = 408
    title = "Body did not arrive"
    default_code = "body-timeout"


class Conflict(RequestError):
    """The state of the thing forbids this now."""

    status = 409
    title = "Conflict"
    default_code = "conflict"


class Gone(RequestError):
    """It existed and has expired."""

    status = 410
    title = "Gone"
    default_code = "gone"


class BodyTooLarge(RequestError):
    """More bytes than the cap."""

    status = 413
    title = "Body too large"
    default_code = "body-too-large"


class UnsupportedMedia(RequestError):
    """A media type or encoding that no reader exists for."""

    status = 415
    title = "Unsupported media type"
    default_code = "unsupported-media-type"


class InvalidRequest(RequestError):
    """Readable, but it cannot be meant: wrong names, shapes, rates, limits."""

    status = 422
    title = "Invalid request"
    default_code = "invalid-request"
    is_about_body = True


class QuotaExceeded(RequestError):
    """This caller has used up what it may."""

    status = 429
    title = "Quota exceeded"
    default_code = "quota-exceeded"


class CapacityError(ServiceError):
    """The service is at fault; the same request may succeed later."""


class ClientGone(CapacityError):
    """The caller closed the connection; its work was dropped."""

    status = 499
    title = "Client closed request"
    default_code = "client-gone"


class RuntimeFailure(CapacityError):
    """The runtime failed on this request; the cause is in the log under the request id."""

    title = "Runtime failure"
    default_code = "runtime-failure"


class Unavailable(CapacityError):
    """Starting, draining, full or broken: try again after ``retry_after_s``."""

    status = 503
    title = "Unavailable"
    default_code = "unavailable"


class DeadlineMissed(CapacityError):
    """The deadline passed before the work was done."""

    status = 504
    title = "Deadline missed"
    default_code = "deadline-missed"


PROBLEMS: tuple[type[ServiceError], ...] = (
    MalformedBody,
    NotFound,
    MethodNotAllowed,
    NotAcceptable,
    BodyTimeout,
    Conflict,
    Gone,
    BodyTooLarge,
    UnsupportedMedia,
    InvalidRequest,
    QuotaExceeded,
    RuntimeFailure,
    Unavailable,
    DeadlineMissed,
)
