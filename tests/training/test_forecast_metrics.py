import numpy as np
import pytest

from training import forecast_metrics
from training.simulators import push
from trajectories.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return push.simulate(1)


@pytest.mark.parametrize(
    ("baseline", "burn_in", "expected"),
    [
        ("constant_velocity", 10, (1.73e-4, 1.99e-2, 2.44e-2)),
        ("constant_velocity", 25, (2.7e-5, 3.1e-4, 3.8e-4)),
        ("last_value", 10, (1.99e-4, 2.60e-2, 4.15e-2)),
        ("last_value", 25, (6.8e-5, 9.5e-3, 2.59e-2)),
    ],
)
def test_push_baselines_are_the_reference_figures(
    dataset: Dataset, baseline: str, burn_in: int, expected: tuple[float, ...]
):
    windows = dataset.split("test").values().astype(np.float64)
    last, true = windows[:, burn_in - 1], windows[:, burn_in:]
    if baseline == "last_value":
        guess = forecast_metrics.last_value(last, 50 - burn_in)
    else:
        guess = forecast_metrics.constant_velocity(last, 50 - burn_in, dataset.features)
    published = dataset.normaliser("published")
    errors = forecast_metrics.mse_by_step(published.apply(guess), published.apply(true))
    assert errors[[0, 14, 24]] == pytest.approx(expected, rel=0.008)


def test_constant_velocity_moves_positions_and_keeps_velocities():
    last = np.array([[[1.0, 2.0, 0.5, -1.0]]])
    moved = forecast_metrics.constant_velocity(last, 3, ("x", "y", "vx", "vy"))
    assert moved[0, 2, 0].tolist() == [2.5, -1.0, 0.5, -1.0]
    with pytest.raises(ValueError, match="a velocity per position"):
        forecast_metrics.constant_velocity(last, 3, ("x", "y", "vx", "speed"))


def test_paths_are_averaged_after_squaring_and_means_before():
    true = np.zeros((1, 2, 1, 1))
    paths = np.array([1.0, -1.0]).reshape(1, 2, 1, 1, 1) * np.ones((1, 2, 2, 1, 1))
    assert forecast_metrics.mse_by_step(paths, true).tolist() == [1.0, 1.0]
    assert forecast_metrics.mse_by_step(paths.mean(axis=1), true).tolist() == [0.0, 0.0]


def test_position_errors_are_distances_over_positions_only():
    guess = np.array([3.0, 4.0, 100.0, 100.0]).reshape(1, 1, 1, 4)
    apart = forecast_metrics.position_error_by_step(
        guess, np.zeros_like(guess), ("x", "y", "vx", "vy")
    )
    assert apart.tolist() == [5.0]


def spread(paths: int, between: float, residual: float) -> tuple[np.ndarray, np.ndarray]:
    """Draw paths [W, S, 1, 1, 1] and truths [W, 1, 1, 1] of the same law plus noise."""
    stream = np.random.default_rng(5)
    centre = stream.normal(size=(4000, 1, 1, 1, 1))
    drawn = centre + between * stream.normal(size=(4000, paths, 1, 1, 1))
    truth = centre[:, 0] + between * stream.normal(size=(4000, 1, 1, 1))
    return drawn, truth + residual * stream.normal(size=truth.shape)


def test_residual_variance_is_what_the_paths_do_not_explain():
    drawn, truth = spread(paths=64, between=1.0, residual=2.0)
    assert forecast_metrics.residual_variance(drawn, truth)[0, 0] == pytest.approx(4.0, rel=0.06)


def test_residual_variance_is_never_negative():
    drawn, truth = spread(paths=64, between=3.0, residual=0.0)
    assert forecast_metrics.residual_variance(drawn, truth * 0 + drawn.mean(axis=1)).min() == 0


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_bands_of_the_right_law_cover_what_they_say(level: float):
    drawn, truth = spread(paths=64, between=1.0, residual=2.0)
    variance = forecast_metrics.residual_variance(drawn, truth)
    covered = forecast_metrics.coverage_by_step(drawn, truth, variance, level)
    assert covered[0] == pytest.approx(level, abs=0.02)


def test_without_residuals_the_band_is_made_of_the_paths_alone():
    paths = np.arange(10.0).reshape(1, 10, 1, 1, 1)
    variance = np.zeros((1, 1))
    for truth, below in ((4.5, 0.5), (-1.0, 0.0), (99.0, 1.0), (4.0, 0.45)):
        place = forecast_metrics.mixture_cdf(paths, np.full((1, 1, 1, 1), truth), variance)
        assert place.item() == pytest.approx(below)
