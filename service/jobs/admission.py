"""Who gets in: a request is judged as the synchronous call would judge it, then fixed for good."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from service.artifacts import ArtifactStore
from service.errors import InvalidRequest, ServiceError
from service.inference.limits import check_limits
from service.jobs import experiments
from service.jobs.record import NewJob
from service.schemas.jobs import JobKind, RetrainRequest
from service.schemas.parsing import parse
from service.schemas.requests import ForecastRequest, InferRelationsRequest, ModelRequest
from service.settings import Limits

SHORT_S = 5.0
"""Jobs that take less by estimate are served first."""


class Judge(Protocol):
    """Refuses a request as the synchronous call would, without doing the work."""

    def judge(self, request: ForecastRequest | InferRelationsRequest) -> float:
        """Give the estimated seconds of a request for one recording."""
        ...


@dataclass(frozen=True)
class Admission:
    """Turns requests into jobs, or into the refusals that the synchronous calls give.

    Attributes:
        can_train: Whether there is, or may come, a worker that trains.
    """

    store: ArtifactStore
    judge: Judge
    limits: Limits
    can_train: Callable[[], bool]

    async def __call__(self, kind: JobKind, request: Mapping[str, Any]) -> NewJob:
        """Give the job that a request makes.

        Raises:
            ServiceError: as the synchronous call would.
        """
        return await asyncio.to_thread(self.admit, kind, dict(request))

    def admit(self, kind: JobKind, request: dict[str, Any]) -> NewJob:
        """Give the job that a request makes; blocks."""
        if kind == "forecast":
            return self._admit_question(kind, parse(ForecastRequest, request).seeded())
        if kind == "infer-relations":
            return self._admit_question(kind, parse(InferRelationsRequest, request))
        if kind == "retrain":
            return self._admit_retraining(parse(RetrainRequest, request))
        raise InvalidRequest(
            "evaluation is not offered as a job; expected forecast, infer-relations or retrain",
            code="kind-not-offered",
            fix="Evaluate a run where it was trained: python -m training evaluate RUN",
        )

    def _admit_question(
        self, kind: JobKind, request: ForecastRequest | InferRelationsRequest
    ) -> NewJob:
        artifact = self.store.open(request.model)
        check_limits(request, self.limits, artifact.manifest.edge_types)
        # An alias may move while the job waits; the job keeps the version it was accepted for.
        pinned = f"{artifact.manifest.name}@{artifact.manifest.version}"
        request = request.model_copy(update={"model": pinned})
        seconds = sum(
            self._judged(single, index if request.is_batch else None)
            for index, single in enumerate(request.singles())
        )
        queue = "interactive" if seconds < SHORT_S else "batch"
        return NewJob(kind, queue, _as_json(request))

    def _judged(self, single: ForecastRequest | InferRelationsRequest, index: int | None) -> float:
        try:
            return self.judge.judge(single)
        except ServiceError as error:
            if index is None:
                raise
            raise error.relocated("/trajectory", f"/trajectories/{index}") from error

    def _admit_retraining(self, request: RetrainRequest) -> NewJob:
        experiments.requested(request)
        if not self.can_train():
            raise experiments.training_not_installed()
        return NewJob("retrain", "training", request.model_dump_json())


def _as_json(request: ModelRequest) -> str:
    return request.model_dump_json(exclude_none=True)
