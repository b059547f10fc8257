"""Whole answers: one table or a list of them, cut to what was asked, as JSON bytes.

The API and the jobs both answer through these functions, so that a job's result is the body that
the synchronous call would have given.
"""

from collections.abc import Sequence
from typing import Any

import orjson

from service.relations import selection
from service.relations.forecasts import ForecastTable
from service.relations.tables import RelationTable
from service.schemas.requests import ForecastRequest, InferRelationsRequest

JSON = "application/json"


def relations_body(
    request: InferRelationsRequest, tables: Sequence[RelationTable]
) -> dict[str, Any]:
    """Give the answer of `POST /infer-relations`; one table per recording of the request."""
    selected = [selection.apply(table, request.select) for table in tables]
    return _one_or_many(request.is_batch, [table.to_wire() for table in selected])


def forecast_body(request: ForecastRequest, tables: Sequence[ForecastTable]) -> dict[str, Any]:
    """Give the answer of `POST /forecast`; one table per recording of the request."""
    return _one_or_many(request.is_batch, [table.to_wire(request.outputs) for table in tables])


def encode(body: object) -> bytes:
    """Give JSON; arrays are written natively, float32 in its own shortest digits."""
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def _one_or_many(is_batch: bool, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    return {"model": bodies[0]["model"], "results": bodies} if is_batch else bodies[0]
