import numpy as np
import pytest

from trajectories.errors import TrajectoryError
from trajectories.recording import Recording


def recording(values: np.ndarray, **changes: object) -> Recording:
    fields: dict[str, object] = {
        "values": values,
        "entities": ("a", "b"),
        "features": ("x", "y"),
        "frame_rate": 25.0,
    }
    return Recording(**(fields | changes))  # type: ignore[arg-type]


def test_absent_entities_are_rows_of_nan():
    values = np.zeros((3, 2, 2))
    values[1, 0] = np.nan
    assert recording(values).present.tolist() == [[True, True], [False, True], [True, True]]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"entities": ("a", "a")}, "duplicate-entity"),
        ({"entities": ("a", "")}, "entities"),
        ({"entities": ()}, "entities"),
        ({"entities": ("a", "b", "c")}, "shape"),
        ({"features": ("x",)}, "shape"),
        ({"features": ("x", "x")}, "features"),
        ({"frame_rate": 0.0}, "frame-rate"),
        ({"frame_rate": float("nan")}, "frame-rate"),
        ({"values": np.zeros((0, 2, 2))}, "shape"),
        ({"values": np.zeros((3, 4))}, "shape"),
        ({"values": np.zeros((3, 2, 2), dtype=np.float32)}, "dtype"),
    ],
)
def test_what_cannot_be_a_recording_is_refused(changes: dict[str, object], code: str):
    with pytest.raises(TrajectoryError) as caught:
        recording(**({"values": np.zeros((3, 2, 2))} | changes))  # type: ignore[arg-type]
    assert caught.value.code == code


@pytest.mark.parametrize("bad", [[np.nan, 1.0], [np.inf, 1.0], [-np.inf, np.nan]])
def test_half_rows_and_infinities_are_named_by_entity_and_frame(bad: list[float]):
    values = np.zeros((3, 2, 2))
    values[2, 1] = bad
    with pytest.raises(TrajectoryError, match=r"entity 'b' in frame 12"):
        recording(values, start_frame=10)
