"""Flat graphs: a batch is one disjoint union of directed graphs, without padding and masks.

This module owns the edge order inside the networks: receiver-major (all edges that enter node 0,
then node 1, ...), senders ascending. Everything else takes `senders` and `receivers` as they are.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Graph(NamedTuple):
    """Directed edges ``senders[e] -> receivers[e]`` over P nodes, receiver-major.

    Attributes:
        senders: ``[E]`` int64, the node that each message leaves.
        receivers: ``[E]`` int64, the node that each message enters; ascending.
        inverse_in_degree: ``[P]`` float, one over the number of incoming edges, 0 without any.
        in_degree: the number of incoming edges when it is the same for every node, else None. With
            it sums over neighbours are a reshape; without it they are an indexed add.
    """

    senders: Tensor
    receivers: Tensor
    inverse_in_degree: Tensor
    in_degree: int | None = None

    @property
    def num_edges(self) -> int:
        """E."""
        return self.senders.shape[0]


def fully_connected(
    nodes: int,
    copies: int = 1,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Graph:
    """Give `copies` disjoint complete directed graphs of `nodes` nodes each, without self loops.

    Raises:
        ValueError: if `nodes` or `copies` is below 1.
    """
    if nodes < 1 or copies < 1:
        raise ValueError(f"found nodes={nodes}, copies={copies}; expected 1 or more of each")
    receivers = torch.arange(nodes, device=device).repeat_interleave(nodes - 1)
    slots = torch.arange(nodes - 1, device=device).repeat(nodes)
    senders = slots + (slots >= receivers).long()
    shift = (torch.arange(copies, device=device) * nodes).repeat_interleave(receivers.shape[0])
    inverse = 1.0 / (nodes - 1) if nodes > 1 else 0.0
    return Graph(
        senders=senders.repeat(copies) + shift,
        receivers=receivers.repeat(copies) + shift,
        inverse_in_degree=torch.full((nodes * copies,), inverse, dtype=dtype, device=device),
        in_degree=nodes - 1 if nodes > 1 else None,
    )


def at_senders(nodes: Tensor, graph: Graph) -> Tensor:
    """Gather node rows to the edges they leave: ``[..., P, H] -> [..., E, H]``."""
    return nodes.index_select(-2, graph.senders)


def at_receivers(nodes: Tensor, graph: Graph) -> Tensor:
    """Gather node rows to the edges that enter them: ``[..., P, H] -> [..., E, H]``."""
    if graph.in_degree is None:
        return nodes.index_select(-2, graph.receivers)
    spread = nodes.unsqueeze(-2).expand(*nodes.shape[:-1], graph.in_degree, nodes.shape[-1])
    return spread.flatten(-3, -2)


def sum_at_receivers(edges: Tensor, graph: Graph) -> Tensor:
    """Sum the edges that enter each node: ``[..., E, H] -> [..., P, H]``."""
    num_nodes = graph.inverse_in_degree.shape[0]
    if graph.in_degree is not None:
        return torch.unflatten(edges, -2, (num_nodes, graph.in_degree)).sum(-2)
    empty = edges.new_zeros((*edges.shape[:-2], num_nodes, edges.shape[-1]))
    return empty.index_add(-2, graph.receivers, edges)


def mean_at_receivers(edges: Tensor, graph: Graph) -> Tensor:
    """Average the edges that enter each node, 0 without any: ``[..., E, H] -> [..., P, H]``."""
    return sum_at_receivers(edges, graph) * graph.inverse_in_degree.unsqueeze(-1)
