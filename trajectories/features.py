"""Feature names: positions ``x, y[, z]`` first, then their velocities ``vx, vy[, vz]``."""

from collections.abc import Sequence

from trajectories.errors import TrajectoryError

POSITIONS = ("x", "y", "z")


def velocity_name(position: str) -> str:
    """Give the name of the velocity that belongs to a position: ``x`` gives ``vx``."""
    return f"v{position}"


VELOCITIES = tuple(velocity_name(name) for name in POSITIONS)


def position_columns(features: Sequence[str]) -> tuple[int, ...]:
    """Give the columns of ``features`` that hold positions, in order."""
    return tuple(column for column, name in enumerate(features) if name in POSITIONS)


def velocity_columns(features: Sequence[str]) -> tuple[int, ...]:
    """Give the columns of ``features`` that hold velocities, in order."""
    return tuple(column for column, name in enumerate(features) if name in VELOCITIES)


def has_velocities(features: Sequence[str]) -> bool:
    """Say whether every position has its velocity and every velocity its position."""
    positions = [name for name in features if name in POSITIONS]
    velocities = [name for name in features if name in VELOCITIES]
    return bool(positions) and velocities == [velocity_name(name) for name in positions]


def check_features(features: Sequence[str]) -> None:
    """Refuse feature lists without a name, or that name one feature twice."""
    if not features or len(set(features)) != len(features) or not all(features):
        raise TrajectoryError(
            "features",
            found=f"features {list(features)}",
            expected="one or more different, non-empty names",
            fix="Name every column once, positions x, y[, z] before velocities vx, vy[, vz].",
        )
