"""Between the model's units (float64) and what the networks see (normalised float32).

The only place that applies a manifest's offsets and scales.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest

Values = npt.NDArray[np.float64]
Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scaling:
    """``normalised = (value - offset) / scale`` for one window, and the range of training.

    Attributes:
        offset: ``[D]``; positions of a translation-free model are taken from the window's start.
        scale: ``[D]``.
        centre: ``[D]`` middle of the trained range, in normalised units; for positions of a
            translation-free model the middle of the window.
        reach: ``[D]`` half of the trained range, the widest of its kind, in normalised units.
    """

    offset: Values
    scale: Values
    centre: Values
    reach: Values

    def normalised(self, values: Values) -> Floats:
        """Give ``values [..., D]`` as the networks see them; NaN stays NaN."""
        return ((values - self.offset) / self.scale).astype(np.float32)

    def restored(self, normalised: npt.NDArray[np.floating]) -> Values:
        """Give ``normalised [..., d]``, all features or the first few, in the model's units."""
        width = normalised.shape[-1]
        return np.asarray(normalised, np.float64) * self.scale[:width] + self.offset[:width]

    def within(self, normalised: Floats, times: float) -> Flags:
        """Say per row ``[...]`` whether it is finite and within `times` the trained range."""
        inside = np.abs(normalised - self.centre) <= times * self.reach
        return np.logical_and.reduce(inside, axis=-1)


def scaling_for(manifest: Manifest, values: Values) -> Scaling:
    """Give the scaling of one window ``values [T, N, D]``, in the model's units, NaN where absent.

    A model in local frames without absolute features does not see where the window is. Its
    positions are taken from the centroid of the first frame that holds anyone, in float64, so that
    coordinates far from the origin keep their precision. No later frame moves that point: what the
    prior says about a frame hangs on nothing that comes after it, not even by its rounding.
    """
    features = manifest.features
    offset = np.array([feature.offset for feature in features])
    scale = np.array([feature.scale for feature in features])
    low = np.array([feature.minimum for feature in features])
    high = np.array([feature.maximum for feature in features])
    centre = ((low + high) / 2 - offset) / scale
    if is_translation_free(manifest):
        positions = np.array([feature.kind == "position" for feature in features])
        offset[positions] = _start(values)[positions]
        centre[positions] = ((_centroid(values) - offset) / scale)[positions]
    return Scaling(offset, scale, centre, _reach(manifest, (high - low) / 2 / scale))


def is_translation_free(manifest: Manifest) -> bool:
    """Whether the model sees positions only relative to each other."""
    return manifest.coordinate_frames == "local" and not manifest.absolute_features


def _start(values: Values) -> Values:
    """Give the centroid ``[D]`` of the first frame that holds anyone."""
    holding = np.flatnonzero(~np.isnan(values[..., 0]).all(axis=1))
    return _centroid(values[holding[:1]])


def _centroid(values: Values) -> Values:
    if np.isnan(values).all():
        return np.zeros((values.shape[-1],), np.float64)
    centroid: Values = np.nanmean(values, axis=(0, 1))
    return centroid


def _reach(manifest: Manifest, half: Values) -> Values:
    halves: list[float] = half.tolist()
    kinds = [feature.kind for feature in manifest.features]
    widest = {
        kind: max(own for own, its in zip(halves, kinds, strict=True) if its == kind)
        for kind in kinds
    }
    return np.array(
        [own if kind == "other" else widest[kind] for own, kind in zip(halves, kinds, strict=True)]
    )
