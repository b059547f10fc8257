from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.inference.quantiles import extended_variance, mixture_quantiles

LEVELS = [0.001, 0.05, 0.25, 0.5, 0.9, 0.95, 0.999]


def cdf(paths: np.ndarray, deviation: float, value: float) -> float:
    """Give the mixture's distribution function at one place."""
    return float(np.mean([NormalDist(path, deviation).cdf(value) for path in paths]))


class TestMixtureQuantiles:
    @pytest.mark.parametrize("samples", [1, 3, 32])
    def test_equal_paths_give_the_quantiles_of_one_normal(self, samples):
        paths = np.full((samples, 2, 1, 1), 5.0)
        found = mixture_quantiles(paths, np.array([[0.0], [4.0]]), LEVELS)
        for level, values in zip(LEVELS, found, strict=True):
            assert values[0, 0, 0] == 5.0
            expected = NormalDist(5.0, 2.0).inv_cdf(level)
            assert values[1, 0, 0] == pytest.approx(expected, abs=0.02)

    @pytest.mark.parametrize("deviation", [0.1, 1.0, 4.0])
    def test_invert_the_mixtures_distribution_function(self, deviation):
        paths = np.random.default_rng(0).normal(0, 2, 16)
        levels = [0.05, 0.3, 0.5, 0.95]
        spread = np.array([[deviation**2]])
        found = mixture_quantiles(paths.reshape(16, 1, 1, 1), spread, levels)
        for level, values in zip(levels, found, strict=True):
            assert cdf(paths, deviation, values[0, 0, 0]) == pytest.approx(level, abs=0.01)

    @settings(max_examples=30, deadline=None)
    @given(
        paths=st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=9),
        variance=st.floats(0, 1e4),
        levels=st.lists(st.floats(0.001, 0.999), min_size=2, max_size=6),
    )
    def test_never_cross(self, paths, variance, levels):
        ordered = sorted(levels)
        shaped = np.array(paths).reshape(-1, 1, 1, 1)
        found = mixture_quantiles(shaped, np.array([[variance]]), ordered)
        values = [float(answer[0, 0, 0]) for answer in found]
        assert values == sorted(values)

    def test_a_narrower_residual_gives_a_narrower_band(self):
        paths = np.zeros((8, 2, 1, 1), np.float32)
        low, high = mixture_quantiles(paths, np.array([[1.0], [9.0]]), [0.05, 0.95])
        widths = (high - low)[:, 0, 0]
        assert widths == pytest.approx([3.29, 9.87], rel=0.01)

    def test_long_forecasts_are_worked_off_in_pieces(self, monkeypatch):
        paths = np.random.default_rng(1).normal(size=(4, 9, 2, 3))
        variance = np.random.default_rng(2).uniform(0, 1, (9, 3))
        whole = mixture_quantiles(paths, variance, [0.1, 0.9])
        monkeypatch.setattr("service.inference.quantiles.PLACES_AT_ONCE", 1)
        pieces = mixture_quantiles(paths, variance, [0.1, 0.9])
        assert all(np.array_equal(one, other) for one, other in zip(whole, pieces, strict=True))

    def test_no_levels_and_no_steps_give_nothing(self):
        assert mixture_quantiles(np.zeros((2, 3, 1, 1)), np.ones((3, 1)), []) == []
        (empty,) = mixture_quantiles(np.zeros((2, 0, 3, 1)), np.ones((0, 1)), [0.5])
        assert empty.shape == (0, 3, 1)


class TestExtendedVariance:
    def test_cuts_the_table_to_the_horizon(self):
        assert extended_variance([[1.0], [2.0], [3.0]], 2).tolist() == [[1.0], [2.0]]
        assert extended_variance([[1.0]], 0).shape == (0, 1)

    def test_goes_on_with_the_last_growth(self):
        assert extended_variance([[1.0, 5.0], [3.0, 4.0]], 4).tolist() == [
            [1.0, 5.0],
            [3.0, 4.0],
            [5.0, 4.0],
            [7.0, 4.0],
        ]

    def test_a_single_row_grows_from_nothing(self):
        assert extended_variance([[2.0]], 3).tolist() == [[2.0], [4.0], [6.0]]
