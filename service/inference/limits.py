"""What one request may cost: counted from its sizes before any array is made."""

from collections.abc import Iterator
from typing import Any, cast

from service.errors import Finding, InvalidRequest
from service.relations.selection import frames_after
from service.schemas.fields import Trajectory
from service.schemas.requests import ForecastRequest, InferRelationsRequest, ModelRequest
from service.settings import Limits

CODE = "cost-over-limit"
JOB_EXIT = ", or send it as a job: POST /v1/jobs, or `Prefer: respond-async`"


def check_limits(
    request: ModelRequest, limits: Limits, edge_types: int, *, wider: Limits | None = None
) -> None:
    """Refuse a request that asks for more than ``limits`` allow.

    Args:
        request: Any of the two main bodies.
        limits: Those of the synchronous calls, or of jobs.
        edge_types: K of the model.
        wider: The limits of jobs, where the same request could be one; what they would refuse too
            is not sent there.

    Raises:
        InvalidRequest: with the estimate, the limit and the ways out.
    """
    findings = list(_input_findings(request.each(), limits))
    if isinstance(request, ForecastRequest):
        findings += _forecast_findings(request, limits, wider)
    findings = findings or list(_answer_findings(request, limits, edge_types, wider))
    if findings:
        raise InvalidRequest.from_findings(findings)


def answer_values(request: ModelRequest, edge_types: int) -> int:
    """Give the count of numbers that the answer will hold, over all recordings."""
    return sum(_values_of(request, trajectory, edge_types) for trajectory in request.each())


def _values_of(request: ModelRequest, trajectory: Trajectory, edge_types: int) -> int:
    entities = len(trajectory.entities)
    pairs = entities * (entities - 1) * edge_types
    if isinstance(request, InferRelationsRequest):
        # `top_k` and `threshold` bound it further, but by how much is not known beforehand.
        return frames_after(request.select, _frames(trajectory)) * pairs
    forecast = cast("ForecastRequest", request)
    row = entities * len(trajectory.features)
    paths = forecast.num_samples if "samples" in forecast.outputs else 0
    summaries = len(forecast.quantiles) + 2
    relations = pairs if "relations" in forecast.outputs else 0
    return forecast.horizon * (row * (paths + summaries) + relations)


def _frames(trajectory: Trajectory) -> int:
    values: Any = trajectory.values
    return len(cast("list[Any]", values)) if isinstance(values, list) else 0


def _input_findings(each: tuple[Trajectory, ...], limits: Limits) -> Iterator[Finding]:
    yield from _over(
        len(each), limits.trajectories, "/trajectories", "recordings", "split the batch"
    )
    for trajectory in each[: limits.trajectories]:
        entities, frames = len(trajectory.entities), _frames(trajectory)
        yield from _over(
            entities, limits.entities, "/trajectory/entities", "entities", "group the entities"
        )
        yield from _over(
            frames, limits.frames, "/trajectory/values", "frames", "cut or thin the window"
        )
    total = sum(len(t.entities) * _frames(t) * len(t.features) for t in each)
    yield from _over(total, limits.values, "", "input values", "cut the recordings")


def _forecast_findings(
    request: ForecastRequest, limits: Limits, wider: Limits | None
) -> list[Finding]:
    steps, paths = request.horizon, request.num_samples
    shorter = "ask for fewer steps" + _job_exit(steps, wider and wider.horizon)
    fewer = "draw fewer paths" + _job_exit(paths, wider and wider.num_samples)
    return [
        *_over(steps, limits.horizon, "/horizon", "steps", shorter),
        *_over(paths, limits.num_samples, "/num_samples", "paths", fewer),
    ]


def _answer_findings(
    request: ModelRequest, limits: Limits, edge_types: int, wider: Limits | None
) -> Iterator[Finding]:
    if isinstance(request, InferRelationsRequest):
        way = "thin the frames with `select` (last, every)"
    else:
        way = "leave `samples` or `relations` out of `outputs`"
    total = answer_values(request, edge_types)
    way += _job_exit(total, wider and wider.answer_values)
    yield from _over(total, limits.answer_values, "", "values in the answer", way)


def _job_exit(found: int, most: int | None) -> str:
    return JOB_EXIT if most is not None and found <= most else ""


def _over(found: int, limit: int, pointer: str, what: str, way: str) -> Iterator[Finding]:
    if found > limit:
        fix = way[:1].upper() + way[1:] + "."
        yield Finding(CODE, f"found {found} {what}, expected at most {limit}", pointer, fix)
