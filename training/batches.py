"""Which windows make up an epoch, in which order, packed as the networks read them."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from training.config import TrainConfig, WindowConfig
from training.errors import DataError
from training.randomness import Purpose, generator
from trajectories.windows import window_starts

Sequences: TypeAlias = Sequence[npt.NDArray[np.float32]]


class Item(NamedTuple):
    """One window of an epoch: a sequence and the first and last frame it may start at."""

    sequence: int
    first: int
    last: int
    length: int


class Batch(NamedTuple):
    """Windows that go through the network together: frames [T, B*N, D] of B samples."""

    frames: Tensor
    samples: int

    @property
    def nodes(self) -> int:
        """N, the nodes of one sample."""
        return self.frames.shape[1] // self.samples


def items_of(sequences: Sequences, window: WindowConfig | None, *, fixed: bool) -> list[Item]:
    """List the windows of one epoch; ``fixed`` puts random starts at the start of their block.

    Random starts follow dNRI's rule: one window per block of ``length`` frames, beginning anywhere
    in the block, or as late as the sequence allows.
    """
    if window is None:
        return [Item(index, 0, 0, len(values)) for index, values in enumerate(sequences)]
    items: list[Item] = []
    for index, values in enumerate(sequences):
        latest = len(values) - window.length
        if latest < 0:
            continue
        moving = window.starts == "random" and not fixed
        starts = range(0, len(values), window.length) if moving else _back_to_back(values, window)
        reach = window.length - 1 if moving else 0
        items += [
            Item(index, min(start, latest), min(start + reach, latest), window.length)
            for start in starts
        ]
    return items


def _back_to_back(values: npt.NDArray[np.float32], window: WindowConfig) -> Sequence[int]:
    return window_starts(len(values), window.length) if len(values) > window.length else [0]


class EpochPlan:
    """The training batches of any epoch, found from its number alone."""

    def __init__(self, sequences: Sequences, config: TrainConfig) -> None:
        self._sequences = sequences
        self._config = config
        self._items = items_of(sequences, config.window, fixed=False)
        self.steps = len(self._items) // config.group
        self._check()

    def _check(self) -> None:
        config = self._config
        if self.steps == 0:
            raise DataError(
                f"the training split gives {len(self._items)} windows",
                f"at least batch × accumulate = {config.batch} × {config.accumulate}",
                "lower 'batch', or shorten 'window.length'",
            )
        lengths = sorted({item.length for item in self._items})
        if len(lengths) > 1 and config.batch > 1:
            raise DataError(
                f"training sequences of {lengths[0]} to {lengths[-1]} frames",
                "one length",
                "set 'window.length' to cut windows, or 'batch: 1'",
            )

    def step_batches(self, epoch: int, step: int) -> list[Batch]:
        """Give the ``accumulate`` batches of one optimiser step, both counted from 0.

        A last group that is not full is left out of the epoch; the order changes every epoch, so
        other windows are left out next time.
        """
        config = self._config
        count = len(self._items)
        order = generator(config.seed, Purpose.ORDER, epoch).permutation(count)
        starts = generator(config.seed, Purpose.STARTS, epoch).random(count).tolist()
        picked = order[step * config.group : (step + 1) * config.group]
        windows = [self._cut(self._items[int(index)], starts[index]) for index in picked]
        firsts = range(0, config.group, config.batch)
        return [pack(windows[first : first + config.batch]) for first in firsts]

    def _cut(self, item: Item, where: float) -> npt.NDArray[np.float32]:
        start = item.first + int(where * (item.last - item.first + 1))
        return self._sequences[item.sequence][start : start + item.length]


def validation_batches(sequences: Sequences, config: TrainConfig) -> Iterator[Batch]:
    """Give every validation window once, in order, neighbours of equal length together."""
    items = items_of(sequences, config.window, fixed=True)
    for _, group in groupby(items, key=lambda item: item.length):
        equal = list(group)
        for at in range(0, len(equal), config.validation_batch):
            chosen = equal[at : at + config.validation_batch]
            yield pack([sequences[one.sequence][one.first :][: one.length] for one in chosen])


def pack(windows: Sequence[npt.NDArray[np.float32]]) -> Batch:
    """Lay windows [T, N, D] side by side, time first: [T, B*N, D], sample by sample."""
    stacked = torch.from_numpy(np.ascontiguousarray(np.concatenate(windows, axis=1)))
    return Batch(stacked, len(windows))
