"""How each dataset is evaluated: what is given, how far is predicted, which steps are quoted."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.errors import DataError
from trajectories.dataset import Dataset
from trajectories.windows import cut

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Protocol:
    """Burn-ins in frames, the first also that of the bands; steps quoted in tables, from 1."""

    burn_ins: tuple[int, ...]
    steps: tuple[int, ...]


PUBLISHED = {"push3": Protocol((10, 25), (1, 15, 25)), "walk35": Protocol((50,), (10, 20, 40))}


def protocol_for(dataset: Dataset) -> Protocol:
    """Give the papers' protocol of a dataset, or half given and half predicted for others."""
    if dataset.name in PUBLISHED:
        return PUBLISHED[dataset.name]
    frames = evaluation_windows(dataset).shape[1]
    if frames < 2:
        raise DataError(f"test sequences of {frames} frame", "at least 2", "give longer ones")
    half = frames // 2
    horizon = frames - half
    return Protocol((half,), tuple(sorted({1, (horizon + 1) // 2, horizon})))


def evaluation_windows(dataset: Dataset) -> Floats:
    """Give the test sequences ``[W, T, N, D]``, all cut to the shortest of them."""
    split = dataset.split("test")
    shortest = min(split.lengths)
    return np.stack([sequence[:shortest] for sequence in split.sequences])


def calibration_windows(dataset: Dataset) -> Floats:
    """Give validation windows ``[W, T, N, D]`` as long as the test windows.

    They come from the ``valid`` split, or, where its sequences are too short to predict as far as
    the test does, from the whole validation trials.
    """
    frames = evaluation_windows(dataset).shape[1]
    valid = dataset.split("valid")
    if min(valid.lengths) >= frames:
        return np.stack([sequence[:frames] for sequence in valid.sequences])
    if "valid_trials" not in dataset.splits:
        raise DataError(
            f"validation sequences of {min(valid.lengths)} frames in dataset {dataset.name!r}",
            f"at least {frames} as in test, or a split 'valid_trials' of longer ones",
            "prepare the dataset again with whole validation trials",
        )
    windows = cut(dataset.split("valid_trials").sequences, frames)
    if not windows:
        raise DataError("no validation trial long enough", f"more than {frames} frames")
    return np.stack(windows)
