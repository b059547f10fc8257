"""What every runtime offers: three graphs on flat arrays, and a rollout that keeps its state.

Arrays are float32 in normalised units. ``P`` nodes and ``E`` or ``Q`` edge rows of a disjoint union
of graphs, rows of one graph grouped by receiver; ``S`` pair sequences of at most ``L`` frames.
"""

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Index = npt.NDArray[np.int64]
Lengths = npt.NDArray[np.int32]

DRAW = -1
"""In `forced`: draw this relation instead of forcing it."""


class FlatWindow(NamedTuple):
    """All present node-frames of one or more windows as one union over frames.

    Attributes:
        nodes: ``[P, D]``.
        senders: ``[Q]`` rows of `nodes`.
        receivers: ``[Q]`` rows of `nodes`.
        inverse_in_degree: ``[P]``, 0 where a node stands alone in its frame.
        sequence: ``[L, S]`` edge row of each pair at its l-th present frame; padding holds ``Q``.
        lengths: ``[S]`` number of present frames of each pair, 1 or more.
    """

    nodes: Floats
    senders: Index
    receivers: Index
    inverse_in_degree: Floats
    sequence: Index
    lengths: Lengths


class WindowLogits(NamedTuple):
    """Posterior and prior logits ``[L, S, K]``; padding positions are garbage."""

    posterior: Floats
    prior: Floats


class PairState(NamedTuple):
    """The prior's memory of each pair: ``[S, hidden]`` twice; new pairs start from zeros."""

    hidden: Floats
    cell: Floats


class PriorLogits(NamedTuple):
    """Prior logits ``[L, S, K]`` and the state after each pair's last present frame."""

    logits: Floats
    state: PairState


class StepGraph(NamedTuple):
    """One frame of one or more graphs: ``senders [E]``, ``receivers [E]``, ``[P]`` 1/in-degree."""

    senders: Index
    receivers: Index
    inverse_in_degree: Floats


class StepState(NamedTuple):
    """What one step reads and writes.

    Attributes:
        nodes: ``[P, D]``.
        pairs: hidden and cell ``[E, hidden]``.
        memory: ``[P, M]`` of a recurrent decoder, None of a Markov one.
    """

    nodes: Floats
    pairs: PairState
    memory: Floats | None


class StepOutput(NamedTuple):
    """One step's answer; the arrays may be overwritten by the second step after this one.

    Attributes:
        nodes: ``[P, D]`` the next states.
        prior_logits: ``[E, K]`` of the relations that acted.
        types: ``[E]`` the drawn or forced relations.
    """

    nodes: Floats
    prior_logits: Floats
    types: Index


class Rollout(Protocol):
    """A loop over steps of one graph whose state stays in the runtime."""

    def advance(self, uniforms: Floats, forced: Index, nodes: Floats | None = None) -> StepOutput:
        """Take one step from the last one's nodes, or from `nodes` when true frames are fed."""
        ...

    def state(self) -> StepState:
        """Give a copy of the state after the last step, to go on from later or elsewhere."""
        ...


class Runtime(Protocol):
    """One loaded artifact, ready to run in one thread at a time."""

    @property
    def name(self) -> str:
        """Give runtime and device as ``/readyz`` reports them, such as ``onnxruntime-cpu``."""
        ...

    @property
    def hidden_width(self) -> int:
        """Give the width of a pair's hidden state."""
        ...

    @property
    def memory_width(self) -> int:
        """Give the width of a node's decoder memory; 0 for a Markov decoder."""
        ...

    def encode(self, window: FlatWindow) -> WindowLogits:
        """Give the relations of whole windows, with sight of their future (posterior)."""
        ...

    def prior(self, window: FlatWindow, state: PairState) -> PriorLogits:
        """Give the relations without sight of the future, going on from `state`."""
        ...

    def rollout(self, graph: StepGraph, state: StepState) -> Rollout:
        """Start a loop of steps."""
        ...


def zero_pairs(rows: int, width: int) -> PairState:
    """Give the state of `rows` new pairs."""
    return PairState(np.zeros((rows, width), np.float32), np.zeros((rows, width), np.float32))
