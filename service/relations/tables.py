"""The relation table: who influences whom, how surely, at every frame."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.relations.rows import rows_or_null
from service.schemas.requests import Estimator


@dataclass(frozen=True)
class ModelRef:
    """The model version that gave an answer."""

    name: str
    version: int
    family: str

    def to_wire(self) -> dict[str, Any]:
        """Give the three members as every answer shows them."""
        return {"name": self.name, "version": self.version, "family": self.family}


@dataclass(frozen=True)
class Notice:
    """A warning in an answer: a stable code and a sentence."""

    code: str
    text: str

    def to_wire(self) -> dict[str, str]:
        """Give code and text."""
        return {"code": self.code, "text": self.text}


@dataclass(frozen=True)
class RelationTable:
    """Relation distributions of one recording.

    ``frames`` ``[F]`` are the caller's numbers; the relation at frame t acts on the step t → t+1.
    ``sources`` and ``targets`` ``[E]`` are entity ids, source-major. ``probabilities`` is
    ``[F, E, K]`` float32; a row of NaN is a pair that is absent. A static table has one frame, the
    window's first, and ``frame_end``, its last. ``extras`` are further members of the answer.
    """

    model: ModelRef
    estimator: Estimator
    static: bool
    relation_types: Sequence[str]
    none_type: int | None
    frames: NDArray[np.int64]
    sources: Sequence[str]
    targets: Sequence[str]
    probabilities: NDArray[np.float32]
    warnings: Sequence[Notice] = ()
    frame_end: int | None = None
    extras: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        """Refuse a table whose parts do not fit together; that would be a fault of ours."""
        expected = (len(self.frames), len(self.sources), len(self.relation_types))
        if self.probabilities.shape != expected or len(self.targets) != len(self.sources):
            raise ValueError(
                f"probabilities: found {self.probabilities.shape}, expected {expected} for "
                f"{len(self.sources)} sources and {len(self.targets)} targets"
            )

    def to_wire(self) -> dict[str, Any]:
        """Give the answer of `POST /infer-relations`, ready for orjson with numpy."""
        body: dict[str, Any] = {
            "model": self.model.to_wire(),
            "estimator": self.estimator,
            "static": self.static,
            "relation_types": list(self.relation_types),
            "none_type": self.none_type,
            "frames": np.ascontiguousarray(self.frames, dtype=np.int64),
        }
        if self.frame_end is not None:
            body["frame_end"] = self.frame_end
        return (
            body
            | {
                "sources": list(self.sources),
                "targets": list(self.targets),
                "probabilities": rows_or_null(self.probabilities),
                "warnings": [notice.to_wire() for notice in self.warnings],
            }
            | dict(self.extras)
        )
