import numpy as np
import pytest

from trajectories import normaliser
from trajectories.errors import TrajectoryError

FEATURES = ("x", "y", "vx", "vy")


@pytest.fixture
def train() -> list[np.ndarray]:
    stream = np.random.default_rng(3)
    scales = np.array([3.0, 5.0, 0.1, 0.3])
    return [stream.normal(size=(frames, 2, 4)) * scales + 1.0 for frames in (7, 9)]


def test_published_extremes_become_minus_one_and_one_for_each_kind(train: list[np.ndarray]):
    scaled = normaliser.published(train, FEATURES)
    rows = np.concatenate([scaled.apply(values).reshape(-1, 4) for values in train])
    for columns in ([0, 1], [2, 3]):
        assert rows[:, columns].min() == pytest.approx(-1)
        assert rows[:, columns].max() == pytest.approx(1)
    assert scaled.offset[0] == scaled.offset[1]
    assert scaled.scale[2] == scaled.scale[3]


def test_invert_undoes_apply(train: list[np.ndarray]):
    for kind in normaliser.FITS:
        fitted = normaliser.fit(kind, train, FEATURES)
        np.testing.assert_allclose(fitted.invert(fitted.apply(train[0])), train[0], rtol=1e-12)


def test_isotropic_scaling_commutes_with_rotation(train: list[np.ndarray]):
    fitted = normaliser.isotropic(train, FEATURES)
    assert (fitted.offset[2:] == 0).all()
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    velocities = train[0][..., 2:]
    apart = train[0][:, 0, :2] - train[0][:, 1, :2]
    turned = np.zeros_like(train[0])
    turned[..., 2:] = velocities @ turn.T
    turned[:, 0, :2] = apart @ turn.T
    scaled = fitted.apply(turned)
    np.testing.assert_allclose(scaled[..., 2:], fitted.apply(train[0])[..., 2:] @ turn.T)
    before = fitted.apply(train[0])
    np.testing.assert_allclose(
        scaled[:, 0, :2] - scaled[:, 1, :2], (before[:, 0, :2] - before[:, 1, :2]) @ turn.T
    )


def test_one_glitch_does_not_set_the_robust_velocity_scale(train: list[np.ndarray]):
    long = [np.tile(train[0], (200, 1, 1))]
    before = normaliser.robust(long, FEATURES)
    long[0][5, 0, 2] = 1000.0
    after = normaliser.robust(long, FEATURES)
    assert after.scale[2] == pytest.approx(before.scale[2], rel=0.05)
    assert normaliser.published(long, FEATURES).scale[2] > 400
    assert (after.scale[:2] == normaliser.published(long, FEATURES).scale[:2]).all()


def test_absent_rows_do_not_count(train: list[np.ndarray]):
    holed = [train[0].copy(), train[1]]
    holed[0] = np.concatenate([holed[0], np.full((1, 2, 4), np.nan)])
    np.testing.assert_array_equal(
        normaliser.published(holed, FEATURES).scale, normaliser.published(train, FEATURES).scale
    )


def test_data_that_never_move_are_refused():
    with pytest.raises(TrajectoryError, match="every scale above 0"):
        normaliser.published([np.ones((4, 2, 4))], FEATURES)


def test_unknown_kinds_are_refused_with_the_known_ones(train: list[np.ndarray]):
    with pytest.raises(TrajectoryError, match="isotropic"):
        normaliser.fit("zscore", train, FEATURES)


def test_json_keeps_every_digit(train: list[np.ndarray]):
    fitted = normaliser.published(train, FEATURES)
    again = normaliser.Normaliser.from_json(fitted.to_json())
    np.testing.assert_array_equal(again.offset, fitted.offset)
    np.testing.assert_array_equal(again.scale, fitted.scale)
