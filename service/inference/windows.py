"""From the wire to a recording in the model's units: the one place that judges a trajectory."""

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from models.manifest import Feature, Manifest
from service.errors import Finding, InvalidRequest
from service.inference.scaling import is_translation_free
from service.inference.units import factor
from service.inference.values import to_array
from service.schemas.fields import Trajectory
from trajectories.errors import TrajectoryError
from trajectories.recording import Recording
from trajectories.velocity import with_velocities

WHERE = "/trajectory"
RATE_TOLERANCE = 1e-4
MOST_THINNED = 10_000
"""Beyond so many times the model's frame rate the rate is a mistake, not a fine recording."""
LARGEST_NORMALISED = 1e6
"""Beyond so many trained ranges float32 holds nothing of a trajectory but its distance."""


def to_recording(trajectory: Trajectory, manifest: Manifest, *, at_least: int = 1) -> Recording:
    """Give the recording that the model is fed, in the model's units and with all its features.

    Where velocities are derived, the first frame is used up: the recording starts one frame later
    (`start_frame` says so) and an entity is absent in the frame in which it appears. So the prior
    has one row per frame of the recording, and the posterior one for each but the last.

    Args:
        trajectory: What the caller sent.
        manifest: What the model expects.
        at_least: Frames that must be left after that; the posterior needs 2, all else 1.

    Raises:
        InvalidRequest: with a finding for each thing that is wrong, and the way out.
    """
    findings = list(_header_findings(trajectory, manifest))
    if findings:
        raise InvalidRequest.from_findings(findings)
    derived = derives_velocities(trajectory, manifest)
    values = to_array(
        trajectory.values,
        len(trajectory.entities),
        len(trajectory.features),
        f"{WHERE}/values",
    )
    _check_length(len(values), at_least + derived)
    with np.errstate(over="ignore"):  # an infinity is far away, and refused as such
        values = values * to_model_units(trajectory, manifest)
    _check_magnitude(values, manifest)
    features = manifest.features[: len(trajectory.features)]
    recording = _recording(trajectory, features, values)
    return _dropping_first(with_velocities(recording)) if derived else recording


def derives_velocities(trajectory: Trajectory, manifest: Manifest) -> bool:
    """Say whether the caller sent positions only and the model's velocities follow from them."""
    sent = tuple(trajectory.features)
    return sent != manifest.feature_names and sent == _derivable(manifest)


def to_model_units(trajectory: Trajectory, manifest: Manifest) -> NDArray[np.float64]:
    """Give the factor of each sent feature, ``[D]``: the model's value = factor × the caller's.

    A velocity without a unit of its own follows its position, per frame.

    Raises:
        InvalidRequest: if a unit cannot be turned into the model's.
    """
    found = [_unit_factor(trajectory, manifest, name) for name in trajectory.features]
    missing = [name for name, value in zip(trajectory.features, found, strict=True) if not value]
    if missing:
        raise InvalidRequest.from_findings(list(_unit_findings(trajectory, manifest)))
    return np.array(found, dtype=np.float64)


def _derivable(manifest: Manifest) -> tuple[str, ...] | None:
    return manifest.position_names if manifest.derives_velocities else None


def _header_findings(trajectory: Trajectory, manifest: Manifest) -> Iterator[Finding]:
    yield from _entity_findings(trajectory.entities)
    features = list(_feature_findings(trajectory.features, manifest))
    yield from features
    yield from _rate_findings(trajectory.frame_rate, manifest.frame_rate)
    if not features:
        yield from _unit_findings(trajectory, manifest)


def _entity_findings(entities: list[str]) -> Iterator[Finding]:
    if len(entities) == 1:
        yield Finding(
            "single-entity",
            "found 1 entity, expected at least 2",
            f"{WHERE}/entities",
            "Relations are between entities: send everything that moved together.",
        )
    first: dict[str, int] = {}
    for index, entity in enumerate(entities):
        if first.setdefault(entity, index) != index:
            yield Finding(
                "duplicate-entity",
                f"entity {index} has the id of entity {first[entity]}; expected different ids",
                f"{WHERE}/entities/{index}",
                "Rename one of the two, or merge their rows.",
            )
            return


def _feature_findings(sent: list[str], manifest: Manifest) -> Iterator[Finding]:
    names = tuple(sent)
    if names in (manifest.feature_names, _derivable(manifest)):
        return
    if names == manifest.position_names:
        yield Finding(
            "velocities-needed",
            "found positions only, expected " + ", ".join(manifest.feature_names),
            f"{WHERE}/features",
            "This model's velocities are not differences of positions: measure and send them.",
        )
        return
    known = sum(name in manifest.feature_names for name in names)
    yield Finding(
        "feature-names",
        f"found {len(names)} features, {known} of them the model's; expected exactly "
        + " or ".join(_accepted(manifest)),
        f"{WHERE}/features",
        "Rename, reorder or drop columns; the rows of `values` follow the same order.",
    )


def _accepted(manifest: Manifest) -> list[str]:
    choices = [_derivable(manifest), manifest.feature_names]
    return [", ".join(names) for names in choices if names]


def _rate_findings(found: float, expected: float) -> Iterator[Finding]:
    ratio = found / expected
    if abs(ratio - 1) <= RATE_TOLERANCE:
        return
    if 1 < ratio < MOST_THINNED and abs(ratio - round(ratio)) <= RATE_TOLERANCE * ratio:
        way = f"keep one frame in {round(ratio)}"
    else:
        way = f"interpolate the positions at steps of {1 / expected:g} s"
    yield Finding(
        "frame-rate",
        f"found {found:g} frames per second, expected {expected:g}",
        f"{WHERE}/frame_rate",
        f"Resample to {expected:g} frames per second: {way}; or correct `frame_rate`.",
    )


def _unit_findings(trajectory: Trajectory, manifest: Manifest) -> Iterator[Finding]:
    for name in trajectory.units or {}:
        if name not in trajectory.features:
            yield Finding(
                "units",
                "found a unit for a feature that was not sent",
                f"{WHERE}/units",
                "Give units for the names in `features` only.",
            )
            return
    for name in trajectory.features:
        if _unit_factor(trajectory, manifest, name) is None:
            yield Finding(
                "units",
                f"found a unit that does not convert; expected {_model_unit(manifest, name)}",
                f"{WHERE}/units/{name}",
                "Convert the values to the model's unit, or leave the unit out if they are in it.",
            )


def _unit_factor(trajectory: Trajectory, manifest: Manifest, name: str) -> float | None:
    units = trajectory.units or {}
    expected = _model_unit(manifest, name)
    position = name.removeprefix("v")
    if name not in units and position != name and position in units:
        return factor(units[position], _model_unit(manifest, position), manifest.frame_rate)
    return factor(units.get(name, expected), expected, manifest.frame_rate)


def _model_unit(manifest: Manifest, name: str) -> str:
    return next(feature.unit for feature in manifest.features if feature.name == name)


def _check_length(found: int, expected: int) -> None:
    if found < expected:
        raise InvalidRequest(
            f"found {found} frames, expected at least {expected}",
            code="too-few-frames",
            pointer=f"{WHERE}/values",
            fix="Send a longer window; velocities derived from positions use up its first frame.",
        )


def _check_magnitude(values: NDArray[np.float64], manifest: Manifest) -> None:
    """Refuse values so far away that normalised float32 would hold nothing of them."""
    features = manifest.features[: values.shape[-1]]
    far = _far(values, manifest)
    if far.any():
        frame, row, column = (int(index) for index in np.argwhere(far)[0])
        feature = features[column]
        raise InvalidRequest(
            f"found a value beyond {LARGEST_NORMALISED:g} times the trained scale; the model was "
            f"trained on {feature.minimum:g} to {feature.maximum:g} {feature.unit}",
            code="value-out-of-range",
            pointer=f"{WHERE}/values/{frame}/{row}/{column}",
            fix="Check the units, or move the origin near the entities.",
        )


def _far(values: NDArray[np.float64], manifest: Manifest) -> NDArray[np.bool_]:
    """Say which values ``[T, N, D]`` are not near; an absent one is not far."""
    features = manifest.features[: values.shape[-1]]
    present = ~np.isnan(values)
    with np.errstate(over="ignore", invalid="ignore"):
        offset = np.array([feature.offset for feature in features])
        if present.any() and is_translation_free(manifest):
            first = values[present.all(axis=-1)][0]
            moving = np.array([feature.kind == "position" for feature in features])
            offset = np.where(moving, first, offset)
        scale = np.array([feature.scale for feature in features])
        near = np.abs((values - offset) / scale) <= LARGEST_NORMALISED
    far: NDArray[np.bool_] = present & ~near
    return far


def _recording(
    trajectory: Trajectory, features: tuple[Feature, ...], values: NDArray[np.float64]
) -> Recording:
    try:
        return Recording(
            values=values,
            entities=tuple(trajectory.entities),
            features=tuple(trajectory.features),
            frame_rate=trajectory.frame_rate,
            units={feature.name: feature.unit for feature in features},
            start_frame=trajectory.start_frame,
        )
    except TrajectoryError as error:
        raise InvalidRequest(
            f"expected {error.expected}", code=error.code, pointer=WHERE, fix=error.fix
        ) from error


def _dropping_first(recording: Recording) -> Recording:
    return dataclasses.replace(
        recording, values=recording.values[1:], start_frame=recording.start_frame + 1
    )
