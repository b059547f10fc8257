"""One forecast as the networks see it: who is there, what was seen, what is forced."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from models.philox import Uniforms, Words, draws, entity_words, pair_keys
from service.inference.flat import Flags, column, complete_graph, present_in
from service.inference.runtimes.protocol import DRAW, Floats, Index
from service.inference.scaling import Scaling


@dataclass(frozen=True, eq=False)
class ForcedRows:
    """Relations that are set instead of drawn: one entry per rule, arrays of equal length.

    Attributes:
        source: row of the source among all N entities.
        target: row of the target.
        type: relation type.
        first: first step it acts on, counted from 0 at the last given frame.
        last: last step, included.
    """

    source: Index
    target: Index
    type: Index
    first: Index
    last: Index


@dataclass(frozen=True, eq=False)
class Scene:
    """One forecast request in normalised units.

    Attributes:
        values: ``[T, N, D]`` normalised, NaN where absent.
        scaling: back to the model's units.
        entities: the ``N`` ids; random draws hang on them, not on their order.
        first_frame: the caller's number of ``values[0]``; the step number of a draw.
        horizon: H.
        num_samples: S.
        seed: of all draws.
        forced: what-if rules.
    """

    values: Floats
    scaling: Scaling
    entities: tuple[str, ...]
    first_frame: int
    horizon: int
    num_samples: int
    seed: int
    forced: ForcedRows | None = None

    @cached_property
    def present(self) -> Flags:
        """Give ``[T, N]``: who is present."""
        return present_in(self.values)

    @cached_property
    def alive(self) -> Index:
        """Give the ``n`` rows of the entities present in the last frame; only they are foretold."""
        return np.flatnonzero(self.present[-1])

    @cached_property
    def pairs(self) -> tuple[Index, Index]:
        """Give sources and targets ``[e]`` of the rolled-out pairs, as rows of all N entities.

        They are in the networks' order, receiver-major.
        """
        graph = complete_graph(len(self.alive), 1)
        return self.alive[graph.senders], self.alive[graph.receivers]

    @cached_property
    def columns(self) -> Index:
        """Give the public column of each rolled-out pair, ``[e]``."""
        return column(*self.pairs, len(self.entities))

    @property
    def last_frame(self) -> int:
        """Give the caller's number of the last given frame: the first forecast step acts there."""
        return self.first_frame + len(self.values) - 1

    @property
    def rows_per_sample(self) -> int:
        """Give the rows that one sample adds to a step: its edges, or its nodes without edges."""
        alive = len(self.alive)
        return max(alive * (alive - 1), alive)

    def uniforms(self, columns: Index, samples: Index, frames: npt.ArrayLike) -> Uniforms:
        """Give the draws ``[H, S, E]`` of the pairs in `columns` at the caller's frame numbers."""
        return draws(self._keys[columns], samples, frames)

    def forced_at(self, step: int) -> Index:
        """Give ``[e]`` the forced type of each rolled-out pair at a forecast step, or `DRAW`."""
        row = np.full(len(self.columns), DRAW, np.int64)
        rules = self.forced
        if rules is not None:
            acting = (rules.first <= step) & (step <= rules.last)
            public = np.full(len(self.entities) * (len(self.entities) - 1), DRAW, np.int64)
            forced = column(rules.source[acting], rules.target[acting], len(self.entities))
            public[forced] = rules.type[acting]
            row = public[self.columns]
        return row

    @cached_property
    def _keys(self) -> Words:
        words = entity_words(self.entities)
        sources, targets = np.nonzero(~np.eye(len(self.entities), dtype=bool))
        return pair_keys(self.seed, words[sources], words[targets])
