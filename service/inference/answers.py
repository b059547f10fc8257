"""From what the engine found to the tables that callers get, in their units and features."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.inference.baselines import baseline
from service.inference.quantiles import extended_variance, mixture_quantiles
from service.inference.questions import ForecastQuestion, RelationQuestion
from service.inference.rollouts import Paths
from service.inference.runtimes.protocol import DRAW, Floats
from service.inference.sanity import horizon_notices, relation_notices
from service.inference.served import ServedModel
from service.relations.forecasts import ForecastTable
from service.relations.tables import Notice, RelationTable
from service.schemas.requests import Estimator
from trajectories.pairs import source_major
from trajectories.recording import Recording

Values = npt.NDArray[np.float64]


def relation_table(question: RelationQuestion, probabilities: Floats) -> RelationTable:
    """Give the answer to a request for relations from ``[F, E, K]``."""
    frames = question.recording.start_frame + np.arange(len(probabilities), dtype=np.int64)
    doubts = relation_notices(question.model.manifest, probabilities)
    return _table(
        question.model,
        question.recording,
        question.work.estimator,
        frames,
        probabilities,
        (*question.notices, *doubts),
    )


def forecast_table(question: ForecastQuestion, paths: Paths, samples: int) -> ForecastTable:
    """Give the answer to a request for a forecast from the first `samples` complete paths."""
    answer = _Answer(question, paths, samples)
    wanted = question.request.outputs
    manifest = question.model.manifest
    horizon = question.request.horizon
    first = answer.scene.last_frame + 1
    levels = question.request.quantiles if "quantiles" in wanted else []
    name, expected = baseline(manifest, question.recording.values[-1], answer.reached)
    return ForecastTable(
        model=question.model.ref,
        seed=answer.scene.seed,
        frames=first + np.arange(answer.reached, dtype=np.int64),
        entities=question.recording.entities,
        features=answer.features,
        mean=answer.mean(),
        quantiles=answer.quantiles(levels),
        bands={"method": manifest.bands.method, "coverage": dict(manifest.bands.coverage)},
        relations=answer.relations(),
        baseline={name: answer.in_callers_units(expected)},
        samples=answer.samples() if "samples" in wanted else None,
        truncated_at=first + answer.reached if answer.reached < horizon else None,
        warnings=(*question.notices, *horizon_notices(manifest, horizon), *answer.notices()),
    )


class _Answer:
    """The parts of one forecast's answer."""

    def __init__(self, question: ForecastQuestion, paths: Paths, samples: int) -> None:
        self._question = question
        self._paths = paths
        self._samples = samples
        self.scene = paths.scene
        self.reached = paths.reached
        (trajectory,) = question.request.each()
        self.features = trajectory.features
        self._values = paths.values[:samples, : self.reached]

    def mean(self) -> Values:
        """Give the mean over paths, ``[H, N, D]``."""
        return self._spread_out(self._values.mean(axis=0, dtype=np.float64))

    def samples(self) -> Values:
        """Give the paths, ``[S, H, N, D]``."""
        return self._spread_out(self._values)

    def quantiles(self, levels: Sequence[float]) -> dict[str, Values]:
        """Give the predictive quantiles; none where residuals were never measured."""
        bands = self._question.model.manifest.bands
        if not levels or not bands.residual_variance:
            return {}
        sent = len(self.features)
        variance = extended_variance(bands.residual_variance, self.reached)
        normalised = (variance / self.scene.scaling.scale**2)[:, :sent]
        found = mixture_quantiles(self._values[..., :sent], normalised, levels)
        return {
            repr(level): self._spread_out(values)
            for level, values in zip(levels, found, strict=True)
        }

    def relations(self) -> RelationTable:
        """Give the relations that acted, averaged over paths; what was forced is certain."""
        question, scene = self._question, self.scene
        average = self._paths.relations[: self.reached] / self._samples
        pairs = len(scene.entities) * (len(scene.entities) - 1)
        table = np.full((self.reached, pairs, average.shape[-1]), np.nan, np.float32)
        certain = np.eye(average.shape[-1])
        for step in range(self.reached if scene.forced is not None else 0):
            forced = scene.forced_at(step)
            average[step, forced != DRAW] = certain[forced[forced != DRAW]]
        table[:, scene.columns] = average
        frames = scene.last_frame + np.arange(self.reached, dtype=np.int64)
        doubts = tuple(relation_notices(question.model.manifest, table))
        return _table(question.model, question.recording, "prior", frames, table, doubts)

    def in_callers_units(self, values: Values) -> Values:
        """Give ``[..., D]`` in the model's units as the features that were sent."""
        return values[..., : len(self.features)] / self._question.factors

    def notices(self) -> list[Notice]:
        """Say what became of the paths."""
        notices: list[Notice] = []
        if self.reached < self._question.request.horizon:
            text = (
                f"a path left ten times the trained range after {self.reached} steps: the forecast "
                "ends there"
            )
            notices.append(Notice("truncated", text))
        if self._samples < self._question.request.num_samples:
            asked = self._question.request.num_samples
            notices.append(
                Notice("stopped-early", f"{self._samples} of {asked} paths were finished")
            )
        return notices

    def _spread_out(self, normalised: npt.NDArray[np.floating]) -> Values:
        """Give ``[..., n, D]`` of the entities present at the end as ``[..., N, D]``."""
        values = self.in_callers_units(self.scene.scaling.restored(normalised))
        everybody = np.full(
            (*values.shape[:-2], len(self.scene.entities), values.shape[-1]), np.nan
        )
        everybody[..., self.scene.alive, :] = values
        return everybody


def _table(
    model: ServedModel,
    recording: Recording,
    estimator: Estimator,
    frames: npt.NDArray[np.int64],
    probabilities: Floats,
    warnings: Sequence[Notice],
) -> RelationTable:
    sources, targets = source_major(len(recording.entities))
    return RelationTable(
        model=model.ref,
        estimator=estimator,
        static=model.manifest.static,
        relation_types=model.manifest.relation_types,
        none_type=model.manifest.none_type,
        frames=frames,
        sources=[recording.entities[int(row)] for row in sources],
        targets=[recording.entities[int(row)] for row in targets],
        probabilities=probabilities,
        warnings=warnings,
    )
