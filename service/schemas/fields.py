"""Pieces that requests share."""

from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MODEL_REFERENCE_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}(@([a-z0-9][a-z0-9._-]{0,63}))?$"
MAX_SEED = 2**63 - 1
MAX_DRAWN_SEED = 2**53 - 1  # a drawn seed survives a reader that keeps numbers as doubles
MAX_FRAME_NUMBER = 2**53 - 1
MAX_MEMBERS = 64


class WireModel(BaseModel):
    """Base of all that comes in: closed, frozen, and no silent conversion."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    @model_validator(mode="before")
    @classmethod
    def _few_members(cls, payload: object) -> object:
        """Refuse an object of thousands of members as one error, not as thousands."""
        members = len(cast("dict[str, Any]", payload)) if isinstance(payload, dict) else 0
        if members > MAX_MEMBERS:
            raise PydanticCustomError(
                "too_many_members", "expected at most {limit} members", {"limit": MAX_MEMBERS}
            )
        return cast("object", payload)


ModelReference = Annotated[
    str,
    Field(
        pattern=MODEL_REFERENCE_PATTERN,
        description="`name` (its alias `champion`), `name@alias` or `name@version`.",
        examples=["dnri-push3", "dnri-push3@champion", "dnri-push3@1"],
    ),
]
EntityId = Annotated[str, Field(min_length=1, max_length=256)]


class Trajectory(WireModel):
    """One recording: T frames of N entities with D features each."""

    entities: Annotated[list[EntityId], Field(min_length=1, max_length=10_000, fail_fast=True)] = (
        Field(description="Ids of the N entities, in the order of the rows of `values`.")
    )
    features: Annotated[list[str], Field(min_length=1, max_length=64, fail_fast=True)] = Field(
        description="Names of the D numbers of a row: `x, y[, z]`, then `vx, vy[, vz]`. "
        "Positions alone are enough where the model's velocities are backward differences."
    )
    frame_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(
        description="Frames per second; must be the model's."
    )
    units: Annotated[dict[str, str], Field(max_length=64)] | None = Field(
        default=None,
        description="Unit of each feature, such as `m`; a feature left out has the model's unit. "
        "Answers come back in these units.",
    )
    start_frame: Annotated[int, Field(ge=0, le=MAX_FRAME_NUMBER)] = Field(
        default=0, description="The caller's number of the first frame."
    )
    values: Any = Field(
        description="`[T][N][D]` numbers; `null` in place of a row: the entity is not present.",
        json_schema_extra={
            "type": "array",
            "items": {
                "type": "array",
                "items": {
                    "anyOf": [
                        {"type": "array", "items": {"type": "number"}},
                        {"type": "null"},
                    ]
                },
            },
        },
    )
