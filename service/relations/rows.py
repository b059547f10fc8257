"""Arrays to JSON rows: a row that is all NaN becomes null, anything else must be finite."""

import numpy as np
from numpy.typing import NDArray

from service.errors import RuntimeFailure


def rows_or_null(values: NDArray[np.floating]) -> object:
    """Give ``values [A, B, C]`` for orjson; a row that is all NaN is null, an absent thing.

    Arrays are passed on as they are where nothing is absent: orjson writes them natively.

    Raises:
        RuntimeFailure: if a number is infinite or a row is NaN in part; such an answer is never
            sent.
    """
    values = np.ascontiguousarray(values)
    if np.isfinite(values).all():
        return values
    gone = np.isnan(values)
    absent: NDArray[np.bool_] = np.logical_and.reduce(gone, axis=-1)
    if np.isinf(values).any() or bool((gone.any(axis=-1) != absent).any()):
        raise RuntimeFailure("the answer holds a number that is not finite", code="not-finite")
    return [_frame(values[index], absent[index]) for index in range(len(values))]


def _frame(frame: NDArray[np.floating], absent: NDArray[np.bool_]) -> object:
    if not absent.any():
        return frame
    return [None if gone else frame[row] for row, gone in enumerate(absent.tolist())]
