"""Scaling of features: ``normalised = (value − offset) / scale``, per feature, in float64."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from trajectories.errors import TrajectoryError
from trajectories.features import position_columns, velocity_columns

Values = npt.NDArray[np.float64]
Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Normaliser:
    """An offset and a scale per feature, in the units of the data.

    Attributes:
        offset: ``[D]`` float64.
        scale: ``[D]`` float64, each finite and above 0.
    """

    offset: Values
    scale: Values

    def __post_init__(self) -> None:
        """Refuse scales that would divide by zero or turn the axes."""
        good = np.isfinite(self.offset).all() and np.isfinite(self.scale).all()
        if self.offset.shape != self.scale.shape or not good or not (self.scale > 0).all():
            raise TrajectoryError(
                "normaliser",
                found=f"offset {self.offset.tolist()}, scale {self.scale.tolist()}",
                expected="as many finite offsets as scales, every scale above 0",
                fix="Fit on a training split in which every kind of feature varies.",
            )

    def apply(self, values: Floats) -> Values:
        """Give ``values [..., D]`` in normalised units, float64."""
        return (np.asarray(values, dtype=np.float64) - self.offset) / self.scale

    def invert(self, values: Floats) -> Values:
        """Give normalised ``values [..., D]`` in the units of the data, float64."""
        return np.asarray(values, dtype=np.float64) * self.scale + self.offset

    def to_json(self) -> dict[str, list[float]]:
        """Give the lists that ``from_json`` reads."""
        return {"offset": self.offset.tolist(), "scale": self.scale.tolist()}

    @staticmethod
    def from_json(fields: dict[str, Any]) -> "Normaliser":
        """Give the normaliser that ``to_json`` wrote."""
        offset, scale = (np.asarray(fields[key], dtype=np.float64) for key in ("offset", "scale"))
        return Normaliser(offset, scale)


def published(train: Sequence[Floats], features: Sequence[str]) -> Normaliser:
    """Fit dNRI's scaling: the training extremes of each kind of feature become −1 and 1.

    One scalar pair serves all position coordinates together, another all velocity components;
    a feature of neither kind gets its own pair. ``train`` holds sequences ``[T, N, D]``.
    """
    offset, scale = np.empty(len(features)), np.empty(len(features))
    for columns in _kinds(features):
        low, high = _extremes(train, columns)
        offset[columns] = (high + low) / 2
        scale[columns] = (high - low) / 2
    return Normaliser(offset, scale)


def isotropic(train: Sequence[Floats], features: Sequence[str]) -> Normaliser:
    """Fit the published scaling, with velocities at the published scale but offset 0.

    Rotation then commutes with scaling, as local frames need: an offset would turn headings.
    """
    return _without_velocity_offset(published(train, features), features)


def robust(train: Sequence[Floats], features: Sequence[str], quantile: float = 0.999) -> Normaliser:
    """Fit the isotropic scaling with the velocity scale taken from a quantile of ``|v|``.

    One glitch then no longer sets the unit of all velocities.
    """
    fitted = isotropic(train, features)
    columns = list(velocity_columns(features))
    if not columns:
        return fitted
    speeds = np.concatenate([np.abs(sequence[..., columns]).ravel() for sequence in train])
    scale = fitted.scale.copy()
    scale[columns] = np.nanquantile(speeds, quantile)
    return Normaliser(fitted.offset, scale)


FITS: dict[str, Callable[[Sequence[Floats], Sequence[str]], Normaliser]] = {
    "published": published,
    "isotropic": isotropic,
    "robust": robust,
}


def fit(kind: str, train: Sequence[Floats], features: Sequence[str]) -> Normaliser:
    """Fit the named normaliser on the training sequences ``[T, N, D]``."""
    if kind not in FITS:
        raise TrajectoryError(
            "normaliser",
            found=f"the normaliser {kind!r}",
            expected=f"one of {sorted(FITS)}",
            fix="Choose one of these names.",
        )
    return FITS[kind](train, features)


def _kinds(features: Sequence[str]) -> list[list[int]]:
    positions, velocities = position_columns(features), velocity_columns(features)
    others = set(range(len(features))) - {*positions, *velocities}
    kinds = [list(positions), list(velocities), *([column] for column in sorted(others))]
    return [columns for columns in kinds if columns]


def _extremes(train: Sequence[Floats], columns: list[int]) -> tuple[float, float]:
    lows = [float(np.nanmin(sequence[..., columns])) for sequence in train]
    highs = [float(np.nanmax(sequence[..., columns])) for sequence in train]
    return min(lows), max(highs)


def _without_velocity_offset(fitted: Normaliser, features: Sequence[str]) -> Normaliser:
    offset = fitted.offset.copy()
    offset[list(velocity_columns(features))] = 0.0
    return Normaliser(offset, fitted.scale)
