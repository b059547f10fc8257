"""What a forecast has to beat: everything goes on as it last moved, or stays where it is."""

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from service.inference.units import factor
from trajectories.features import velocity_name

Values = npt.NDArray[np.float64]


def baseline(manifest: Manifest, last: Values, horizon: int) -> tuple[str, Values]:
    """Give the baseline's name and its forecast, in the model's units.

    Args:
        manifest: says which velocity belongs to which position, and its unit.
        last: ``[n, D]`` the last given frame.
        horizon: H.

    Returns:
        ``constant_velocity``, or ``last_value`` where no position has a velocity; ``[H, n, D]``.
    """
    rates = _per_frame(manifest)
    steps = np.arange(1, horizon + 1, dtype=np.float64)[:, None]
    forecast = np.repeat(last[None], horizon, axis=0)
    for position, velocity, per_frame in rates:
        forecast[..., position] += steps * last[:, velocity] * per_frame
    return ("constant_velocity" if rates else "last_value"), forecast


def _per_frame(manifest: Manifest) -> list[tuple[int, int, float]]:
    """Give ``(position column, velocity column, factor to position units per frame)``."""
    names, found = manifest.feature_names, list[tuple[int, int, float]]()
    for position in manifest.position_names:
        velocity = velocity_name(position)
        if velocity not in names:
            continue
        column, moving = names.index(position), names.index(velocity)
        wanted = f"{manifest.features[column].unit}/frame"
        rate = factor(manifest.features[moving].unit, wanted, manifest.frame_rate)
        if manifest.derives_velocities or rate is not None:
            found.append((column, moving, 1.0 if manifest.derives_velocities else rate or 0.0))
    return found
