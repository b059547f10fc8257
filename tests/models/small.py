"""Small random networks in float64, so that equalities can be tested tightly."""

import torch
from torch import Tensor

from models.dnri import Dnri
from models.dnri_config import DnriConfig
from models.graph import Graph, fully_connected

SMALL = {"hidden": 12, "lstm_hidden": 6, "head_hidden": 8}


def network(seed: int = 0, **options: object) -> Dnri:
    """Give a network in evaluation mode whose BatchNorm statistics matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Dnri(DnriConfig(**(SMALL | {"features": 4} | options)))  # pyright: ignore[reportArgumentType]
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(0, 0.5)
                module.running_var.uniform_(0.5, 2.0)
    return net.double().eval()


def states(frames: int, nodes: int, features: int = 4, seed: int = 0) -> Tensor:
    """Give random normalised states ``[T, P, D]``."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randn((frames, nodes, features), generator=generator, dtype=torch.float64)


def complete(nodes: int, copies: int = 1) -> Graph:
    """Give complete graphs in float64."""
    return fully_connected(nodes, copies, dtype=torch.float64)


def without_shortcut(graph: Graph) -> Graph:
    """Give the same graph, to be summed by index instead of by reshape."""
    return graph._replace(in_degree=None)
