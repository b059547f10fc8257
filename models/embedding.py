"""The edge embedding, from one frame to a vector per edge: its equations, and its folded blocks."""

from typing import NamedTuple, Protocol, cast

import torch
from torch import Tensor, nn

from models.blocks import MlpBlock, SplitLinear, elu, pair_linear
from models.coordinates import View
from models.graph import Graph, mean_at_receivers


class EdgeBlock(Protocol):
    """A block of the edge embedding, trainable or folded."""

    def nodes(self, rows: Tensor) -> Tensor:
        """Transform rows ``[..., in] -> [..., H]``."""
        ...

    def aggregates(self, rows: Tensor, graph: Graph) -> Tensor:
        """Transform neighbour means ``[..., P, in] -> [..., P, H]``."""
        ...

    def pairs(self, nodes: Tensor, graph: Graph, extra: Tensor | None = None) -> Tensor:
        """Transform ``[sender, receiver, extra]`` of every edge: ``[..., P, H] -> [..., E, H]``."""
        ...


def edge_embedding(
    blocks: tuple[EdgeBlock, EdgeBlock, EdgeBlock, EdgeBlock], view: View, graph: Graph
) -> Tensor:
    """Embed every edge of every frame from that frame alone: ``[..., E, H]``.

    Source: dNRI Eqs. (5)-(8) of Sec. 3.2; neighbours are averaged (its code), not summed.
    """
    first, second, third, fourth = blocks
    edges = second.pairs(first.nodes(view.own), graph, view.pairs)
    nodes = third.aggregates(mean_at_receivers(edges, graph), graph)
    return fourth.pairs(nodes, graph, edges)


class FoldedBlock(nn.Module):
    """Linear, ELU, linear, ELU; the affine maps around it are folded into the linears.

    `degree_shift` is the folded shift of a neighbour mean: it counts only where neighbours are.
    """

    def __init__(
        self, fc1: nn.Linear | SplitLinear, fc2: nn.Linear, degree_shift: Tensor | None = None
    ) -> None:
        super().__init__()
        self.fc1 = fc1
        self.fc2 = fc2
        self.degree_shift = (
            None if degree_shift is None else nn.Parameter(degree_shift, requires_grad=False)
        )

    def nodes(self, rows: Tensor) -> Tensor:
        """Transform rows ``[..., in] -> [..., H]``."""
        return self._after_first(self.fc1(rows))

    def aggregates(self, rows: Tensor, graph: Graph) -> Tensor:
        """Transform neighbour means ``[..., P, in] -> [..., P, H]``."""
        hidden = self.fc1(rows)
        if self.degree_shift is not None:
            has_neighbours = (graph.inverse_in_degree > 0).to(hidden.dtype).unsqueeze(-1)
            hidden = hidden + has_neighbours * self.degree_shift
        return self._after_first(hidden)

    def pairs(self, nodes: Tensor, graph: Graph, extra: Tensor | None = None) -> Tensor:
        """Transform ``[sender, receiver, extra]`` of every edge."""
        return self._after_first(pair_linear(self.fc1, nodes, graph, extra))

    def _after_first(self, rows: Tensor) -> Tensor:
        return elu(self.fc2(elu(rows)))


class Affine(NamedTuple):
    """The map ``value * scale + shift`` of each column, both ``[H]``."""

    scale: Tensor
    shift: Tensor


class FoldedBlocks(NamedTuple):
    """The four blocks of a folded embedding, and the map that its consumers must take in."""

    blocks: tuple[FoldedBlock, FoldedBlock, FoldedBlock, FoldedBlock]
    output: Affine


def fold_blocks(blocks: tuple[MlpBlock, MlpBlock, MlpBlock, MlpBlock]) -> FoldedBlocks:
    """Fold the BatchNorm at the end of every block into the first layers that read it."""
    first, second, third, fourth = blocks
    one, two, three, four = (_affine(block.bn) for block in blocks)
    width = first.fc2.out_features
    # A node without neighbours has the mean 0, shift included: the shift is kept apart.
    mean_shift = third.fc1.weight.detach() @ two.shift
    scaled = two._replace(shift=torch.zeros_like(two.shift))
    pairs = _absorb(second.fc1, {0: one, width: one})
    edges = _absorb(fourth.fc1, {0: three, width: three, 2 * width: two})
    folded = (
        FoldedBlock(_copy(first.fc1), _copy(first.fc2)),
        FoldedBlock(SplitLinear(pairs, width), _copy(second.fc2)),
        FoldedBlock(_absorb(third.fc1, {0: scaled}), _copy(third.fc2), mean_shift),
        FoldedBlock(SplitLinear(edges, width), _copy(fourth.fc2)),
    )
    return FoldedBlocks(folded, four)


def _affine(norm: nn.BatchNorm1d) -> Affine:
    mean, variance = cast("Tensor", norm.running_mean), cast("Tensor", norm.running_var)
    scale = norm.weight.detach() / (variance + norm.eps).sqrt()
    return Affine(scale, norm.bias.detach() - mean * scale)


def _copy(layer: nn.Linear) -> nn.Linear:
    return _absorb(layer, {})


def _absorb(layer: nn.Linear, maps: dict[int, Affine]) -> nn.Linear:
    """Fold maps of some input columns, keyed by the first of them, into a linear layer."""
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    for first, (scale, shift) in maps.items():
        columns = slice(first, first + scale.shape[0])
        bias += weight[:, columns] @ shift
        weight[:, columns] *= scale
    folded = nn.Linear(weight.shape[1], weight.shape[0], device=weight.device, dtype=weight.dtype)
    folded.weight.data, folded.bias.data = weight, bias
    return folded
