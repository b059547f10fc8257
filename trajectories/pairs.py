"""The order of ordered pairs: the only place that decides it.

Everything public is source-major, ``(0→1), (0→2), (1→0), …``; the networks keep their flat graphs
receiver-major, ``(1→0), (2→0), (0→1), …``. Both are explicit index lists, so nothing is assumed.
"""

import numpy as np
import numpy.typing as npt

Index = npt.NDArray[np.int64]


def source_major(entities: int) -> tuple[Index, Index]:
    """Give ``(sources [E], targets [E])`` of all ``E = N(N−1)`` pairs, sorted by source."""
    sources, targets = np.nonzero(~np.eye(entities, dtype=bool))
    return sources.astype(np.int64), targets.astype(np.int64)


def receiver_major(entities: int) -> tuple[Index, Index]:
    """Give ``(senders [E], receivers [E])`` of all ``E = N(N−1)`` pairs, sorted by receiver."""
    receivers, senders = np.nonzero(~np.eye(entities, dtype=bool))
    return senders.astype(np.int64), receivers.astype(np.int64)


def to_source_major(entities: int) -> Index:
    """Give the rows that put receiver-major arrays in public order: ``public = inner[rows]``."""
    sources, targets = source_major(entities)
    return targets * (entities - 1) + sources - (sources > targets)


def to_receiver_major(entities: int) -> Index:
    """Give the rows that put public arrays in the networks' order: ``inner = public[rows]``."""
    senders, receivers = receiver_major(entities)
    return senders * (entities - 1) + receivers - (receivers > senders)
