"""The two doors to the engine: one for requests that share it, one for jobs that own theirs."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy.typing as npt

from service.inference.answers import forecast_table, relation_table
from service.inference.cost import Ledger, Speedometer
from service.inference.forecasting import ForecastRun
from service.inference.line import Terms
from service.inference.questions import (
    ForecastQuestion,
    check_seconds,
    forecast_question,
    relation_question,
)
from service.inference.rollouts import Paths
from service.inference.runtimes.protocol import Floats
from service.inference.scheduler import Scheduler
from service.inference.served import ArtifactSource, Shelf
from service.inference.works import EngineResult, EngineWork, relations, run_works
from service.relations.forecasts import ForecastTable
from service.relations.tables import RelationTable
from service.schemas.requests import ForecastRequest, InferRelationsRequest
from service.settings import Settings


class Pipeline:
    """request → question → engine → table, for requests that share one engine."""

    def __init__(self, source: ArtifactSource, settings: Settings) -> None:
        """Start the engine's thread; models are opened when first asked for, or by `open`."""
        self._settings = settings
        self._shelf = Shelf(source, settings)
        self._speed = Speedometer()
        self._scheduler: Scheduler[EngineWork, EngineResult] = Scheduler(
            run_works,
            Terms(queue_seconds=settings.queue_seconds),
            observer=Ledger(self._speed),
        )

    @property
    def runtime(self) -> str:
        """Give the runtime and device in use, such as ``onnxruntime-cpu``."""
        engine = "onnxruntime" if self._settings.runtime == "onnx" else "torch"
        return f"{engine}-{self._settings.device}"

    @property
    def is_alive(self) -> bool:
        """Whether the engine's thread runs."""
        return self._scheduler.is_alive

    def open(self, reference: str) -> None:
        """Load a model before the first request asks for it; call it off the event loop."""
        self._shelf.open(reference)

    async def infer_relations(self, request: InferRelationsRequest) -> RelationTable:
        """Give the relations of the request's one recording.

        Raises:
            ServiceError: for a request at fault, or an engine that cannot answer now.
        """
        question = await asyncio.to_thread(
            lambda: relation_question(request, self._shelf.open(request.model), self._speed)
        )
        return relation_table(question, cast("Floats", await self._ask(question.work)))

    async def forecast(self, request: ForecastRequest) -> ForecastTable:
        """Give the forecast of the request's one recording.

        Raises:
            ServiceError: for a request at fault, or an engine that cannot answer now.
        """
        question = await asyncio.to_thread(
            lambda: forecast_question(request, self._shelf.open(request.model), self._speed)
        )
        paths = cast("Paths", await self._ask(question.work))
        return await asyncio.to_thread(forecast_table, question, paths, request.num_samples)

    def judge(self, request: InferRelationsRequest | ForecastRequest) -> float:
        """Give the estimated seconds of a request for one recording, without doing the work.

        Raises:
            ServiceError: for a request that would be refused; call it off the event loop.
        """
        model = self._shelf.open(request.model)
        if isinstance(request, ForecastRequest):
            return forecast_question(request, model, self._speed).work.seconds
        return relation_question(request, model, self._speed).work.seconds

    def close(self) -> None:
        """Take no more work and finish what there is; blocks for up to `drain_s`."""
        self._scheduler.close(self._settings.drain_s)

    async def _ask(self, work: EngineWork) -> EngineResult:
        limit_s = self._settings.request_timeout_s
        check_seconds(work.seconds, limit_s)
        answer = self._scheduler.submit(work, deadline=time.monotonic() + limit_s)
        # Cancelling the caller cancels the future, and the engine drops the work.
        return await asyncio.wrap_future(answer)


@dataclass(frozen=True)
class Checkpoint:
    """Where an offline computation stands, between two slices.

    Attributes:
        phase: what is being done.
        done: steps done; never decreases.
        total: steps in all.
    """

    phase: str
    done: int
    total: int
    run: ForecastRun | None = None

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Give a copy of all that a successor needs to go on with the identical result.

        Empty where there is nothing worth keeping. It costs a copy: take it every few seconds.
        """
        return {} if self.run is None else self.run.checkpoint()


class Interrupted(Exception):
    """The computation was told to stop.

    Attributes:
        checkpoint: to go on from.
        partial: the answer from what was finished, if any sample path was.
    """

    def __init__(self, checkpoint: Checkpoint, partial: ForecastTable | None = None) -> None:
        super().__init__(
            f"stopped in {checkpoint.phase} at {checkpoint.done} of {checkpoint.total}"
        )
        self.checkpoint = checkpoint
        self.partial = partial


class OfflineRunner:
    """The same answers without event loop and line: for workers, one request at a time."""

    def __init__(self, source: ArtifactSource, settings: Settings) -> None:
        self._shelf = Shelf(source, settings)
        self._speed = Speedometer()

    def infer_relations(
        self,
        request: InferRelationsRequest,
        *,
        on_chunk: Callable[[Checkpoint], None],
        should_stop: Callable[[], bool],
    ) -> RelationTable:
        """Give the relations of the request's one recording.

        Raises:
            ServiceError: for a request at fault.
            Interrupted: when `should_stop` said so.
        """
        question = relation_question(request, self._shelf.open(request.model), self._speed)
        work = question.work
        steps, done, total = relations(work.model, work.estimator, [work.values]), 0, work.rows
        while True:
            at = Checkpoint("relations", min(done, total), total)
            on_chunk(at)
            if should_stop():
                raise Interrupted(at)
            try:
                next(steps)
            except StopIteration as end:
                return relation_table(question, end.value[0])
            done += 1000

    def forecast(
        self,
        request: ForecastRequest,
        *,
        resume: Mapping[str, npt.NDArray[Any]] | None,
        on_chunk: Callable[[Checkpoint], None],
        should_stop: Callable[[], bool],
    ) -> ForecastTable:
        """Give the forecast of the request's one recording; the request must name its seed.

        Args:
            request: one recording.
            resume: `Checkpoint.arrays` of the same request, to go on from.
            on_chunk: told where it stands, before every slice (some 20 ms of work).
            should_stop: asked before every slice.

        Raises:
            ServiceError: for a request at fault.
            Interrupted: when `should_stop` said so, with what was finished.
            ValueError: if `resume` is another request's.
        """
        question = forecast_question(request, self._shelf.open(request.model), self._speed)
        model = question.model
        run = ForecastRun(model.runtime, [question.work.scene], model.manifest.edge_types)
        if resume:
            run.restore(resume)
        for _ in run.slices():
            at = Checkpoint("rollout", run.done, run.total, run)
            on_chunk(at)
            if should_stop():
                raise Interrupted(at, _partial(question, run))
        return forecast_table(question, run.paths[0], request.num_samples)


def _partial(question: ForecastQuestion, run: ForecastRun) -> ForecastTable | None:
    if not run.finished_samples:
        return None
    return forecast_table(question, run.paths[0], run.finished_samples)
