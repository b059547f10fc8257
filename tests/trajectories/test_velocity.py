import numpy as np
import pytest

from trajectories.errors import TrajectoryError
from trajectories.recording import Recording
from trajectories.velocity import with_velocities


def moving(values: np.ndarray, features: tuple[str, ...] = ("x", "y")) -> Recording:
    names = tuple(f"e{index}" for index in range(values.shape[1]))
    return Recording(values, names, features, 1.0, units={"x": "m", "y": "m"})


def test_velocity_is_the_step_from_the_frame_before():
    values = np.arange(12.0).reshape(3, 2, 2) ** 2
    given = with_velocities(moving(values))
    assert given.features == ("x", "y", "vx", "vy")
    assert given.units["vx"] == "m/frame"
    np.testing.assert_array_equal(given.values[1:, :, 2:], np.diff(values, axis=0))
    np.testing.assert_array_equal(given.values[1:, :, :2], values[1:])


def test_the_first_frame_of_each_presence_is_used_up():
    values = np.ones((6, 1, 2))
    values[2, 0] = np.nan
    assert with_velocities(moving(values)).present[:, 0].tolist() == [
        False, True, False, False, True, True,
    ]  # fmt: skip


def test_velocities_are_not_derived_twice_nor_without_positions():
    with pytest.raises(TrajectoryError, match="no velocities yet"):
        with_velocities(with_velocities(moving(np.zeros((3, 1, 2)))))
    with pytest.raises(TrajectoryError):
        with_velocities(moving(np.zeros((3, 1, 1)), features=("angle",)))
