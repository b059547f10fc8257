"""Bodies of the answers, for documentation and tests; the service writes them from arrays."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from service.schemas.requests import Estimator

Row = Annotated[list[float], Field(min_length=1)]
Frames = list[list[Row | None]]
"""``[frame][row][number]``; null in place of a row: the pair or entity is absent."""


class AnswerModel(BaseModel):
    """Base of all that goes out."""

    model_config = ConfigDict(extra="allow")


class ModelRefAnswer(AnswerModel):
    """The model version that answered."""

    name: str
    version: int
    family: str


class NoticeAnswer(AnswerModel):
    """A warning: a stable code and a sentence."""

    code: str
    text: str


class RelationsAnswer(AnswerModel):
    """Who influences whom: one distribution over relation types per frame and pair."""

    model: ModelRefAnswer
    estimator: Estimator
    static: bool
    relation_types: list[str] = Field(description="Names of the K types.")
    none_type: int | None = Field(description="Index of the type that means no relation.")
    frames: list[int] = Field(description="[F]; the relation at t acts on the step t → t+1.")
    frame_end: int | None = Field(default=None, description="Last frame of a static window.")
    sources: list[str] = Field(description="[E] ids.")
    targets: list[str] = Field(description="[E] ids; the target's next state is influenced.")
    probabilities: Frames = Field(description="[F][E][K]; null: the pair is absent.")
    warnings: list[NoticeAnswer]


class BandsAnswer(AnswerModel):
    """How the quantiles were made and what they cover on test data."""

    method: str
    coverage: dict[str, float]


class ForecastAnswer(AnswerModel):
    """What happens next, in the units and features that were sent."""

    model: ModelRefAnswer
    seed: int
    frames: list[int] = Field(description="[H].")
    entities: list[str]
    features: list[str]
    mean: Frames | None = Field(default=None, description="[H][N][D], mean over the paths.")
    quantiles: dict[str, Frames] | None = Field(
        default=None, description="Of the predictive distribution, by level."
    )
    bands: BandsAnswer | None = None
    samples: list[Frames] | None = Field(default=None, description="[S][H][N][D].")
    relations: RelationsAnswer | None = Field(
        default=None, description="Estimator prior, averaged over the paths."
    )
    baseline: dict[str, Frames] | None = None
    truncated_at: int | None = Field(
        default=None, description="The frame at which a rollout left the range; it ends before."
    )
    warnings: list[NoticeAnswer]


class RelationsBatchAnswer(AnswerModel):
    """The answer to `trajectories`: one result per recording, in order."""

    model: ModelRefAnswer
    results: list[RelationsAnswer]


class ForecastBatchAnswer(AnswerModel):
    """The answer to `trajectories`: one result per recording, in order."""

    model: ModelRefAnswer
    results: list[ForecastAnswer]


class FindingAnswer(BaseModel):
    """One thing wrong with a request."""

    code: str
    pointer: str | None = None
    detail: str
    fix: str | None = None


class ProblemAnswer(BaseModel):
    """RFC 9457 problem document, `application/problem+json`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str = Field(description="Stable slug.")
    pointer: str | None = Field(default=None, description="JSON pointer into the request.")
    fix: str | None = None
    errors: Annotated[list[FindingAnswer], Field(max_length=20)]


class BrokerAnswer(BaseModel):
    """Whether jobs can be taken."""

    state: Literal["up", "down", "none"]


class ReadyAnswer(BaseModel):
    """What this process serves with and from."""

    status: Literal["ready", "not-ready"]
    reasons: list[str]
    runtime: str
    models: dict[str, dict[str, Any]]
    refused: dict[str, str]
    broker: BrokerAnswer
