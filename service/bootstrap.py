"""The composition root: the only place that names concrete classes."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import structlog

from service.artifacts import ArtifactStore
from service.errors import Unavailable
from service.inference.pipeline import Pipeline
from service.jobs import experiments
from service.jobs.admission import Admission
from service.jobs.assembly import open_jobs, open_roster
from service.jobs.service import JobService
from service.settings import Settings

log: Any = structlog.get_logger("bootstrap")
TRAINING_QUEUE = "training"


@dataclass(frozen=True)
class BuiltServices:
    """What one API process serves with."""

    store: ArtifactStore
    pipeline: Pipeline
    jobs: JobService | None

    async def close(self) -> None:
        """Let the engine finish what it has begun."""
        await asyncio.to_thread(self.pipeline.close)
        if self.jobs is not None:
            await self.jobs.close()


def build_services(settings: Settings) -> BuiltServices:
    """Give everything that one API process serves with; its models are loaded already."""
    store = ArtifactStore(settings.writable_artifacts, settings.bundled_artifacts)
    pipeline = Pipeline(store, settings)
    for name in store.names():
        _load(pipeline, name)
    return BuiltServices(store, pipeline, _jobs(settings, store, pipeline))


def _load(pipeline: Pipeline, name: str) -> None:
    """Load a model before the first request; one that cannot be served must not stop the others.

    Raises:
        Unavailable: if the runtime itself is missing: then nothing can be served.
    """
    try:
        pipeline.open(name)
    except Unavailable as error:
        if error.code == "runtime-missing":
            raise
        log.error("model not loaded", model=name, reason=error.detail, cause=repr(error.__cause__))


def _jobs(settings: Settings, store: ArtifactStore, pipeline: Pipeline) -> JobService | None:
    if settings.redis_url is None:
        return None
    admission = Admission(store, pipeline, settings.job_limits, _can_train(settings))
    return open_jobs(settings, admission)


def _can_train(settings: Settings) -> Callable[[], bool]:
    """Give the question whether a retraining will find a worker.

    A worker for it says so in the roster; this machine's own may still be starting.
    """
    roster = open_roster(settings)
    return lambda: experiments.training_is_installed() or roster.serves(TRAINING_QUEUE)
