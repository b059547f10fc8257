"""The forecast table: what happens next, how surely, and under which relations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.relations.rows import rows_or_null
from service.relations.tables import ModelRef, Notice, RelationTable
from service.schemas.requests import ForecastOutput

Values = NDArray[np.floating]


@dataclass(frozen=True)
class ForecastTable:
    """Forecast of one recording, in the caller's units and features.

    ``frames`` ``[H]`` are the caller's numbers. ``mean``, every quantile and every baseline are
    ``[H, N, D]``, ``samples`` ``[S, H, N, D]``; a row of NaN is an entity that is absent in the
    last given frame. ``relations`` are the prior's, averaged over the paths, one frame earlier than
    ``frames``. ``truncated_at`` is the frame at which a rollout left the range, if it did; the
    arrays then end before it.
    """

    model: ModelRef
    seed: int
    frames: NDArray[np.int64]
    entities: Sequence[str]
    features: Sequence[str]
    mean: Values
    quantiles: Mapping[str, Values]
    bands: Mapping[str, Any]
    relations: RelationTable
    baseline: Mapping[str, Values]
    samples: Values | None = None
    truncated_at: int | None = None
    warnings: Sequence[Notice] = ()

    def to_wire(self, outputs: Sequence[ForecastOutput] | None = None) -> dict[str, Any]:
        """Give the answer of `POST /forecast`, ready for orjson with numpy.

        ``outputs`` are the parts that were asked for; None gives all that there are.
        """
        parts = {name: part for name, part in self._parts().items() if _wanted(name, outputs)}
        body: dict[str, Any] = {
            "model": self.model.to_wire(),
            "seed": self.seed,
            "frames": np.ascontiguousarray(self.frames, dtype=np.int64),
            "entities": list(self.entities),
            "features": list(self.features),
        }
        for part in parts.values():
            body |= part
        if self.truncated_at is not None:
            body["truncated_at"] = self.truncated_at
        return body | {"warnings": [notice.to_wire() for notice in self.warnings]}

    def _parts(self) -> dict[ForecastOutput, dict[str, Any]]:
        samples = self.samples
        drawn = {} if samples is None else {"samples": [rows_or_null(path) for path in samples]}
        quantiles = {level: rows_or_null(values) for level, values in self.quantiles.items()}
        return {
            "mean": {"mean": rows_or_null(self.mean)},
            "quantiles": {"quantiles": quantiles, "bands": dict(self.bands)},
            "samples": drawn,
            "relations": {"relations": self.relations.to_wire()},
            "baseline": {
                "baseline": {name: rows_or_null(values) for name, values in self.baseline.items()}
            },
        }


def _wanted(name: ForecastOutput, outputs: Sequence[ForecastOutput] | None) -> bool:
    return outputs is None or name in outputs
