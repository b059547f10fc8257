"""The prior over given frames: relations without sight of the future, and the state they leave."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from service.inference.flat import Flattened, edge_rows, flatten, join_windows, present_in
from service.inference.runtimes.protocol import Floats, Index, PairState, Runtime, zero_pairs

ROWS_PER_CALL = 1000
"""Edge rows of one call: beyond that intermediate results leave the processor's cache."""


class CausalPass(NamedTuple):
    """Prior logits of one window and the state after it.

    Attributes:
        logits: ``[F, E, K]`` public pair order, NaN where a pair is absent.
        state: ``[E, hidden]`` twice, public pair order; zeros for pairs that never met.
    """

    logits: Floats
    state: PairState


def causal_passes(
    runtime: Runtime, windows: Sequence[Floats], edge_types: int
) -> Generator[None, None, list[CausalPass]]:
    """Give the prior's pass over each normalised window ``[F, N, D]``, yielding between calls.

    Small windows share one call; a large one goes through in chunks of frames, carrying its state.
    """
    rows = [edge_rows(present_in(window)) for window in windows]
    if sum(rows) <= ROWS_PER_CALL:
        return _together(runtime, windows, edge_types)
    passes: list[CausalPass] = []
    for window in windows:
        passes.append((yield from _in_chunks(runtime, window, edge_types)))
    return passes


@dataclass(eq=False)
class _Record:
    """One window's growing answer."""

    logits: Floats
    state: PairState

    def take(self, at: int, flat: Flattened, logits: Floats, state: PairState) -> None:
        """Put in the frames from `at` on."""
        layout = flat.layout
        self.logits[at : at + layout.frames] = layout.table(logits)
        self.state.hidden[layout.columns] = state.hidden
        self.state.cell[layout.columns] = state.cell

    def rows(self, columns: Index) -> PairState:
        """Give the state of some pairs."""
        return PairState(self.state.hidden[columns], self.state.cell[columns])


def _record(runtime: Runtime, window: Floats, edge_types: int) -> _Record:
    frames, entities, _ = window.shape
    pairs = entities * (entities - 1)
    logits = np.full((frames, pairs, edge_types), np.nan, np.float32)
    return _Record(logits, zero_pairs(pairs, runtime.hidden_width))


def _together(runtime: Runtime, windows: Sequence[Floats], edge_types: int) -> list[CausalPass]:
    records = [_record(runtime, window, edge_types) for window in windows]
    flats = [(record, flatten(window)) for record, window in zip(records, windows, strict=True)]
    met = [(record, flat) for record, flat in flats if len(flat.window.senders)]
    if met:
        joined = join_windows([flat.window for _, flat in met])
        answer = runtime.prior(joined, zero_pairs(len(joined.lengths), runtime.hidden_width))
        first = 0
        for record, flat in met:
            past = first + len(flat.window.lengths)
            state = PairState(*(rows[first:past] for rows in answer.state))
            record.take(0, flat, answer.logits[:, first:past], state)
            first = past
    return [CausalPass(record.logits, record.state) for record in records]


def _in_chunks(
    runtime: Runtime, window: Floats, edge_types: int
) -> Generator[None, None, CausalPass]:
    record = _record(runtime, window, edge_types)
    pairs = max(1, window.shape[1] * (window.shape[1] - 1))
    chunk = max(1, round(ROWS_PER_CALL / pairs))
    for at in range(0, len(window), chunk):
        flat = flatten(window[at : at + chunk])
        if len(flat.window.senders):
            answer = runtime.prior(flat.window, record.rows(flat.layout.columns))
            record.take(at, flat, answer.logits, answer.state)
        yield
    return CausalPass(record.logits, record.state)
