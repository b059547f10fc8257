"""The graphs of an artifact as modules with flat tensor inputs and outputs, ready for export.

Their input and output names are the contract of the artifact (manifest `graphs`); the torch runtime
of the service calls the same modules, so both runtimes take and give the same arrays.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models.folded import FoldedDnri, State
from models.graph import Graph, fully_connected
from models.recurrence import LstmState


class Signature(NamedTuple):
    """Names of a graph's tensors and, per name, its axes; a string axis is dynamic."""

    inputs: dict[str, tuple[int | str, ...]]
    outputs: dict[str, tuple[int | str, ...]]


class ArtifactGraph(nn.Module, ABC):
    """One exported graph: a folded network and the names of what goes in and out."""

    integers = frozenset({"senders", "receivers", "sequence", "forced", "types"})

    def __init__(self, net: FoldedDnri) -> None:
        super().__init__()
        self.net = net

    @abstractmethod
    def signature(self) -> Signature:
        """Give names and axes of all inputs and outputs."""

    def dtype_of(self, name: str) -> torch.dtype:
        """Give the element type of a tensor of this graph."""
        if name == "lengths":
            return torch.int32
        return torch.int64 if name in self.integers else torch.float32

    def example(self, nodes: int, frames: int, seed: int) -> dict[str, Tensor]:
        """Give inputs of one window of `nodes` entities that are all present in `frames` frames.

        States are drawn over the normalised range, -1 to 1.
        """
        generator = torch.Generator().manual_seed(seed)
        return {
            name: self._draw(name, nodes, frames, generator) for name in self.signature().inputs
        }

    def _draw(self, name: str, nodes: int, frames: int, generator: torch.Generator) -> Tensor:
        config, pairs = self.net.config, nodes * (nodes - 1)
        graph = fully_connected(nodes, copies=frames)
        if name in ("senders", "receivers"):
            return graph.senders if name == "senders" else graph.receivers
        if name == "sequence":
            return torch.arange(frames * pairs).view(frames, pairs)
        if name == "lengths":
            return torch.full((pairs,), frames, dtype=torch.int32)
        if name == "forced":
            return torch.randint(-1, config.edge_types, (pairs,), generator=generator)
        if name == "uniforms":
            return torch.rand((pairs,), generator=generator)
        if name == "inverse_in_degree":
            return graph.inverse_in_degree
        if name == "nodes":
            return 2 * torch.rand((frames * nodes, config.features), generator=generator) - 1
        rows, width = (
            (nodes, self.net.decoder.memory_width)
            if name == "memory"
            else (pairs, config.lstm_hidden)
        )
        return 0.5 * torch.randn((rows, width), generator=generator)


class EncoderGraph(ArtifactGraph):
    """Window to posterior and prior: `FoldedDnri.encode`."""

    def signature(self) -> Signature:
        """Give names and axes."""
        types = self.net.config.edge_types
        logits = ("length", "pairs", types)
        return Signature(
            _window_inputs(self.net), {"posterior_logits": logits, "prior_logits": logits}
        )

    def forward(
        self,
        nodes: Tensor,
        senders: Tensor,
        receivers: Tensor,
        inverse_in_degree: Tensor,
        sequence: Tensor,
        lengths: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Give the two logits ``[L, S, K]``."""
        graph = Graph(senders, receivers, inverse_in_degree)
        logits = self.net.encode(nodes, graph, sequence, lengths)
        return logits.posterior, logits.prior


class PriorGraph(ArtifactGraph):
    """Causal window, state in and out: `FoldedDnri.causal`."""

    def signature(self) -> Signature:
        """Give names and axes."""
        state = ("pairs", self.net.config.lstm_hidden)
        return Signature(
            {**_window_inputs(self.net), "hidden": state, "cell": state},
            {
                "prior_logits": ("length", "pairs", self.net.config.edge_types),
                "hidden_out": state,
                "cell_out": state,
            },
        )

    def forward(  # noqa: PLR0913 - the artifact's inputs, one tensor each
        self,
        nodes: Tensor,
        senders: Tensor,
        receivers: Tensor,
        inverse_in_degree: Tensor,
        sequence: Tensor,
        lengths: Tensor,
        hidden: Tensor,
        cell: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give logits ``[L, S, K]`` and both state rows ``[S, L]``."""
        graph = Graph(senders, receivers, inverse_in_degree)
        logits, state = self.net.causal(nodes, graph, sequence, lengths, LstmState(hidden, cell))
        return logits, state.hidden, state.cell


class StepGraph(ArtifactGraph):
    """What the step graphs of both decoders share: one frame in, the next one out."""

    def signature(self) -> Signature:
        """Give names and axes."""
        config = self.net.config
        rows = ("edges", config.lstm_hidden)
        nodes = ("nodes", config.features)
        return Signature(
            {
                "nodes": nodes,
                "senders": ("edges",),
                "receivers": ("edges",),
                "inverse_in_degree": ("nodes",),
                "hidden": rows,
                "cell": rows,
                "uniforms": ("edges",),
                "forced": ("edges",),
            },
            {
                "next_nodes": nodes,
                "hidden_out": rows,
                "cell_out": rows,
                "prior_logits": ("edges", config.edge_types),
                "types": ("edges",),
            },
        )

    def example(self, nodes: int, frames: int, seed: int) -> dict[str, Tensor]:
        """Give inputs of one frame of `nodes` entities; a step has no time axis."""
        del frames
        return super().example(nodes, 1, seed)


class MarkovStepGraph(StepGraph):
    """Prior, draw (or forced type) and decoder of one frame: `FoldedDnri.step`."""

    def forward(  # noqa: PLR0913 - the artifact's inputs, one tensor each
        self,
        nodes: Tensor,
        senders: Tensor,
        receivers: Tensor,
        inverse_in_degree: Tensor,
        hidden: Tensor,
        cell: Tensor,
        uniforms: Tensor,
        forced: Tensor,
    ) -> tuple[Tensor, ...]:
        """Give the next nodes, the state rows, the logits and the types."""
        memory = nodes.new_zeros((nodes.shape[0], 0))
        graph = Graph(senders, receivers, inverse_in_degree)
        step = self.net.step(State(hidden, cell, memory), nodes, uniforms, graph, forced)
        return step.nodes, step.state.hidden, step.state.cell, step.prior_logits, step.types


class RecurrentStepGraph(StepGraph):
    """The same step with a decoder that carries a memory row per node."""

    def signature(self) -> Signature:
        """Give names and axes."""
        memory = ("nodes", self.net.decoder.memory_width)
        plain = super().signature()
        return Signature(
            {**plain.inputs, "memory": memory}, {**plain.outputs, "memory_out": memory}
        )

    def forward(  # noqa: PLR0913 - the artifact's inputs, one tensor each
        self,
        nodes: Tensor,
        senders: Tensor,
        receivers: Tensor,
        inverse_in_degree: Tensor,
        hidden: Tensor,
        cell: Tensor,
        uniforms: Tensor,
        forced: Tensor,
        memory: Tensor,
    ) -> tuple[Tensor, ...]:
        """Give the next nodes, the state rows, the logits, the types and the memory."""
        graph = Graph(senders, receivers, inverse_in_degree)
        step = self.net.step(State(hidden, cell, memory), nodes, uniforms, graph, forced)
        state = step.state
        return step.nodes, state.hidden, state.cell, step.prior_logits, step.types, state.memory


def artifact_graphs(net: FoldedDnri) -> dict[str, ArtifactGraph]:
    """Give the graphs of a network's artifact by their names."""
    recurrent = net.decoder.memory_width > 0
    step = RecurrentStepGraph(net) if recurrent else MarkovStepGraph(net)
    return {"encoder": EncoderGraph(net), "prior": PriorGraph(net), "step": step}


def _window_inputs(net: FoldedDnri) -> dict[str, tuple[int | str, ...]]:
    return {
        "nodes": ("rows", net.config.features),
        "senders": ("edges",),
        "receivers": ("edges",),
        "inverse_in_degree": ("rows",),
        "sequence": ("length", "pairs"),
        "lengths": ("pairs",),
    }
