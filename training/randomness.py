"""Everything random in training, derived from counters.

A draw depends on (seed, purpose, epoch, step, …) and on nothing that happened before, so a resumed
epoch draws what the undisturbed one would have drawn.
"""

from collections.abc import Sequence
from enum import IntEnum

import numpy as np
import torch
from torch import Tensor


class Purpose(IntEnum):
    """What a stream is for; two purposes never share numbers."""

    WEIGHTS = 0
    ORDER = 1
    STARTS = 2
    NOISE = 3
    VALIDATION = 4
    DROPOUT = 5


def seed_for(seed: int, purpose: Purpose, *counters: int) -> int:
    """Give a 64-bit seed that no other (seed, purpose, counters) shares in practice."""
    words = np.random.SeedSequence([seed, int(purpose), *counters]).generate_state(1, np.uint64)
    return int(words[0])


def generator(seed: int, purpose: Purpose, *counters: int) -> np.random.Generator:
    """Give a fresh numpy generator for one purpose and one place in the run."""
    return np.random.Generator(np.random.Philox(seed_for(seed, purpose, *counters)))


def uniforms(shape: Sequence[int], seed: int, purpose: Purpose, *counters: int) -> Tensor:
    """Draw float32 uniforms in [0, 1) of a shape, for one purpose and one place in the run."""
    source = generator(seed, purpose, *counters)
    return torch.from_numpy(source.random(tuple(shape), dtype=np.float32))


def seed_torch(seed: int, purpose: Purpose, *counters: int) -> None:
    """Set torch's global stream, which initialisers and dropout read."""
    torch.manual_seed(seed_for(seed, purpose, *counters) % 2**63)
