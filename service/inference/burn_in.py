"""The state of sample paths after the given frames, just before the first forecast step."""

from collections.abc import Generator, Sequence
from itertools import pairwise

import numpy as np

from service.inference.causal import causal_passes
from service.inference.flat import Flags, column, complete_graph
from service.inference.runtimes.protocol import (
    DRAW,
    Floats,
    Index,
    PairState,
    Runtime,
    StepState,
)
from service.inference.scenes import Scene


def markov_states(
    runtime: Runtime, scenes: Sequence[Scene], edge_types: int
) -> Generator[None, None, list[PairState]]:
    """Give each scene's pair state ``[e, hidden]`` after all frames but the last.

    A Markov decoder remembers nothing, so no relation has to be drawn on the way and all samples
    share the state.
    """
    passes = yield from causal_passes(runtime, [scene.values[:-1] for scene in scenes], edge_types)
    return [
        PairState(*(rows[scene.columns] for rows in one.state))
        for scene, one in zip(scenes, passes, strict=True)
    ]


def tiled(scene: Scene, pairs: PairState, copies: int) -> StepState:
    """Give the start of `copies` paths that share their past."""
    nodes = scene.values[-1][scene.alive]
    return StepState(
        np.tile(nodes, (copies, 1)),
        PairState(*(np.tile(rows, (copies, 1)) for rows in pairs)),
        None,
    )


def recurrent_state(
    runtime: Runtime, scene: Scene, samples: Index
) -> Generator[None, None, StepState]:
    """Give the start of sample paths whose decoder remembers the relations drawn so far.

    Each sample draws its own relations at the true frames. Absent pairs and entities keep their
    rows; stretches of frames with the same entities share one graph.
    """
    store = _Store(runtime, scene, len(samples))
    for stretch in _stretches(scene.present[:-1]):
        yield from _feed(runtime, scene, samples, store, stretch)
    nodes = np.tile(scene.values[-1][scene.alive], (len(samples), 1))
    return store.state(scene.alive, nodes)


class _Store:
    """State rows of every pair and entity, per sample, in public order."""

    def __init__(self, runtime: Runtime, scene: Scene, samples: int) -> None:
        self._entities = len(scene.entities)
        pairs = self._entities * (self._entities - 1)
        self._samples = samples
        shape = (samples, pairs, runtime.hidden_width)
        self._hidden, self._cell = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._memory = np.zeros((samples, self._entities, runtime.memory_width), np.float32)

    def columns(self, alive: Index) -> Index:
        """Give the public columns of the pairs among `alive`, receiver-major."""
        graph = complete_graph(len(alive), 1)
        return column(alive[graph.senders], alive[graph.receivers], self._entities)

    def state(self, alive: Index, nodes: Floats) -> StepState:
        """Give the rows of all samples' copies of the entities in `alive`."""
        columns = self.columns(alive)
        pairs = (
            rows[:, columns].reshape(-1, rows.shape[-1]) for rows in (self._hidden, self._cell)
        )
        memory = self._memory[:, alive].reshape(-1, self._memory.shape[-1])
        return StepState(nodes, PairState(*pairs), memory)

    def keep(self, alive: Index, state: StepState) -> None:
        """Put the rows back."""
        columns = self.columns(alive)
        for rows, new in zip((self._hidden, self._cell), state.pairs, strict=True):
            rows[:, columns] = new.reshape(self._samples, len(columns), rows.shape[-1])
        if state.memory is not None:
            self._memory[:, alive] = state.memory.reshape(self._samples, len(alive), -1)


def _feed(
    runtime: Runtime, scene: Scene, samples: Index, store: _Store, frames: tuple[int, int]
) -> Generator[None, None, None]:
    alive = np.flatnonzero(scene.present[frames[0]])
    if not len(alive):
        return
    columns = store.columns(alive)
    truth = [np.tile(frame[alive], (len(samples), 1)) for frame in scene.values[slice(*frames)]]
    rollout = runtime.rollout(
        complete_graph(len(alive), len(samples)), store.state(alive, truth[0])
    )
    drawn = np.full(len(columns) * len(samples), DRAW, np.int64)
    for number, nodes in enumerate(truth, scene.first_frame + frames[0]):
        uniforms = scene.uniforms(columns, samples, [number]).ravel()
        rollout.advance(uniforms, drawn, nodes)
        yield
    store.keep(alive, rollout.state())


def _stretches(present: Flags) -> list[tuple[int, int]]:
    """Give ``(first, past)`` of the longest runs of frames with the same entities."""
    if not len(present):
        return []
    changes = np.flatnonzero((present[1:] != present[:-1]).any(axis=1)) + 1
    bounds = [0, *changes.tolist(), len(present)]
    return list(pairwise(bounds))
