"""Bodies of the job calls."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from service.schemas.fields import MAX_SEED, NAME_PATTERN, ModelReference, WireModel

JobKind = Literal["forecast", "infer-relations", "retrain", "evaluate"]
JobState = Literal[
    "queued",
    "running",
    "finalizing",
    "cancelling",
    "succeeded",
    "failed",
    "cancelled",
    "expired",
]
TERMINAL_STATES: frozenset[JobState] = frozenset({"succeeded", "failed", "cancelled", "expired"})
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


class JobRequest(WireModel):
    """`POST /v1/jobs`: what to do, and the body that the synchronous call would take."""

    kind: JobKind
    request: dict[str, Any] = Field(
        description="The synchronous body; for `retrain` `{experiment or dataset, name}`."
    )


class RetrainRequest(WireModel):
    """The `request` of a retrain job."""

    experiment: Name | None = Field(default=None, description="A bundled experiment: `push3`.")
    dataset: Name | None = Field(default=None, description="An uploaded dataset.")
    name: Name = Field(description="The model that gets a new version.")
    alias: Name | None = Field(
        default="champion",
        description="The alias that moves to the new version; null leaves all aliases alone.",
    )
    epochs: Annotated[int, Field(ge=1, le=10_000)] | None = Field(
        default=None, description="Epochs to train, if not the experiment's own number."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        default=None, description="Seed of the training, if not the experiment's own."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.experiment is None) == (self.dataset is None):
            raise PydanticCustomError(
                "one-source", "expected exactly one of `experiment` and `dataset`"
            )
        return self


class EvaluateRequest(WireModel):
    """The `request` of an evaluate job."""

    model: ModelReference


class Progress(BaseModel):
    """How far a job is; `done == total` in the last phase means that the result can be fetched."""

    model_config = ConfigDict(frozen=True)

    phase: str
    done: int
    total: int
    eta_s: float | None


class Job(BaseModel):
    """A job as every call shows it."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: JobKind
    state: JobState
    progress: Progress
    attempts: int
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None
    expires_at: str | None = None
    error: dict[str, Any] | None = None
    links: dict[str, str]
