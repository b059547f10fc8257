"""A pipeline without networks: it judges requests as the real one and answers fixed numbers."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from service.artifacts import ArtifactStore
from service.inference.windows import to_recording
from service.relations.forecasts import ForecastTable
from service.relations.tables import ModelRef, RelationTable
from service.schemas.fields import Trajectory
from service.schemas.jobs import Job, JobKind, Progress
from service.schemas.requests import Estimator, ForecastRequest, InferRelationsRequest
from service.settings import Settings
from trajectories.pairs import source_major
from trajectories.recording import Recording


@dataclass
class FakePipeline:
    """Answers at once, or when told to; counts what was begun, finished and cancelled."""

    store: ArtifactStore
    gate: asyncio.Event | None = None
    began: int = 0
    cancelled: int = 0
    failure: Exception | None = None
    value: float = 0.25

    @property
    def runtime(self) -> str:
        return "fake-cpu"

    def open(self, reference: str) -> None:
        self.store.open(reference)

    async def infer_relations(self, request: InferRelationsRequest) -> RelationTable:
        recording = self._recording(request, 1 + (request.estimator == "posterior"))
        await self._work()
        kept = recording.frames - (request.estimator == "posterior")
        return self._relations(request, recording, request.estimator, np.arange(kept))

    async def forecast(self, request: ForecastRequest) -> ForecastTable:
        recording = self._recording(request, 1)
        await self._work()
        trajectory, seed = _one(request), request.seed
        assert seed is not None
        steps = np.arange(request.horizon)
        last = recording.values[-1, :, : len(trajectory.features)]
        mean = last[None] + 0.001 * steps[:, None, None]
        relations = self._relations(request, recording, "prior", steps + recording.frames - 1)
        return ForecastTable(
            model=relations.model,
            seed=seed,
            frames=recording.start_frame + recording.frames + steps,
            entities=trajectory.entities,
            features=trajectory.features,
            mean=mean,
            quantiles={str(level): mean + level - 0.5 for level in request.quantiles},
            bands={"method": "fake", "coverage": {"0.9": 0.9}},
            relations=relations,
            baseline={"constant_velocity": mean},
            samples=np.stack([mean] * request.num_samples)
            if "samples" in request.outputs
            else None,
        )

    def _recording(
        self, request: InferRelationsRequest | ForecastRequest, at_least: int
    ) -> Recording:
        manifest = self.store.open(request.model).manifest
        return to_recording(_one(request), manifest, at_least=at_least)

    async def _work(self) -> None:
        self.began += 1
        try:
            if self.gate is not None:
                await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.failure is not None:
            raise self.failure

    def _relations(
        self,
        request: InferRelationsRequest | ForecastRequest,
        recording: Recording,
        estimator: Estimator,
        frames: Any,
    ) -> RelationTable:
        manifest = self.store.open(request.model).manifest
        sources, targets = source_major(len(recording.entities))
        known = np.minimum(frames, recording.frames - 1)
        present = recording.present[known]
        probabilities = np.full((len(frames), len(sources), 2), self.value, np.float32)
        probabilities[..., 1] = 1 - self.value
        probabilities[~(present[:, sources] & present[:, targets])] = np.nan
        return RelationTable(
            model=ModelRef(manifest.name, manifest.version, manifest.family),
            estimator=estimator,
            static=False,
            relation_types=manifest.relation_types,
            none_type=manifest.none_type,
            frames=np.asarray(frames) + recording.start_frame,
            sources=[recording.entities[i] for i in sources],
            targets=[recording.entities[i] for i in targets],
            probabilities=probabilities,
        )


@dataclass(frozen=True)
class FakeAccepted:
    """A job that was taken."""

    job: Job
    replayed: bool


@dataclass
class FakeJobs:
    """Takes jobs and remembers them."""

    reachable: bool = True
    entered: list[tuple[str, dict[str, Any], str | None]] = field(
        default_factory=list[tuple[str, dict[str, Any], str | None]]
    )

    async def enter(
        self, kind: JobKind, request: dict[str, Any], idempotency_key: str | None = None
    ) -> FakeAccepted:
        replayed = (kind, request, idempotency_key) in self.entered
        self.entered.append((kind, request, idempotency_key))
        progress = Progress(phase="queued", done=0, total=1, eta_s=None)
        job = Job(id="j1", kind=kind, state="queued", progress=progress, attempts=0, links={})
        return FakeAccepted(job, replayed)

    async def is_reachable(self) -> bool:
        return self.reachable


@dataclass
class FakeServices:
    """What `create_app` serves with in tests."""

    store: ArtifactStore
    pipeline: FakePipeline
    jobs: FakeJobs | None = None
    closed: bool = False

    async def close(self) -> None:
        self.closed = True


def fake_services(writable: Path, bundled: Path) -> FakeServices:
    """Give services over real artifact directories and no engine."""
    store = ArtifactStore(writable, bundled)
    return FakeServices(store, FakePipeline(store))


def fast_settings(**changes: Any) -> Settings:
    """Give settings for tests: quiet, and looking for new artifacts often."""
    fields: dict[str, Any] = {"log_level": "error", "reload_s": 0.02} | changes
    return Settings(**fields)


def _one(request: InferRelationsRequest | ForecastRequest) -> Trajectory:
    assert request.trajectory is not None
    return request.trajectory
