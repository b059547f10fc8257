"""Units of lengths and of velocities, and the factor between two of them."""

from collections.abc import Mapping

METRES: Mapping[str, float] = {
    "m": 1.0,
    "km": 1e3,
    "cm": 1e-2,
    "mm": 1e-3,
    "um": 1e-6,
    "µm": 1e-6,
    "nm": 1e-9,
    "Å": 1e-10,
    "angstrom": 1e-10,
    "ft": 0.3048,
    "in": 0.0254,
    "yd": 0.9144,
}
PER_FRAME = "frame"
PER_SECOND = "s"


def factor(found: str, expected: str, frame_rate: float) -> float | None:
    """Give what turns a value in ``found`` into ``expected``; None where nothing does.

    A velocity is a length ``/frame`` or ``/s``; ``frame_rate`` (frames per second) joins the two.
    """
    if found == expected:
        return 1.0
    length, _, time = found.partition("/")
    other_length, _, other_time = expected.partition("/")
    lengths = _length_factor(length, other_length)
    times = _time_factor(time, other_time, frame_rate)
    return None if lengths is None or times is None else lengths * times


def _length_factor(found: str, expected: str) -> float | None:
    if found == expected:
        return 1.0
    if found not in METRES or expected not in METRES:
        return None
    return METRES[found] / METRES[expected]


def _time_factor(found: str, expected: str, frame_rate: float) -> float | None:
    """Give the factor between per-frame and per-second: a metre per second is 1/rate per frame."""
    if found == expected:
        return 1.0
    known = {(PER_SECOND, PER_FRAME): 1 / frame_rate, (PER_FRAME, PER_SECOND): frame_rate}
    return known.get((found, expected))
