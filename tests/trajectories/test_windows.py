import numpy as np
import pytest

from trajectories.errors import TrajectoryError
from trajectories.windows import cut, window_names, window_starts


@pytest.mark.parametrize(
    ("frames", "starts"), [(49, []), (50, []), (51, [0]), (100, [0]), (101, [0, 50]), (0, [])]
)
def test_a_window_that_ends_with_the_sequence_is_left_out(frames: int, starts: list[int]):
    assert window_starts(frames, 50) == starts


def test_windows_follow_each_other_without_overlap():
    sequence = np.arange(11)[:, None, None] * np.ones((1, 2, 3))
    windows = cut([sequence, sequence[:4]], 3)
    assert [window[:, 0, 0].tolist() for window in windows] == [
        [0, 1, 2], [3, 4, 5], [6, 7, 8], [0, 1, 2],
    ]  # fmt: skip
    assert window_names(["a", "b"], [11, 4], 3) == ("a@0", "a@3", "a@6", "b@0")


def test_a_window_needs_a_length():
    with pytest.raises(TrajectoryError, match="0 frames"):
        window_starts(10, 0)
