"""Decoders: from states and relation types to the next state.

Messages exist twice: `soft_messages` weights every type (training), `grouped_messages` computes for
each edge only the type it has (inference). They agree on one-hot weights.
"""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks import SplitLinear, pair_linear
from models.coordinates import View
from models.graph import Graph, sum_at_receivers

DecoderKind = Literal["markov", "recurrent"]
Activation = Callable[[Tensor], Tensor]


class Decoded(NamedTuple):
    """The decoder's raw output ``[P, output_width]`` and its memory ``[P, M]`` after the step."""

    output: Tensor
    memory: Tensor


class MessageNetwork(nn.Module):
    """Two layers that turn ``[sender, receiver, pair features]`` into one edge type's message.

    Default PyTorch initialisation, as the reference decoders in effect have.
    """

    def __init__(self, nodes: int, pairs: int, hidden: int, activation: Activation) -> None:
        super().__init__()
        self.fc1: nn.Linear | SplitLinear = nn.Linear(2 * nodes + pairs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.activation = activation
        self._width = nodes

    def split(self) -> None:
        """Store the first layer in its parts, as the folded view does."""
        if isinstance(self.fc1, nn.Linear):
            self.fc1 = SplitLinear(self.fc1, self._width)

    def forward(self, nodes: Tensor, graph: Graph, extra: Tensor | None) -> Tensor:
        """Give the messages ``[..., E, H]`` of all edges."""
        hidden = self.activation(pair_linear(self.fc1, nodes, graph, extra))
        return self.activation(self.fc2(hidden))


def soft_messages(
    networks: Sequence[MessageNetwork],
    nodes: Tensor,
    graph: Graph,
    extra: Tensor | None,
    weights: Tensor,
) -> Tensor:
    """Sum every type's messages by `weights` and over the neighbours of each node.

    Args:
        networks: one per type that sends; with a silent type 0 there is one fewer than K.
        nodes: ``[..., P, W]``.
        graph: E edges.
        extra: ``[..., E, X]`` or None.
        weights: ``[..., E, K]``.

    Returns:
        ``[..., P, H]``.
    """
    silent = weights.shape[-1] - len(networks)
    total: Tensor | None = None
    for index, network in enumerate(networks):
        message = network(nodes, graph, extra) * weights[..., index + silent].unsqueeze(-1)
        total = message if total is None else total + message
    if total is None:
        raise ValueError("found no message network; expected at least one edge type that sends")
    return sum_at_receivers(total, graph)


def grouped_messages(
    networks: Sequence[MessageNetwork],
    nodes: Tensor,
    graph: Graph,
    extra: Tensor | None,
    types: Tensor,
    silent: int,
) -> Tensor:
    """Give the same sums ``[P, H]`` for hard `types` ``[E]``: each edge through one network."""
    total = nodes.new_zeros((nodes.shape[0], networks[0].fc2.out_features))
    for index, network in enumerate(networks):
        rows = (types == index + silent).nonzero().flatten()
        receivers = graph.receivers.index_select(0, rows)
        chosen = graph._replace(
            senders=graph.senders.index_select(0, rows), receivers=receivers, in_degree=None
        )
        own_extra = None if extra is None else extra.index_select(0, rows)
        total = total.index_add(0, receivers, network(nodes, chosen, own_extra))
    return total


class OutputNetwork(nn.Module):
    """Three layers from a node's aggregate to the change of its state."""

    def __init__(self, inputs: int, hidden: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, outputs)
        self.dropout = nn.Dropout(dropout)

    def forward(self, rows: Tensor) -> Tensor:
        """Give ``[..., outputs]``."""
        hidden = self.dropout(functional.relu(self.fc1(rows)))
        return self.fc3(self.dropout(functional.relu(self.fc2(hidden))))


@dataclass(frozen=True)
class DecoderSizes:
    """Widths and counts of a decoder.

    Attributes:
        own: what a node sees of itself.
        pairs: what an edge sees beside its two nodes.
        hidden: H, of messages, memory and output layers.
        outputs: what the decoder gives per node.
        edge_types: K.
        silent: 1 where type 0 sends nothing, else 0.
        dropout: between the output layers, in training only.
    """

    own: int
    pairs: int
    hidden: int
    outputs: int
    edge_types: int
    silent: int
    dropout: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a decoder in which nothing is ever sent."""
        if self.edge_types - self.silent < 1:
            raise ValueError(
                f"found {self.edge_types} edge types, {self.silent} silent; expected one that sends"
            )


class Decoder(nn.Module):
    """What both decoders share: K message networks, of which type 0 may be silent."""

    memory_width: int

    def __init__(self, sizes: DecoderSizes, *, nodes: int, activation: Activation) -> None:
        super().__init__()
        self.silent = sizes.silent
        self.messages = nn.ModuleList(
            MessageNetwork(nodes, sizes.pairs, sizes.hidden, activation)
            for _ in range(sizes.edge_types - sizes.silent)
        )

    @property
    def networks(self) -> Sequence[MessageNetwork]:
        """The message networks, of the first type that sends first."""
        return cast("Sequence[MessageNetwork]", self.messages)

    def fold(self) -> Self:
        """Give a copy for inference."""
        folded = copy.deepcopy(self)
        for network in folded.networks:
            network.split()
        return folded

    def soft(self, nodes: Tensor, graph: Graph, extra: Tensor | None, weights: Tensor) -> Tensor:
        """Aggregate by soft weights ``[..., E, K]``."""
        return soft_messages(self.networks, nodes, graph, extra, weights)

    def hard(self, nodes: Tensor, graph: Graph, extra: Tensor | None, types: Tensor) -> Tensor:
        """Aggregate by hard types ``[E]``."""
        return grouped_messages(self.networks, nodes, graph, extra, types, self.silent)


class MarkovDecoder(Decoder):
    """The next state from the present one only.

    Source: Kipf et al. 2018, Eqs. (10)-(12). Messages are summed over types and neighbours.
    """

    memory_width = 0

    def __init__(self, sizes: DecoderSizes) -> None:
        super().__init__(sizes, nodes=sizes.own, activation=functional.relu)
        self.output = OutputNetwork(
            sizes.own + sizes.hidden, sizes.hidden, sizes.outputs, sizes.dropout
        )

    def sequence(self, view: View, weights: Tensor, graph: Graph) -> Tensor:
        """Decode all frames of ``[T, P, own]`` at once; `weights` is ``[T, E, K]``."""
        messages = self.soft(view.own, graph, view.pairs, weights)
        return self.output(torch.cat((view.own, messages), -1))

    def step(self, view: View, memory: Tensor, types: Tensor, graph: Graph) -> Decoded:
        """Decode one frame with hard types ``[E]``."""
        messages = self.hard(view.own, graph, view.pairs, types)
        return Decoded(self.output(torch.cat((view.own, messages), -1)), memory)


class RecurrentDecoder(Decoder):
    """The next state from a gated memory whose messages come from the neighbours' memories.

    Source: Kipf et al. 2018, Eqs. (13)-(17); Graber & Schwing 2020.
    Deviation (of the public code, kept): the message stands in the place of the previous memory in
    the gates, so a node's own past enters through the carry term and as the receiver in messages;
    messages are averaged over neighbours (dNRI's code; NRI's divides by the feature count) and over
    the types that send. In local frames the pair features enter the messages too.
    """

    def __init__(self, sizes: DecoderSizes) -> None:
        hidden = sizes.hidden
        super().__init__(sizes, nodes=hidden, activation=torch.tanh)
        self.memory_width = hidden
        self.from_input = nn.Linear(sizes.own, 3 * hidden)
        self.from_message = nn.Linear(hidden, 3 * hidden, bias=False)
        self.output = OutputNetwork(hidden, hidden, sizes.outputs, sizes.dropout)

    def sequence(self, view: View, weights: Tensor, graph: Graph) -> Tensor:
        """Decode ``[T, P, own]`` frame by frame from an empty memory; weights ``[T, E, K]``."""
        inputs = self.from_input(view.own)
        memory = inputs.new_zeros((inputs.shape[1], self.memory_width))
        memories: list[Tensor] = []
        for time in range(inputs.shape[0]):
            extra = None if view.pairs is None else view.pairs[time]
            total = self.soft(memory, graph, extra, weights[time])
            memory = self._gate(inputs[time], total, memory, graph)
            memories.append(memory)
        return self.output(torch.stack(memories))

    def step(self, view: View, memory: Tensor, types: Tensor, graph: Graph) -> Decoded:
        """Decode one frame with hard types ``[E]``."""
        total = self.hard(memory, graph, view.pairs, types)
        memory = self._gate(self.from_input(view.own), total, memory, graph)
        return Decoded(self.output(memory), memory)

    def _gate(self, inputs: Tensor, total: Tensor, memory: Tensor, graph: Graph) -> Tensor:
        message = total * (graph.inverse_in_degree.unsqueeze(-1) / len(self.networks))
        input_r, input_i, input_n = inputs.chunk(3, -1)
        message_r, message_i, message_n = self.from_message(message).chunk(3, -1)
        reset = torch.sigmoid(input_r + message_r)
        update = torch.sigmoid(input_i + message_i)
        fresh = torch.tanh(input_n + reset * message_n)
        return (1 - update) * fresh + update * memory


DECODERS: dict[DecoderKind, type[MarkovDecoder] | type[RecurrentDecoder]] = {
    "markov": MarkovDecoder,
    "recurrent": RecurrentDecoder,
}
