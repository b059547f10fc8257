"""The OpenAPI 3.1 document: bodies that FastAPI does not parse for us, examples and problems."""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from service.api.media import JSON, PROBLEM_JSON
from service.errors import (
    BodyTooLarge,
    DeadlineMissed,
    InvalidRequest,
    MalformedBody,
    NotAcceptable,
    NotFound,
    ServiceError,
    Unavailable,
    UnsupportedMedia,
)
from service.schemas.answers import ProblemAnswer
from service.schemas.jobs import JobRequest
from service.schemas.models import AliasRequest
from service.schemas.requests import ForecastRequest, InferRelationsRequest

BODIES: Sequence[type[BaseModel]] = (
    InferRelationsRequest,
    ForecastRequest,
    AliasRequest,
    JobRequest,
    ProblemAnswer,
)
REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = (
    "Post a trajectory; get back who influences whom, how, when and how surely, and what happens "
    "next. Errors are RFC 9457 problem documents with a stable `code`."
)

EXAMPLES: dict[type[ServiceError], ServiceError] = {
    MalformedBody: MalformedBody(
        "line 1, column 3: unexpected character", fix="Send one JSON object in UTF-8."
    ),
    NotFound: NotFound(
        "there is no such model; expected one of: dnri-push3",
        code="model-not-found",
        pointer="/model",
        fix="GET /v1/models lists what there is.",
    ),
    NotAcceptable: NotAcceptable("expected one of application/json"),
    BodyTooLarge: BodyTooLarge("found a body of more than 8388608 bytes, expected at most that"),
    UnsupportedMedia: UnsupportedMedia("found no content type, expected application/json"),
    InvalidRequest: InvalidRequest(
        "found 30 frames per second, expected 120",
        code="frame-rate",
        pointer="/trajectory/frame_rate",
        fix="Resample to 120 frames per second: interpolate the positions at steps of 1/120 s; "
        "or correct `frame_rate`.",
    ),
    Unavailable: Unavailable(
        "the queue holds 5 s of work", code="overloaded", fix="Try again later.", retry_after_s=2
    ),
    DeadlineMissed: DeadlineMissed("the answer was not ready within 30 s"),
}
MAIN_CALL_PROBLEMS = tuple(EXAMPLES)


def body(model: type[BaseModel], example: dict[str, Any]) -> dict[str, Any]:
    """Give the ``openapi_extra`` of an operation whose body is read by hand."""
    schema = {"$ref": REFERENCE.format(model=model.__name__)}
    content = {JSON: {"schema": schema, "examples": {"example": {"value": example}}}}
    return {"requestBody": {"required": True, "content": content}}


def main_call(
    summary: str, request_body: dict[str, Any], answered: dict[int | str, dict[str, Any]]
) -> dict[str, Any]:
    """Give the keywords of a route that is one of the two main calls."""
    return {
        "summary": summary,
        "responses": {
            **answered,
            202: {"description": "A job, on `Prefer: respond-async`."},
            **problems(*MAIN_CALL_PROBLEMS),
        },
        "openapi_extra": request_body,
    }


def problems(*kinds: type[ServiceError]) -> dict[int | str, dict[str, Any]]:
    """Give the ``responses`` of an operation for some errors, each with an example."""
    return {kind.status: _problem(kind) for kind in kinds}


def answers(model: Any, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """Give the ``responses`` of an operation for its success, with an example."""
    content = {JSON: {"examples": {"example": {"value": example}}}}
    return {200: {"model": model, "content": content}}


def use_openapi(app: FastAPI) -> None:
    """Let ``app.openapi`` give our document, made once."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = _document(app)
        return app.openapi_schema

    app.openapi = document


def _document(app: FastAPI) -> dict[str, Any]:
    document = get_openapi(
        title="Relata", version=app.version, description=DESCRIPTION, routes=app.routes
    )
    _, schemas = models_json_schema(
        [(model, "validation") for model in BODIES], ref_template=REFERENCE
    )
    components = document.setdefault("components", {})
    components["schemas"] = components.get("schemas", {}) | schemas["$defs"]
    return document


def _problem(kind: type[ServiceError]) -> dict[str, Any]:
    example = EXAMPLES.get(kind) or kind(kind.title)
    value = example.to_problem("urn:uuid:00000000-0000-0000-0000-000000000000")
    schema = {"$ref": REFERENCE.format(model=ProblemAnswer.__name__)}
    content = {"schema": schema, "examples": {example.code: {"value": value}}}
    return {"description": kind.title, "content": {PROBLEM_JSON: content}}
