"""Bodies of the two main calls."""

import secrets
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from service.schemas.fields import (
    MAX_DRAWN_SEED,
    MAX_FRAME_NUMBER,
    MAX_SEED,
    EntityId,
    ModelReference,
    Trajectory,
    WireModel,
)

Estimator = Literal["posterior", "prior"]
ForecastOutput = Literal["mean", "quantiles", "samples", "relations", "baseline"]
DEFAULT_OUTPUTS: tuple[ForecastOutput, ...] = ("mean", "quantiles", "relations", "baseline")
FrameNumber = Annotated[int, Field(ge=0, le=MAX_FRAME_NUMBER)]


class Select(WireModel):
    """What part of a relation table is wanted; the members combine."""

    last: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Only the last so many frames."
    )
    every: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Only every so many-th frame, the first included; `last` counts those left.",
    )
    top_k: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Only pairs that are among the k surest relations (1 − p_none) in any frame.",
    )
    threshold: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        default=None, description="Only pairs whose 1 − p_none reaches this in any frame."
    )


class ModelRequest(WireModel):
    """A model and one recording, or a batch of them."""

    model: ModelReference
    trajectory: Trajectory | None = None
    trajectories: Annotated[list[Trajectory], Field(min_length=1, fail_fast=True)] | None = Field(
        default=None, description="A batch; the answer is then `results`, in the same order."
    )

    @model_validator(mode="after")
    def _one_or_many(self) -> Self:
        if (self.trajectory is None) == (self.trajectories is None):
            raise PydanticCustomError(
                "one-or-many", "expected exactly one of `trajectory` and `trajectories`"
            )
        return self

    @property
    def is_batch(self) -> bool:
        """Whether the answer is a list of results."""
        return self.trajectories is not None

    def each(self) -> tuple[Trajectory, ...]:
        """Give the recordings, one or many."""
        if self.trajectory is not None:
            return (self.trajectory,)
        return tuple(self.trajectories or ())

    def singles(self) -> tuple[Self, ...]:
        """Give one request per recording, each with `trajectory` set and otherwise equal."""
        if not self.is_batch:
            return (self,)
        return tuple(
            self.model_copy(update={"trajectory": one, "trajectories": None}) for one in self.each()
        )


class InferRelationsRequest(ModelRequest):
    """`POST /infer-relations`."""

    estimator: Estimator = Field(
        default="posterior",
        description="`posterior` sees the future of the window and is for analysis; `prior` sees "
        "the past only.",
    )
    select: Select | None = None


class ForcedRelation(WireModel):
    """A relation that is set, not drawn, during a forecast (what-if)."""

    source: EntityId
    target: EntityId
    type: Annotated[str, Field(min_length=1, max_length=64)] | Annotated[int, Field(ge=0)] = Field(
        description="Name or index of the relation type."
    )
    frames: Annotated[list[FrameNumber], Field(min_length=2, max_length=2)] | None = Field(
        default=None,
        description="First and last frame, both included, in the caller's numbers; the relation at "
        "frame t acts on the step t → t+1. Left out: the whole forecast.",
    )


class ForecastRequest(ModelRequest):
    """`POST /forecast`."""

    horizon: Annotated[int, Field(ge=1)] = Field(description="Number of steps to foretell, H.")
    num_samples: Annotated[int, Field(ge=1)] = Field(
        default=32, description="Number of paths that are drawn, S."
    )
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = Field(
        default=None, description="The same seed gives the same answer; drawn and echoed if absent."
    )
    quantiles: Annotated[
        list[Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)]],
        Field(max_length=99, fail_fast=True),
    ] = Field(
        default=[0.05, 0.5, 0.95], description="Levels of the predictive distribution, 0 to 1."
    )
    relations: Annotated[list[ForcedRelation], Field(max_length=10_000, fail_fast=True)] | None = (
        Field(default=None, description="Relations to force; all others are drawn.")
    )
    outputs: Annotated[list[ForecastOutput], Field(min_length=1, max_length=5, fail_fast=True)] = (
        Field(
            default=list(DEFAULT_OUTPUTS),
            description="Parts of the answer; `samples` is [S][H][N][D] and only sent when named.",
        )
    )

    def seeded(self) -> Self:
        """Give the same request with a seed: the caller's, or one drawn here and now."""
        if self.seed is not None:
            return self
        return self.model_copy(update={"seed": secrets.randbelow(MAX_DRAWN_SEED + 1)})
