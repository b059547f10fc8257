"""One recording: who was where at each frame."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from trajectories.errors import TrajectoryError
from trajectories.features import check_features

Values = npt.NDArray[np.float64]


def _no_units() -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Recording:
    """Frames of entities with named features; a row of NaN says that the entity was absent.

    Attributes:
        values: ``[T, N, D]`` float64, in ``units``; a row is either whole or all NaN.
        entities: The ``N`` different, non-empty entity names.
        features: The ``D`` feature names.
        frame_rate: Frames per second (or per unit of the data's own time), above 0.
        units: Unit of each feature that has one.
        start_frame: Number of the first frame.
        name: What to call the recording in messages; may be empty.
    """

    values: Values
    entities: tuple[str, ...]
    features: tuple[str, ...]
    frame_rate: float
    units: Mapping[str, str] = field(default_factory=_no_units)
    start_frame: int = 0
    name: str = ""

    def __post_init__(self) -> None:
        """Refuse what could not be a recording."""
        check_features(self.features)
        self._check_entities()
        self._check_shape()
        self._check_rows()
        if not (np.isfinite(self.frame_rate) and self.frame_rate > 0):
            raise TrajectoryError(
                "frame-rate",
                found=f"a frame rate of {self.frame_rate}",
                expected="a finite number of frames per second above 0",
                fix="State the rate at which the frames were taken.",
            )

    @property
    def frames(self) -> int:
        """Give the number of frames, ``T``."""
        return self.values.shape[0]

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Give ``[T, N]``: whether the entity has values in the frame."""
        return ~np.isnan(self.values[..., 0])

    def _check_entities(self) -> None:
        if not self.entities or not all(self.entities):
            raise TrajectoryError(
                "entities",
                found=f"entities {list(self.entities)[:20]}",
                expected="at least one entity, each with a non-empty name",
                fix="Give every entity a name.",
            )
        if len(set(self.entities)) != len(self.entities):
            seen: set[str] = set()
            twice = next(name for name in self.entities if name in seen or seen.add(name))
            raise TrajectoryError(
                "duplicate-entity",
                found=f"the entity {twice!r} more than once",
                expected="different names",
                fix="Rename one of the two, or merge their rows.",
            )

    def _check_shape(self) -> None:
        found = self.values.shape
        wanted = (len(self.entities), len(self.features))
        if len(found) != 3 or found[0] < 1 or found[1:] != wanted:
            raise TrajectoryError(
                "shape",
                found=f"values of shape {list(found)}",
                expected=f"[T, N, D] = [at least 1, {wanted[0]}, {wanted[1]}]",
                fix="Give one row of features per entity and frame, in the order of the names.",
            )
        if self.values.dtype != np.float64:
            raise TrajectoryError(
                "dtype",
                found=f"values of type {self.values.dtype}",
                expected="float64",
                fix="Convert the values with .astype(numpy.float64).",
            )

    def _check_rows(self) -> None:
        missing = np.isnan(self.values)
        bad = (missing.any(-1) & ~missing.all(-1)) | np.isinf(self.values).any(-1)
        if bad.any():
            frame, row = np.argwhere(bad)[0]
            raise TrajectoryError(
                "non-finite",
                found=f"{self.values[frame, row].tolist()} for entity {self.entities[row]!r} "
                f"in frame {self.start_frame + int(frame)}",
                expected="finite numbers, or NaN in the whole row where the entity is absent",
                fix="Complete the row, or mark the entity absent in that frame.",
            )
