"""The made-up recordings are ones that the models would accept."""

import numpy as np

from benchmarks.recordings import wandering

CARD = {
    "frame_rate": 2.0,
    "features": [
        {"name": "x", "kind": "position", "minimum": -1.0, "maximum": 3.0},
        {"name": "y", "kind": "position", "minimum": 0.0, "maximum": 1.0},
        {"name": "vx", "kind": "velocity", "minimum": -0.1, "maximum": 0.1},
        {"name": "vy", "kind": "velocity", "minimum": -0.1, "maximum": 0.1},
    ],
}


def test_stay_inside_the_trained_range() -> None:
    values = np.array(wandering(CARD, entities=4, frames=50, seed=3)["values"])
    assert values.shape == (50, 4, 4)
    assert (values[..., 0] >= -1).all()
    assert (values[..., 0] <= 3).all()
    assert (values[..., 1] >= 0).all()
    assert (values[..., 1] <= 1).all()


def test_velocities_are_backward_differences() -> None:
    values = np.array(wandering(CARD, entities=2, frames=20, seed=3)["values"])
    np.testing.assert_allclose(values[1:, :, 2:], np.diff(values[..., :2], axis=0), atol=3e-5)
