"""Cutting long sequences into windows of equal length."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from trajectories.errors import TrajectoryError

Floats = npt.NDArray[np.floating]


def window_starts(frames: int, length: int) -> list[int]:
    """Give the starts ``0, length, … < frames − length`` of non-overlapping windows.

    This is dNRI's rule: the bound is strict, so the window that would end exactly with the
    sequence is left out.
    """
    if length < 1:
        raise TrajectoryError(
            "window",
            found=f"a window of {length} frames",
            expected="at least 1",
            fix="Choose a positive window length.",
        )
    return list(range(0, frames - length, length))


def cut(sequences: Sequence[Floats], length: int) -> tuple[Floats, ...]:
    """Give the non-overlapping windows ``[length, …]`` of all sequences ``[T_s, …]``, in order."""
    return tuple(
        sequence[start : start + length]
        for sequence in sequences
        for start in window_starts(len(sequence), length)
    )


def window_names(names: Sequence[str], lengths: Sequence[int], length: int) -> tuple[str, ...]:
    """Name each window after its sequence and first frame, as ``35_01@50``."""
    return tuple(
        f"{name}@{start}"
        for name, frames in zip(names, lengths, strict=True)
        for start in window_starts(frames, length)
    )
