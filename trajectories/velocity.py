"""Velocities by backward difference: ``v_t = x_t − x_{t−1}``, in units per frame."""

import dataclasses

import numpy as np

from trajectories.errors import TrajectoryError
from trajectories.features import position_columns, velocity_columns, velocity_name
from trajectories.recording import Recording, Values

BACKWARD_DIFFERENCE = "backward-difference"


def backward_difference(positions: Values) -> Values:
    """Give the velocities of ``positions [T, …]``, same shape; the first frame is all NaN."""
    velocities = np.full_like(positions, np.nan)
    velocities[1:] = positions[1:] - positions[:-1]
    return velocities


def with_velocities(recording: Recording) -> Recording:
    """Give the recording with ``vx, vy[, vz]`` appended, in position units per frame.

    The first frame of each presence has no frame before it: there the entity becomes absent.
    """
    columns = position_columns(recording.features)
    if not columns or velocity_columns(recording.features):
        raise TrajectoryError(
            "velocity",
            found=f"features {list(recording.features)}",
            expected="positions x, y[, z] and no velocities yet",
            fix="Leave the velocities out to have them derived, or send them as they are.",
        )
    velocities = backward_difference(recording.values[..., columns])
    values = np.concatenate([recording.values, velocities], axis=-1)
    values[np.isnan(values).any(axis=-1)] = np.nan
    names = [recording.features[column] for column in columns]
    units = dict(recording.units)
    units |= {velocity_name(name): f"{units[name]}/frame" for name in names if name in units}
    return dataclasses.replace(
        recording,
        values=values,
        features=(*recording.features, *map(velocity_name, names)),
        units=units,
    )
