"""The Celery application of the workers: which task does which kind of job, and how.

``celery -A service.tasks.celery_app worker`` serves it; ``python -m service worker`` is the same
with the right options.
"""

from collections.abc import Callable
from functools import lru_cache

from service import telemetry
from service.artifacts import ArtifactStore
from service.inference.pipeline import OfflineRunner
from service.jobs.assembly import broker_url, open_bench
from service.jobs.attempt import Answer, Attempt
from service.jobs.doorbell import CeleryDoorbell, celery_app, task_name
from service.jobs.keys import JobRef
from service.jobs.work import Bench, answer_the_bell
from service.settings import Settings
from service.tasks import lifecycle, offline
from service.tasks.retrain import Workshop, retrain

settings = Settings()
app = celery_app(broker_url(settings))
telemetry.configure_logging(settings)
lifecycle.connect(app, settings)


@lru_cache(maxsize=1)
def bench() -> Bench:
    """Give what this worker process does jobs with."""
    return open_bench(settings, CeleryDoorbell(app))


@lru_cache(maxsize=1)
def artifacts() -> ArtifactStore:
    """Give the artifacts as this worker process sees them."""
    return ArtifactStore(settings.writable_artifacts, settings.bundled_artifacts)


@lru_cache(maxsize=1)
def runner() -> OfflineRunner:
    """Give the engine of this worker process; models stay open between jobs."""
    return OfflineRunner(artifacts(), settings)


@lru_cache(maxsize=1)
def workshop() -> Workshop:
    """Give where this worker process retrains."""
    return Workshop(
        bench().store.scratch,
        settings.writable_artifacts,
        artifacts(),
        bench().terms.most_deaths,
    )


def _offer(kind: str, work: Callable[[Attempt], Answer]) -> None:
    """Let the application do jobs of a kind."""

    @app.task(name=task_name(kind))
    def answer(reference: str) -> None:
        answer_the_bell(bench(), JobRef.parse(reference), work)


_offer("forecast", lambda attempt: offline.forecast(runner(), attempt))
_offer("infer-relations", lambda attempt: offline.infer_relations(runner(), attempt))
_offer("retrain", lambda attempt: retrain(workshop(), attempt))
