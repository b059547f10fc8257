"""Sample paths: many copies of one or more scenes step forward as one disjoint union."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from service.inference.flat import complete_graph, join_graphs
from service.inference.runtimes.protocol import (
    DRAW,
    Floats,
    Index,
    PairState,
    Rollout,
    Runtime,
    StepState,
)
from service.inference.scenes import Scene

Sums = npt.NDArray[np.float64]
DIVERGED = 10.0
"""A path that leaves this many times the trained range ends the forecast."""
ROWS_PER_SLICE = 4096
"""Edge rows stepped between two looks at the clock, the callers and the ranges."""


@dataclass(eq=False)
class Paths:
    """What the rollouts of one scene have given so far.

    Attributes:
        scene: whose paths they are.
        values: ``[S, H, n, D]`` normalised states of the entities present in the last frame.
        relations: ``[H, e, K]`` prior probabilities summed over the samples of finished unions,
            receiver-major pairs.
        reached: steps that no path has left the range in; H unless one did.
    """

    scene: Scene
    edge_types: int
    values: Floats = field(init=False)
    relations: Sums = field(init=False)
    reached: int = field(init=False)

    def __post_init__(self) -> None:
        """Make room for all samples."""
        scene = self.scene
        features = scene.values.shape[-1]
        shape = (scene.num_samples, scene.horizon, len(scene.alive), features)
        self.values = np.zeros(shape, np.float32)
        self.relations = self.no_relations()
        self.reached = scene.horizon

    def no_relations(self) -> Sums:
        """Give an empty sum of relations, ``[H, e, K]``."""
        return np.zeros((self.scene.horizon, len(self.scene.columns), self.edge_types))


@dataclass(frozen=True, eq=False)
class Part:
    """Some samples of one scene, inside a union."""

    paths: Paths
    samples: Index
    start: StepState

    @property
    def nodes(self) -> int:
        """Give the node rows it takes."""
        return len(self.start.nodes)

    @property
    def edges(self) -> int:
        """Give the edge rows it takes."""
        return len(self.paths.scene.columns) * len(self.samples)


class UnionRollout:
    """The parts' copies, stepped together; all parts have the same horizon."""

    def __init__(
        self,
        runtime: Runtime,
        parts: Sequence[Part],
        *,
        step: int = 0,
        state: StepState | None = None,
    ) -> None:
        """Start at the parts' own start, or go on from `state` after `step` steps."""
        self.parts = tuple(parts)
        self.step = step
        self.relations = [part.paths.no_relations() for part in self.parts]
        graph = join_graphs(
            [complete_graph(len(p.paths.scene.alive), len(p.samples)) for p in self.parts]
        )
        self._rows = len(graph.senders)
        self._drawn = np.full(self._rows, DRAW, np.int64)
        self._rollout: Rollout = runtime.rollout(graph, state or _joined(self.parts))

    @property
    def is_done(self) -> bool:
        """Whether every path has reached its horizon, or the step at which one left the range."""
        return self.step >= max(part.paths.reached for part in self.parts)

    @property
    def rows_left(self) -> int:
        """Give the edge rows that are still to be stepped."""
        left = max(part.paths.reached for part in self.parts) - self.step
        return max(0, left) * max(1, self._rows)

    def state(self) -> StepState:
        """Give a copy of the state after the last step."""
        return self._rollout.state()

    def advance(self) -> None:
        """Take a slice of steps and put them into the parts' paths."""
        past = max(part.paths.reached for part in self.parts)
        count = min(past - self.step, max(1, ROWS_PER_SLICE // max(1, self._rows)))
        uniforms = self._uniforms(count)
        nodes: list[Floats] = []
        logits: list[Floats] = []
        for index in range(count):
            answer = self._rollout.advance(uniforms[index], self._forced(self.step + index))
            nodes.append(answer.nodes.copy())
            logits.append(answer.prior_logits.copy())
        self._keep(np.stack(nodes), np.stack(logits))
        self.step += count

    def _uniforms(self, count: int) -> Floats:
        tables = [
            part.paths.scene.uniforms(
                part.paths.scene.columns,
                part.samples,
                part.paths.scene.last_frame + np.arange(self.step, self.step + count),
            ).reshape(count, -1)
            for part in self.parts
        ]
        return np.concatenate(tables, axis=1)

    def _forced(self, step: int) -> Index:
        if all(part.paths.scene.forced is None for part in self.parts):
            return self._drawn
        return np.concatenate(
            [np.tile(p.paths.scene.forced_at(step), len(p.samples)) for p in self.parts]
        )

    def _keep(self, nodes: Floats, logits: Floats) -> None:
        probabilities = softmax(logits)
        node = edge = 0
        for part, relations in zip(self.parts, self.relations, strict=True):
            _keep_states(part, self.step, nodes[:, node : node + part.nodes])
            own = probabilities[:, edge : edge + part.edges]
            shape = (len(own), len(part.samples), *relations.shape[1:])
            relations[self.step : self.step + len(own)] = own.reshape(shape).sum(1, np.float64)
            node, edge = node + part.nodes, edge + part.edges

    def finish(self) -> None:
        """Add this union's relations to those of its paths."""
        for part, relations in zip(self.parts, self.relations, strict=True):
            part.paths.relations += relations


def softmax(logits: Floats) -> Floats:
    """Give probabilities over the last axis; a row that is not finite gives NaN."""
    with np.errstate(invalid="ignore", over="ignore"):
        shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
        return shifted / shifted.sum(axis=-1, keepdims=True)


def _keep_states(part: Part, first: int, nodes: Floats) -> None:
    paths, scene = part.paths, part.paths.scene
    count, copies = len(nodes), len(part.samples)
    states = nodes.reshape(count, copies, len(scene.alive), nodes.shape[-1])
    paths.values[part.samples, first : first + count] = states.swapaxes(0, 1)
    inside = scene.scaling.within(states, DIVERGED).reshape(count, -1).all(axis=1)
    if not inside.all():
        paths.reached = min(paths.reached, first + int(np.argmin(inside)))


def _joined(parts: Sequence[Part]) -> StepState:
    starts = [part.start for part in parts]
    if len(starts) == 1:
        return starts[0]
    memories = [start.memory for start in starts if start.memory is not None]
    return StepState(
        nodes=np.concatenate([start.nodes for start in starts]),
        pairs=PairState(
            np.concatenate([start.pairs.hidden for start in starts]),
            np.concatenate([start.pairs.cell for start in starts]),
        ),
        memory=np.concatenate(memories) if memories else None,
    )
