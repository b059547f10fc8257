import numpy as np
import orjson
import pytest

from service.errors import RuntimeFailure
from service.relations.answers import encode
from service.relations.rows import rows_or_null


def test_rows_of_nan_are_null_and_the_rest_keeps_its_digits() -> None:
    values = np.array([[[0.97, 0.03], [0.1, 0.9]], [[0.5, 0.5], [np.nan, np.nan]]], np.float32)
    text = encode(rows_or_null(values))
    assert text == b"[[[0.97,0.03],[0.1,0.9]],[[0.5,0.5],null]]"


def test_arrays_that_are_no_block_are_written_too() -> None:
    values = np.arange(24.0).reshape(2, 3, 4)[:, ::2, ::-1]
    assert orjson.loads(encode(rows_or_null(values))) == values.tolist()


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_anything_else_that_is_not_finite_is_never_sent(bad: float) -> None:
    values = np.zeros((2, 2, 2))
    values[1, 0, 1] = bad
    with pytest.raises(RuntimeFailure):
        rows_or_null(values)
