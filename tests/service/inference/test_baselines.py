import numpy as np

from models.manifest import Feature
from service.inference.baselines import baseline
from tests.service.manifests import push_manifest

POSITIONS = (
    Feature("x", "position", "m", 0.0, 1.0, -1.0, 1.0),
    Feature("y", "position", "m", 0.0, 1.0, -1.0, 1.0),
)


def test_everything_goes_on_as_it_last_moved():
    last = np.array([[1.0, 2.0, 0.5, -0.25], [np.nan] * 4])
    name, forecast = baseline(push_manifest(), last, 3)
    assert name == "constant_velocity"
    assert forecast[:, 0].tolist() == [
        [1.5, 1.75, 0.5, -0.25],
        [2.0, 1.5, 0.5, -0.25],
        [2.5, 1.25, 0.5, -0.25],
    ]
    assert np.isnan(forecast[:, 1]).all()


def test_velocities_per_second_are_turned_into_steps():
    moving = (
        Feature("vx", "velocity", "m/s", 0.0, 1.0, -1.0, 1.0),
        Feature("vy", "velocity", "m/s", 0.0, 1.0, -1.0, 1.0),
    )
    manifest = push_manifest(features=POSITIONS + moving, velocity="given", frame_rate=4.0)
    _, forecast = baseline(manifest, np.array([[0.0, 0.0, 4.0, 8.0]]), 2)
    assert forecast[:, 0, :2].tolist() == [[1.0, 2.0], [2.0, 4.0]]


def test_everything_stays_where_no_position_has_a_velocity():
    manifest = push_manifest(features=POSITIONS, velocity="none")
    name, forecast = baseline(manifest, np.array([[3.0, 4.0]]), 2)
    assert name == "last_value"
    assert forecast.tolist() == [[[3.0, 4.0]], [[3.0, 4.0]]]
