"""Predictive quantiles: a mixture over sample paths of normal distributions.

Each path carries the residual variance that was measured on validation rollouts, so the bands speak
of what will happen and not only of which relations were drawn.
"""

from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

POINTS = 512
"""Equally likely points that stand for the mixture at each place."""
MAX_POINTS = 8192
PLACES_AT_ONCE = 2_000_000
"""Points in memory at once."""


def mixture_quantiles(
    paths: npt.NDArray[np.floating], variance: Values, levels: Sequence[float]
) -> list[Values]:
    """Give the quantiles of the mixture over paths of ``Normal(path, variance)``.

    Every path is replaced by equally likely points of its normal; together they are a lattice in
    probability, so equal paths give the quantiles of one normal, and levels never cross.

    Args:
        paths: ``[S, H, n, D]``.
        variance: ``[H, D]``, 0 or more.
        levels: between 0 and 1.

    Returns:
        ``[H, n, D]`` for each level.
    """
    samples, horizon, entities, features = paths.shape
    answers = [np.empty((horizon, entities, features)) for _ in levels]
    if not levels or not paths.size:
        return answers
    normals = _normals(samples, _points_each(samples, levels))
    spread = np.sqrt(variance)
    stride = max(1, PLACES_AT_ONCE // max(1, normals.size * entities * features))
    for first in range(0, horizon, stride):
        steps = slice(first, first + stride)
        # Points last: sorting runs along contiguous memory.
        centres = np.moveaxis(paths[:, steps], 0, -1)[..., None]
        points = centres + spread[steps, None, :, None, None] * normals
        ordered = np.sort(points.reshape(*points.shape[:3], -1), axis=-1)
        for answer, level in zip(answers, levels, strict=True):
            answer[steps] = _at(ordered, level)
    return answers


def extended_variance(table: Sequence[Sequence[float]], horizon: int) -> Values:
    """Give the residual variance ``[horizon, D]``; past the table its last growth goes on.

    Args:
        table: ``[h][D]``, one row or more.
        horizon: steps wanted.
    """
    known = np.asarray(table, np.float64)
    missing = horizon - len(known)
    if missing <= 0:
        return known[:horizon]
    before = known[-2] if len(known) > 1 else np.zeros_like(known[-1])
    growth = np.maximum(known[-1] - before, 0.0)
    further = known[-1] + growth * np.arange(1, missing + 1)[:, None]
    return np.concatenate((known, further))


def _points_each(samples: int, levels: Sequence[float]) -> int:
    rarest = min(min(level, 1 - level) for level in levels)
    wanted = min(MAX_POINTS, max(POINTS, round(4 / rarest)))
    return max(1, -(-wanted // samples))


@lru_cache(maxsize=32)
def _normals(samples: int, each: int) -> Values:
    """Give standard-normal points ``[samples, each]``: path s has the s-th part of each stratum."""
    total = samples * each
    standard = NormalDist()
    points = [standard.inv_cdf((index + 0.5) / total) for index in range(total)]
    return np.ascontiguousarray(np.array(points).reshape(each, samples).T)


def _at(ordered: Values, level: float) -> Values:
    """Interpolate between points ``[..., P]``, each the middle of its share of the probability."""
    last = ordered.shape[-1] - 1
    place = min(max(level * (last + 1) - 0.5, 0.0), float(last))
    below = min(int(place), max(last - 1, 0))
    above = min(below + 1, last)
    part = place - below
    return ordered[..., below] * (1 - part) + ordered[..., above] * part
