"""Scores of forecasts: errors by step, baselines, residual variance and coverage. Arrays only.

Axes: ``W`` windows, ``S`` paths, ``H`` steps, ``N`` entities, ``D`` features. Errors are taken in
the units in which the arrays come.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from trajectories.features import position_columns, velocity_columns

Floats = npt.NDArray[np.float64]


def mse_by_step(predicted: Floats, true: Floats) -> Floats:
    """Give the squared error ``[H]`` averaged over windows, entities and features.

    Args:
        predicted: ``[W, H, N, D]``, or ``[W, S, H, N, D]`` to average over paths as well.
        true: ``[W, H, N, D]``.
    """
    if predicted.ndim == true.ndim + 1:
        true = true[:, None]
    errors = (predicted - true) ** 2
    return errors.mean(axis=tuple(axis for axis in range(errors.ndim) if axis != errors.ndim - 3))


def position_error_by_step(predicted: Floats, true: Floats, features: Sequence[str]) -> Floats:
    """Give the mean distance ``[H]`` between predicted and true positions ``[W, H, N, D]``."""
    columns = list(position_columns(features))
    apart = np.linalg.norm(predicted[..., columns] - true[..., columns], axis=-1)
    return apart.mean(axis=(0, 2))


def last_value(last: Floats, horizon: int) -> Floats:
    """Repeat the last given frame ``[W, N, D]``: ``[W, H, N, D]``."""
    return np.repeat(last[:, None], horizon, axis=1)


def constant_velocity(last: Floats, horizon: int, features: Sequence[str]) -> Floats:
    """Move on from the last given frame ``[W, N, D]`` at its velocities, in units per frame."""
    positions, velocities = list(position_columns(features)), list(velocity_columns(features))
    if len(positions) != len(velocities):
        raise ValueError(f"found features {list(features)}, expected a velocity per position")
    predicted = last_value(last, horizon)
    steps = np.arange(1, horizon + 1)[None, :, None, None]
    predicted[..., positions] += steps * last[:, None][..., velocities]
    return predicted


def residual_variance(paths: Floats, true: Floats) -> Floats:
    """Give ``[H, D]``: squared error of the mean over paths less the variance between them, ≥ 0.

    Averaged over windows and entities, so that an even mixture of the paths with this variance
    added has, on average, the spread that the errors of its mean have.
    """
    errors = ((paths.mean(axis=1) - true) ** 2).mean(axis=(0, 2))
    between = paths.var(axis=1).mean(axis=(0, 2))
    return np.maximum(errors - between, 0.0)


def coverage_by_step(paths: Floats, true: Floats, variance: Floats, level: float) -> Floats:
    """Give ``[H]``: the share of true values inside the central band of the predictive mixture.

    The mixture gives every path equal weight and a Gaussian of ``variance [H, D]``; where that is
    0 it is the paths themselves.
    """
    tail = (1.0 - level) / 2
    below = mixture_cdf(paths, true, variance)
    inside = (below >= tail) & (below <= 1.0 - tail)
    return inside.mean(axis=(0, 2, 3))


def mixture_cdf(paths: Floats, true: Floats, variance: Floats) -> Floats:
    """Give where each true value lies in its predictive distribution: ``[W, H, N, D]`` in 0..1."""
    deviation = np.sqrt(variance)[:, None, :]
    total: Floats = np.zeros_like(true)
    for path in range(paths.shape[1]):
        apart = true - paths[:, path]
        with np.errstate(divide="ignore", invalid="ignore"):
            scaled = np.where(deviation > 0, apart / deviation, np.inf * np.sign(apart))
        scaled = np.where(apart == 0, 0.0, scaled)
        total = total + _normal_cdf(scaled)
    return total / paths.shape[1]


def _normal_cdf(scaled: Floats) -> Floats:
    return np.asarray(torch.special.ndtr(torch.from_numpy(scaled)).numpy(), dtype=np.float64)
