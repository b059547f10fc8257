"""From a request to work for the engine: judged, scaled, counted."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from service.errors import InvalidRequest
from service.inference.cost import Speedometer
from service.inference.sanity import company_notices, input_notices, newcomer_notices
from service.inference.scaling import Scaling, scaling_for
from service.inference.scenes import ForcedRows, Scene
from service.inference.served import ServedModel
from service.inference.what_if import forced_rows
from service.inference.windows import to_model_units, to_recording
from service.inference.works import ForecastWork, RelationWork, forecast_cost, relation_cost
from service.relations.tables import Notice
from service.schemas.requests import ForecastRequest, InferRelationsRequest
from trajectories.recording import Recording

ENCODER_ROWS = 400_000
"""Edge rows of a window that sees its future: all are in memory at once, some 5 kB each."""
PATH_VALUES = 60_000_000
"""Numbers of all sample paths and relations of a forecast that are in memory at once."""
COST_CODE = "cost-over-limit"


@dataclass(frozen=True, eq=False)
class RelationQuestion:
    """A request for relations, ready to run, and what its answer needs to know."""

    model: ServedModel
    recording: Recording
    work: RelationWork
    notices: Sequence[Notice]


@dataclass(frozen=True, eq=False)
class ForecastQuestion:
    """A request for a forecast, ready to run, and what its answer needs to know.

    Attributes:
        model: who answers.
        request: with a seed.
        recording: in the model's units.
        work: for the engine.
        factors: ``[D sent]``; the model's value = factor × the caller's.
        notices: what to doubt about the input.
    """

    model: ServedModel
    request: ForecastRequest
    recording: Recording
    work: ForecastWork
    factors: npt.NDArray[np.float64]
    notices: Sequence[Notice]


def relation_question(
    request: InferRelationsRequest, model: ServedModel, speed: Speedometer
) -> RelationQuestion:
    """Judge a request for the relations of one recording.

    Raises:
        InvalidRequest: for input that cannot be meant, or that costs too much.
    """
    (trajectory,) = request.each()
    is_posterior = request.estimator == "posterior"
    recording = to_recording(trajectory, model.manifest, at_least=2 if is_posterior else 1)
    seen = recording.values[:-1] if is_posterior else recording.values
    scaling = scaling_for(model.manifest, seen)
    values = scaling.normalised(seen)
    cost = relation_cost(values)
    if is_posterior:
        _check(
            cost.rows,
            ENCODER_ROWS,
            "pairs times frames",
            "Send a shorter window, fewer entities, or use estimator prior, which reads frame by "
            "frame.",
        )
    kind = (*model.key, request.estimator)
    work = RelationWork(
        model, request.estimator, values, cost.rows, speed.seconds(kind, cost, model.pace)
    )
    notices = (*input_notices(model.manifest, scaling, values), *company_notices(values))
    return RelationQuestion(model, recording, work, notices)


def forecast_question(
    request: ForecastRequest, model: ServedModel, speed: Speedometer
) -> ForecastQuestion:
    """Judge a request for the forecast of one recording.

    Raises:
        InvalidRequest: for input that cannot be meant, or that costs too much.
    """
    request = request.seeded()
    (trajectory,) = request.each()
    recording = to_recording(trajectory, model.manifest)
    scaling = scaling_for(model.manifest, recording.values)
    scene = _scene(request, recording, scaling, model.manifest)
    pairs = len(scene.columns) * model.manifest.edge_types * 2
    nodes = scene.num_samples * len(scene.alive) * len(model.manifest.features)
    way = "Ask for fewer steps or samples, or send fewer entities."
    _check(request.horizon * (pairs + nodes), PATH_VALUES, "numbers in paths", way)
    cost = forecast_cost(scene, is_recurrent=model.runtime.memory_width > 0)
    work = ForecastWork(model, scene, speed.seconds((*model.key, "forecast"), cost, model.pace))
    return ForecastQuestion(
        model=model,
        request=request,
        recording=recording,
        work=work,
        factors=to_model_units(trajectory, model.manifest),
        notices=(
            *input_notices(model.manifest, scaling, scene.values),
            *newcomer_notices(trajectory.values[-1], recording.present[-1]),
        ),
    )


def check_seconds(seconds: float, limit_s: float) -> None:
    """Refuse work that no caller would wait for.

    Raises:
        InvalidRequest: with the estimate and the ways out.
    """
    if seconds > limit_s:
        raise InvalidRequest(
            f"this takes about {seconds:.0f} s, at most {limit_s:g} s are answered at once",
            code=COST_CODE,
            fix="Send it as a job (`Prefer: respond-async` or POST /v1/jobs), or ask for fewer "
            "steps, samples or entities.",
        )


def _scene(
    request: ForecastRequest, recording: Recording, scaling: Scaling, manifest: Manifest
) -> Scene:
    present = recording.present[-1]
    if not present.any():
        raise InvalidRequest(
            "found nobody in the last given frame, expected at least one entity",
            code="nobody-present",
            pointer="/trajectory/values",
            fix="End the window at a frame in which the entities are present; an entity whose "
            "velocity is derived counts from its second frame on.",
        )
    last = recording.start_frame + recording.frames - 1
    absent = frozenset(
        entity for entity, here in zip(recording.entities, present, strict=True) if not here
    )
    span = (last, last + request.horizon - 1)
    rules: ForcedRows | None = forced_rows(
        request.relations or (), manifest, recording.entities, absent, span
    )
    return Scene(
        values=scaling.normalised(recording.values),
        scaling=scaling,
        entities=recording.entities,
        first_frame=recording.start_frame,
        horizon=request.horizon,
        num_samples=request.num_samples,
        seed=request.seed or 0,
        forced=rules,
    )


def _check(found: int, limit: int, what: str, way: str) -> None:
    if found > limit:
        raise InvalidRequest(
            f"found {found} {what}, expected at most {limit}", code=COST_CODE, fix=way
        )
