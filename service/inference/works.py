"""What the engine is asked: relations of a window, or sample paths of a scene."""

from collections.abc import Generator, Hashable, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from service.inference.causal import causal_passes
from service.inference.cost import Cost
from service.inference.flat import edge_rows, flatten, join_windows, present_in
from service.inference.forecasting import ForecastRun, samples_per_chunk, step_rows
from service.inference.rollouts import ROWS_PER_SLICE, Paths, softmax
from service.inference.runtimes.protocol import Floats
from service.inference.scenes import Scene
from service.inference.served import ServedModel
from service.schemas.requests import Estimator


@dataclass(frozen=True, eq=False)
class RelationWork:
    """Relations of one normalised window ``[F, N, D]``; the answer is ``[F, E, K]``."""

    model: ServedModel
    estimator: Estimator
    values: Floats
    rows: int
    seconds: float

    @property
    def lane(self) -> Hashable:
        """Windows of one model and estimator may run as one union."""
        return self.kind

    @property
    def kind(self) -> Hashable:
        """Windows of one model and estimator cost alike."""
        return *self.model.key, self.estimator


@dataclass(frozen=True, eq=False)
class ForecastWork:
    """Sample paths of one scene; the answer is `Paths`."""

    model: ServedModel
    scene: Scene
    seconds: float

    @property
    def lane(self) -> Hashable:
        """Scenes of one model and horizon may run as one union."""
        return *self.model.key, "forecast", self.scene.horizon

    @property
    def kind(self) -> Hashable:
        """Forecasts of one model cost alike."""
        return *self.model.key, "forecast"

    @property
    def rows(self) -> int:
        """Give the edge rows of a step of all its samples."""
        return step_rows(self.scene)


EngineWork = RelationWork | ForecastWork
EngineResult = Floats | Paths


def run_works(works: Sequence[EngineWork]) -> Generator[None, None, Sequence[EngineResult]]:
    """Compute works of one lane as a union, yielding between slices; one result each, in order."""
    first = works[0]
    if isinstance(first, ForecastWork):
        scenes = [work.scene for work in cast("Sequence[ForecastWork]", works)]
        run = ForecastRun(first.model.runtime, scenes, first.model.manifest.edge_types)
        yield from run.slices()
        return run.paths
    windows = [work.values for work in cast("Sequence[RelationWork]", works)]
    return (yield from relations(first.model, first.estimator, windows))


def relations(
    model: ServedModel, estimator: Estimator, windows: Sequence[Floats]
) -> Generator[None, None, list[Floats]]:
    """Give the probabilities ``[F, E, K]`` of each window, NaN where a pair is absent."""
    if estimator == "prior":
        passes = yield from causal_passes(model.runtime, windows, model.manifest.edge_types)
        return [softmax(one.logits) for one in passes]
    return _posteriors(model, windows)


def _posteriors(model: ServedModel, windows: Sequence[Floats]) -> list[Floats]:
    flats = [flatten(window) for window in windows]
    met = [flat.window for flat in flats if len(flat.window.senders)]
    if not met:
        no_rows = softmax(_no_sequences(model))
        return [flat.layout.table(no_rows) for flat in flats]
    logits = model.runtime.encode(join_windows(met)).posterior
    probabilities, tables, first = softmax(logits), list[Floats](), 0
    for flat in flats:
        past = first + len(flat.window.lengths)
        tables.append(flat.layout.table(probabilities[:, first:past]))
        first = past
    return tables


def relation_cost(values: Floats) -> Cost:
    """Count what a window ``[F, N, D]`` costs."""
    rows = edge_rows(present_in(values))
    return Cost(rows, calls=1 + rows // ROWS_PER_SLICE)


def forecast_cost(scene: Scene, *, is_recurrent: bool) -> Cost:
    """Count what a scene costs: its burn-in and its paths."""
    seen = edge_rows(scene.present[:-1])
    chunks = -(-scene.num_samples // samples_per_chunk(scene))
    steps = scene.horizon * chunks
    if is_recurrent:
        seen, steps = seen * scene.num_samples, steps + len(scene.values) * chunks
    return Cost(seen + step_rows(scene) * scene.horizon, calls=1 + steps)


def _no_sequences(model: ServedModel) -> Floats:
    return np.zeros((0, 0, model.manifest.edge_types), np.float32)
