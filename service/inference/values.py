"""Nested JSON lists to one array, checked in bulk: only a wrong document is walked in Python."""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest

NUMBERS = frozenset({int, float})
SHAPE_FIX = "Send [T][N][D]: one list of N rows per frame, D numbers per row, null for an absence."
KINDS: dict[type[Any], str] = {
    str: "a string",
    bool: "a boolean",
    dict: "an object",
    list: "an array",
    int: "an integer",
    float: "a number",
    type(None): "null",
}


def to_array(values: object, entities: int, features: int, where: str) -> NDArray[np.float64]:
    """Give ``values [T, N, D]`` in float64; the row of an absent entity is NaN.

    Args:
        values: Lists of lists of lists of numbers as JSON has them; null for an absent row.
        entities: N, the rows that each frame must have.
        features: D, the numbers that each row must have.
        where: JSON pointer of ``values``.

    Raises:
        InvalidRequest: naming the first place that is wrong, what it holds and what it must hold.
    """
    frames = _lists([values], [where], "an array of frames")[0]
    frame_at = _Places(where, ())
    checked = _lists(frames, frame_at, f"an array of {entities} rows")
    _same_length(checked, frame_at, entities, "rows")
    row_at = _Places(where, (entities,))
    absent: list[float] = [np.nan] * features
    rows = [absent if row is None else row for row in chain.from_iterable(checked)]
    rows = _lists(rows, row_at, f"an array of {features} numbers, or null")
    _same_length(rows, row_at, features, "numbers")
    flat = list(chain.from_iterable(rows))
    if not set(map(type, flat)) <= NUMBERS:
        raise _no_number(flat, _Places(where, (entities, features)))
    array = np.array(flat, dtype=np.float64).reshape(len(frames), entities, features)
    _check_finite(array, rows, absent, row_at)
    return array


class _Places:
    """Pointers of the items of a flattened array, made only when one is needed."""

    def __init__(self, where: str, inner: tuple[int, ...]) -> None:
        self._where = where
        self._inner = inner

    def __getitem__(self, index: int) -> str:
        parts: list[int] = []
        for size in reversed(self._inner):
            index, part = divmod(index, size)
            parts.append(part)
        return self._where + "".join(f"/{part}" for part in [index, *reversed(parts)])


def _lists(items: Iterable[object], places: Any, expected: str) -> list[list[Any]]:
    found = list(items)
    if set(map(type, found)) <= {list}:
        return cast("list[list[Any]]", found)
    index = next(i for i, item in enumerate(found) if type(item) is not list)
    raise InvalidRequest(
        f"found {_kind(found[index])}, expected {expected}",
        code="wrong-type",
        pointer=places[index],
        fix=SHAPE_FIX,
    )


def _same_length(items: Sequence[list[Any]], places: _Places, size: int, what: str) -> None:
    if set(map(len, items)) <= {size}:
        return
    index = next(i for i, item in enumerate(items) if len(item) != size)
    raise InvalidRequest(
        f"found {len(items[index])} {what}, expected {size}",
        code="ragged-rows",
        pointer=places[index],
        fix=SHAPE_FIX,
    )


def _no_number(flat: Sequence[object], places: _Places) -> InvalidRequest:
    index = next(i for i, item in enumerate(flat) if type(item) not in NUMBERS)
    if flat[index] is None:
        return InvalidRequest(
            "found null inside a row, expected a number",
            code="partial-row",
            pointer=places[index],
            fix="An entity is present with all its features or not at all: send null for the row.",
        )
    return InvalidRequest(
        f"found {_kind(flat[index])}, expected a number",
        code="wrong-type",
        pointer=places[index],
        fix="Send JSON numbers; strings and booleans are not converted.",
    )


def _check_finite(
    array: NDArray[np.float64], rows: Sequence[object], absent: object, places: _Places
) -> None:
    """Refuse NaN and infinity that did not come from a null; JSON cannot hold them, arrays can."""
    bad = ~np.isfinite(array).all(axis=-1).ravel()
    index = next((int(i) for i in np.flatnonzero(bad) if rows[int(i)] is not absent), None)
    if index is not None:
        raise InvalidRequest(
            "found a number that is not finite",
            code="not-finite",
            pointer=places[index],
            fix="Send null in place of the row of an absent entity.",
        )


def _kind(item: object) -> str:
    return KINDS.get(cast("type[Any]", type(item)), "something else")
