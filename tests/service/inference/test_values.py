import numpy as np
import pytest

from service.errors import InvalidRequest
from service.inference.values import to_array


def refusal(values: object) -> tuple[str, str]:
    with pytest.raises(InvalidRequest) as caught:
        to_array(values, 2, 2, "/v")
    return caught.value.code, caught.value.pointer


def test_gives_frames_entities_and_features_with_nan_for_null() -> None:
    array = to_array([[[1, 2.5], None], [[3, 4], [5, 6]]], 2, 2, "/v")
    np.testing.assert_array_equal(array, [[[1, 2.5], [np.nan] * 2], [[3, 4], [5, 6]]])


def test_gives_no_frames_for_an_empty_list() -> None:
    assert to_array([], 2, 2, "/v").shape == (0, 2, 2)


@pytest.mark.parametrize(
    ("values", "code", "pointer"),
    [
        (None, "wrong-type", "/v"),
        ({"a": 1}, "wrong-type", "/v"),
        ("[[[1,2],[3,4]]]", "wrong-type", "/v"),
        ([[[1, 2], [3, 4]], 5], "wrong-type", "/v/1"),
        ([[[1, 2], [3, 4]], None], "wrong-type", "/v/1"),
        ([[[1, 2], [3, 4]], [[1, 2]]], "ragged-rows", "/v/1"),
        ([[[1, 2], [3, 4]], [[1, 2], [3]]], "ragged-rows", "/v/1/1"),
        ([[[1, 2], 7]], "wrong-type", "/v/0/1"),
        ([[[1, 2], [3, "4"]]], "wrong-type", "/v/0/1/1"),
        ([[[1, 2], [True, 4]]], "wrong-type", "/v/0/1/0"),
        ([[[1, 2], [None, 4]]], "partial-row", "/v/0/1/0"),
        ([[[1, 2], [[3], 4]]], "wrong-type", "/v/0/1/0"),
        ([[[1, 2], [float("nan"), 4]]], "not-finite", "/v/0/1"),
        ([[[1, 2], [float("inf"), 4]]], "not-finite", "/v/0/1"),
    ],
)
def test_refuses_what_is_no_array_at_the_first_wrong_place(
    values: object, code: str, pointer: str
) -> None:
    assert refusal(values) == (code, pointer)


def test_never_repeats_what_was_sent() -> None:
    with pytest.raises(InvalidRequest) as caught:
        to_array([[[1, 2], [3, "secret"]]], 2, 2, "/v")
    assert "secret" not in str(caught.value.to_problem())
