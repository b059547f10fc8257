"""What the endpoints need, and how a request finds it."""

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Protocol, cast

from starlette.requests import Request

from service.artifacts import ArtifactStore
from service.errors import Unavailable
from service.relations.forecasts import ForecastTable
from service.relations.tables import RelationTable
from service.schemas.jobs import Job, JobKind
from service.schemas.requests import ForecastRequest, InferRelationsRequest
from service.settings import Settings


class Pipeline(Protocol):
    """The engine, asked one recording at a time."""

    @property
    def runtime(self) -> str:
        """Give the runtime and device in use, such as ``onnxruntime-cpu``."""
        ...

    def open(self, reference: str) -> None:
        """Load a model before it is asked for; call it off the event loop.

        Raises:
            ServiceError: if it cannot be served.
        """
        ...

    async def infer_relations(self, request: InferRelationsRequest) -> RelationTable:
        """Give the relations of the request's one recording."""
        ...

    async def forecast(self, request: ForecastRequest) -> ForecastTable:
        """Give the forecast of the request's one recording."""
        ...


class Accepted(Protocol):
    """A job that was taken, or that the same idempotency key had made before."""

    @property
    def job(self) -> Job:
        """Give the job as it stands."""
        ...

    @property
    def replayed(self) -> bool:
        """Say whether an earlier call had made it."""
        ...


class Jobs(Protocol):
    """The desk at which durable work is handed in."""

    async def enter(
        self, kind: JobKind, request: dict[str, Any], idempotency_key: str | None = None
    ) -> Accepted:
        """Accept a job, or refuse it as the synchronous call would."""
        ...

    async def is_reachable(self) -> bool:
        """Say whether the broker answers."""
        ...


class Services(Protocol):
    """All that one process serves with."""

    @property
    def store(self) -> ArtifactStore:
        """Give the artifacts."""
        ...

    @property
    def pipeline(self) -> Pipeline:
        """Give the engine."""
        ...

    @property
    def jobs(self) -> Jobs | None:
        """Give the job desk; None where there is no broker."""
        ...

    async def close(self) -> None:
        """Finish what is being worked on, then let everything go."""
        ...


@dataclass(frozen=True)
class Desk:
    """What every endpoint finds in ``request.state.desk``."""

    settings: Settings
    services: Services
    codec: Executor


def desk(request: Request) -> Desk:
    """Give the desk of the process that answers this request."""
    return cast("Desk", request.state.desk)


def job_desk(request: Request) -> Jobs:
    """Give the job desk.

    Raises:
        Unavailable: if this process has no broker.
    """
    jobs = desk(request).services.jobs
    if jobs is None:
        raise Unavailable(
            "this server runs without a broker, so that it takes no jobs",
            code="jobs-unavailable",
            fix="Start it with REDIS_URL set, or with `make up`, which brings a broker.",
        )
    return jobs
