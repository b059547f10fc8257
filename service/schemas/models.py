"""Bodies of the model calls."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from service.schemas.fields import WireModel


class AliasRequest(WireModel):
    """`PUT /v1/models/{name}/aliases/{alias}`."""

    version: Annotated[int, Field(ge=1)] = Field(description="The version that it shall mean.")


class AliasAnswer(BaseModel):
    """What an alias means now, and what it meant before."""

    name: str
    alias: str
    version: int
    previous: int | None


class FeatureCard(BaseModel):
    """One number of a row: its unit and the range of the training data."""

    name: str
    kind: str
    unit: str
    minimum: float
    maximum: float


class VersionCard(BaseModel):
    """All that is known about one version."""

    name: str
    version: int
    family: str
    static: bool
    relation_types: list[str]
    none_type: int | None
    features: list[FeatureCard]
    velocity: str
    frame_rate: float
    trained: dict[str, int]
    bands: dict[str, Any]
    network: dict[str, Any]
    provenance: dict[str, Any]
    metrics: dict[str, Any]
    aliases: list[str]
    card: str = Field(description="The model card, Markdown.")


class RefusedVersion(BaseModel):
    """A version that failed verification and is not served."""

    version: int
    reason: str


class ModelSummary(BaseModel):
    """One model: which versions there are and what its names mean."""

    name: str
    family: str | None
    versions: list[int]
    aliases: dict[str, int]
    refused: list[RefusedVersion]


class ModelList(BaseModel):
    """`GET /v1/models`."""

    models: list[ModelSummary]


class ModelDetail(ModelSummary):
    """`GET /v1/models/{name}`: the summary and the card of the champion."""

    champion: VersionCard | None
