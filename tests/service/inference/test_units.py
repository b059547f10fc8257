import pytest

from service.inference.units import factor


@pytest.mark.parametrize(
    ("found", "expected", "value"),
    [
        ("m", "m", 1),
        ("px", "px", 1),
        ("cm", "m", 0.01),
        ("ft", "m", 0.3048),
        ("Å", "nm", 0.1),
        ("m/frame", "cm/frame", 100),
        ("m/s", "m/frame", 0.04),
        ("m/frame", "m/s", 25),
        ("km/s", "m/frame", 40),
        ("px/s", "px/frame", 0.04),
    ],
)
def test_turns_lengths_and_velocities(found: str, expected: str, value: float) -> None:
    assert factor(found, expected, frame_rate=25) == pytest.approx(value)


@pytest.mark.parametrize(
    ("found", "expected"),
    [("px", "m"), ("m", "px"), ("m", "m/s"), ("m/s", "m"), ("m/h", "m/s"), ("", "m"), ("M", "m")],
)
def test_gives_none_where_nothing_turns_one_into_the_other(found: str, expected: str) -> None:
    assert factor(found, expected, frame_rate=25) is None
