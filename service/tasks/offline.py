"""Forecasts and inferences as jobs: recording by recording, with checkpoints to go on from."""

import dataclasses
import io
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt
import orjson
import structlog

from service.errors import RuntimeFailure
from service.inference.pipeline import Checkpoint, Interrupted, OfflineRunner
from service.jobs.attempt import Answer, Attempt, Stopped
from service.jobs.store import ARRAYS_TYPE, JSON_TYPE
from service.relations import answers
from service.relations.tables import Notice
from service.schemas.parsing import parse_body
from service.schemas.requests import ForecastRequest, InferRelationsRequest, ModelRequest

CHECKPOINT_EVERY_S = 1.0
CHECKPOINT_SHARE = 0.1
"""Storing checkpoints may take at most this share of the time."""
RUN = "run."

Asked = TypeVar("Asked", bound=ModelRequest)
Arrays = Mapping[str, npt.NDArray[Any]]

log: Any = structlog.get_logger("jobs")


def forecast(runner: OfflineRunner, attempt: Attempt) -> Answer:
    """Forecast all recordings of the request; the answer is that of ``POST /forecast``."""
    request = parse_body(ForecastRequest, attempt.request.encode())
    journey = Journey(attempt, request)

    def one(single: ForecastRequest) -> bytes:
        try:
            table = runner.forecast(
                single,
                resume=journey.resume,
                on_chunk=journey.at_chunk,
                should_stop=attempt.should_stop,
            )
        except Interrupted as stop:
            raise Stopped(_partial(journey, single, stop)) from stop
        return answers.encode(answers.forecast_body(single, [table]))

    return journey.through(one)


def infer_relations(runner: OfflineRunner, attempt: Attempt) -> Answer:
    """Infer the relations of all recordings; the answer is that of ``POST /infer-relations``."""
    request = parse_body(InferRelationsRequest, attempt.request.encode())
    journey = Journey(attempt, request)

    def one(single: InferRelationsRequest) -> bytes:
        try:
            table = runner.infer_relations(
                single, on_chunk=journey.at_chunk, should_stop=attempt.should_stop
            )
        except Interrupted as stop:
            raise Stopped(journey.finished_part()) from stop
        return answers.encode(answers.relations_body(single, [table]))

    return journey.through(one)


@dataclass
class Journey(Generic[Asked]):
    """The way through the recordings of a request, from wherever the attempt before had come.

    Attributes:
        bodies: Answers of the finished recordings, as bytes.
        resume: Arrays to go on from in the recording that comes next, if any.
    """

    attempt: Attempt
    request: Asked
    bodies: list[bytes] = field(default_factory=list[bytes])
    resume: Arrays | None = None
    _done: int = 0
    _stored_at: float = field(default_factory=time.monotonic)
    _pause_s: float = field(default_factory=lambda: CHECKPOINT_EVERY_S)

    def through(self, one: Callable[[Asked], bytes]) -> Answer:
        """Answer the recordings that are left, and give the whole answer."""
        self._take_up()
        singles = self.request.singles()
        for single in singles[len(self.bodies) :]:
            self.bodies.append(one(single))
            self.resume = None
            if len(self.bodies) < len(singles):
                self._store({})
        return self._answer()

    def at_chunk(self, at: Checkpoint) -> None:
        """Report progress over all recordings, and store a checkpoint every now and then."""
        recordings = len(self.request.each())
        self._done = max(self._done, len(self.bodies) * at.total + at.done)
        self.attempt.report(at.phase, self._done, recordings * at.total)
        if time.monotonic() - self._stored_at >= self._pause_s and at.done > 0:
            self._store(at.arrays())

    def finished_part(self) -> Answer | None:
        """Give the finished recordings of a batch; None of a single one, or if there is none."""
        return self._answer() if self.bodies and self.request.is_batch else None

    def _answer(self) -> Answer:
        if not self.request.is_batch:
            return Answer(self.bodies[0], JSON_TYPE)
        model = orjson.loads(self.bodies[0])["model"]
        results = [orjson.Fragment(body) for body in self.bodies]
        return Answer(answers.encode({"model": model, "results": results}), JSON_TYPE)

    def _store(self, run: Arrays) -> None:
        if not run and not self.bodies:
            return
        began = time.monotonic()
        lengths = np.array([len(body) for body in self.bodies], np.int64)
        text = np.frombuffer(b"".join(self.bodies), np.uint8)
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {RUN + name: array for name, array in run.items()}
        np.savez(buffer, allow_pickle=False, lengths=lengths, text=text, **arrays)
        self.attempt.keep(self.attempt.milestone + 1, buffer.getvalue(), ARRAYS_TYPE)
        self._stored_at = time.monotonic()
        cost_s = self._stored_at - began
        self._pause_s = max(CHECKPOINT_EVERY_S, cost_s / CHECKPOINT_SHARE)

    def _take_up(self) -> None:
        """Go to where the stored checkpoint is; one that cannot be read only costs time."""
        if self.attempt.record.checkpoint is None:
            return
        try:
            stored = self.attempt.stored_checkpoint()
            with np.load(io.BytesIO(stored), allow_pickle=False) as file:
                arrays = {name: cast("npt.NDArray[Any]", file[name]) for name in file.files}
        except (RuntimeFailure, ValueError, OSError):
            log.exception("checkpoint unusable, starting over", job=str(self.attempt.record.ref))
            return
        text, ends = arrays["text"].tobytes(), np.cumsum(arrays["lengths"])
        starts = [0, *ends[:-1]]
        self.bodies = [text[int(a) : int(b)] for a, b in zip(starts, ends, strict=False)]
        run = {name.removeprefix(RUN): a for name, a in arrays.items() if name.startswith(RUN)}
        self.resume = run or None


def _partial(
    journey: Journey[ForecastRequest], single: ForecastRequest, stop: Interrupted
) -> Answer | None:
    if single is not journey.request:
        return journey.finished_part()
    if stop.partial is None:
        return None
    at = stop.checkpoint
    notice = Notice(
        "job-cancelled",
        f"the job was cancelled at {at.done} of {at.total} sample steps; "
        "this is the forecast from the paths that were complete",
    )
    table = dataclasses.replace(stop.partial, warnings=(*stop.partial.warnings, notice))
    return Answer(answers.encode(answers.forecast_body(single, [table])), JSON_TYPE)
