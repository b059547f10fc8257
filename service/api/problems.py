"""Errors as RFC 9457 documents: one place that turns an exception into an answer."""

from collections.abc import Mapping
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from service.api.media import PROBLEM_JSON
from service.errors import (
    BodyTooLarge,
    ClientGone,
    Finding,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RuntimeFailure,
    ServiceError,
)
from service.schemas.parsing import expectation

log: Any = structlog.get_logger("http")


def problem_response(
    error: ServiceError, request_id: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Give the answer that tells of an error."""
    document = error.to_problem(f"urn:uuid:{request_id}" if "-" in request_id else request_id)
    # A refused body may still be arriving: the connection cannot be used again.
    closing = {"Connection": "close"} if isinstance(error, BodyTooLarge) else {}
    return Response(
        orjson.dumps(document),
        status_code=error.status,
        media_type=PROBLEM_JSON,
        headers={**error.headers, **closing, **(headers or {})},
    )


def add_error_handlers(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(ClientDisconnect, _client_gone)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _bad_parameter)


def unexpected(error: Exception) -> ServiceError:
    """Give what the caller may know of an error that nobody foresaw; the log has all of it."""
    log.error("unexpected error", exc_info=error)
    return RuntimeFailure(
        "the request failed for a reason that is in the server's log, under its instance",
        fix="Report the instance; the same request may fail again.",
    )


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    if error.status >= 500:
        log.warning("refused", code=error.code, detail=error.detail, cause=repr(error.__cause__))
    return problem_response(error, _request_id(request))


async def _client_gone(request: Request, _: Exception) -> Response:
    return problem_response(ClientGone("the caller left"), _request_id(request))


async def _http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == MethodNotAllowed.status:
        refusal: ServiceError = MethodNotAllowed(
            "the path does not have this method", fix="See the header Allow, or /docs."
        )
    elif error.status_code == NotFound.status:
        refusal = NotFound("there is no such path", code="route-not-found", fix="See /docs.")
    else:
        refusal = ServiceError("the request was refused", code=f"http-{error.status_code}")
        refusal.status = error.status_code
    return problem_response(refusal, _request_id(request), error.headers)


async def _bad_parameter(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    findings = [_parameter_finding(detail) for detail in error.errors()]
    refusal = InvalidRequest.from_findings(findings)
    return problem_response(refusal, _request_id(request))


def _parameter_finding(detail: Mapping[str, Any]) -> Finding:
    """Give the finding of one parameter; its name is one that we declared, never the caller's."""
    place, name = detail["loc"][0], detail["loc"][-1]
    return Finding(
        "bad-parameter", f"{place} parameter {name}: {expectation(detail)}", fix="See /docs."
    )


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
