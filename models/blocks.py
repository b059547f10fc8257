"""The building blocks that all networks share: MLP blocks with BatchNorm, pair layers, heads.

Source: Kipf et al. 2018, Sec. 3.1 and the public code (BatchNorm comes last, after the second ELU).
"""

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.graph import Graph, at_receivers, at_senders


def elu(values: Tensor) -> Tensor:
    """Give ELU as ``max(x, exp(min(x, 0)) - 1)``: the operator's values, faster where served."""
    return torch.maximum(values, values.clamp(max=0.0).exp() - 1.0)


def init_encoder_linear(layer: nn.Linear) -> None:
    """Draw Xavier-normal weights and set biases to 0.1, as the reference encoders do."""
    nn.init.xavier_normal_(layer.weight)
    nn.init.constant_(layer.bias, 0.1)


class PairWeights(NamedTuple):
    """The parts of a layer that reads ``[sender, receiver, extra]``, each ``[out, in]``."""

    sender: Tensor
    receiver: Tensor
    extra: Tensor | None
    bias: Tensor


class SplitLinear(nn.Module):
    """A linear layer over ``[sender, receiver, extra]``, stored in these three parts."""

    def __init__(self, layer: nn.Linear, width: int) -> None:
        """Split `layer`, whose first `width` inputs are the sender's, the next the receiver's."""
        super().__init__()
        sender, receiver, extra, bias = _split(layer, width)
        self.sender = _frozen(sender)
        self.receiver = _frozen(receiver)
        self.extra = None if extra is None else _frozen(extra)
        self.bias = _frozen(bias)

    def weights(self) -> PairWeights:
        """Give the parts."""
        return PairWeights(self.sender, self.receiver, self.extra, self.bias)


def pair_linear(
    layer: nn.Linear | SplitLinear, nodes: Tensor, graph: Graph, extra: Tensor | None
) -> Tensor:
    """Apply `layer` to ``[sender, receiver, extra]`` of every edge, multiplying once per node.

    Args:
        layer: takes ``2H`` (+ width of `extra`) inputs, the sender's part first.
        nodes: ``[..., P, H]``.
        graph: E edges.
        extra: ``[..., E, X]`` features of the edges themselves, or None.

    Returns:
        ``[..., E, out]``; equal to concatenating first (the first layer is split per node).
    """
    parts = layer.weights() if isinstance(layer, SplitLinear) else _split(layer, nodes.shape[-1])
    sent = at_senders(functional.linear(nodes, parts.sender), graph)
    received = at_receivers(functional.linear(nodes, parts.receiver, parts.bias), graph)
    edges = sent + received
    if extra is None or parts.extra is None:
        return edges
    return edges + functional.linear(extra, parts.extra)


def _split(layer: nn.Linear, width: int) -> PairWeights:
    rest = layer.in_features - 2 * width
    sender, receiver, extra = torch.split(layer.weight, [width, width, rest], dim=1)
    return PairWeights(sender, receiver, extra if extra.shape[1] else None, layer.bias)


def _frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor.detach().clone().contiguous(), requires_grad=False)


class MlpBlock(nn.Module):
    """Linear, ELU, dropout, linear, ELU, BatchNorm over all leading axes.

    Source: Kipf et al. 2018, Sec. 3.1; layer order of the public code.
    """

    def __init__(
        self, inputs: int, hidden: int, dropout: float = 0.0, norm_eps: float = 1e-5
    ) -> None:
        super().__init__()
        self.fc1 = nn.Linear(inputs, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.bn = nn.BatchNorm1d(hidden, eps=norm_eps)
        self.dropout = nn.Dropout(dropout)
        init_encoder_linear(self.fc1)
        init_encoder_linear(self.fc2)

    def nodes(self, rows: Tensor) -> Tensor:
        """Transform rows ``[..., in] -> [..., H]``."""
        return self._after_first(self.fc1(rows))

    def aggregates(self, rows: Tensor, graph: Graph) -> Tensor:
        """Transform neighbour means ``[..., P, in] -> [..., P, H]``."""
        del graph  # the folded view needs it: a node without neighbours gets no folded shift
        return self.nodes(rows)

    def pairs(self, nodes: Tensor, graph: Graph, extra: Tensor | None = None) -> Tensor:
        """Transform ``[sender, receiver, extra]`` of every edge: ``[..., P, H] -> [..., E, H]``."""
        return self._after_first(pair_linear(self.fc1, nodes, graph, extra))

    def _after_first(self, rows: Tensor) -> Tensor:
        hidden = self.dropout(functional.elu(rows, inplace=not self.training))
        hidden = functional.elu(self.fc2(hidden))
        return self.bn(hidden.flatten(0, -2)).view(hidden.shape)


class Head(nn.Module):
    """Three linear layers with an activation between: state ``[..., in]`` to logits ``[..., K]``.

    Deviation: the dNRI paper says ReLU, its code ELU; both are offered, ELU is the default.
    """

    def __init__(self, inputs: int, hidden: int, outputs: int, activation: str = "elu") -> None:
        super().__init__()
        layers = [nn.Linear(inputs, hidden), nn.Linear(hidden, hidden), nn.Linear(hidden, outputs)]
        for layer in layers:
            init_encoder_linear(layer)
        self.layers = nn.ModuleList(layers)
        self.activation = {"elu": functional.elu, "relu": functional.relu}[activation]

    def forward(self, rows: Tensor) -> Tensor:
        """Give logits ``[..., K]``."""
        hidden = self.activation(self.layers[0](rows.flatten(0, -2)))
        hidden = self.activation(self.layers[1](hidden))
        logits = self.layers[2](hidden)
        return logits.view(*rows.shape[:-1], logits.shape[-1])

    def fold(self) -> "Head":
        """Give a copy for inference, whose ELU is the one that is faster when served."""
        folded = copy.deepcopy(self)
        if folded.activation is functional.elu:
            folded.activation = elu
        return folded
