"""Draws of relation types; uniforms are an input, so no network owns a random generator."""

import torch
from torch import Tensor


def draw_types(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Draw one type per edge by inverse CDF.

    The same law as the reference's argmax over logits plus Gumbel noise, not the same draw.

    Args:
        logits: ``[E, K]``.
        uniforms: ``[E]`` in ``[0, 1)``.

    Returns:
        ``[E]`` int64 in ``0..K-1``.
    """
    cumulative = logits.softmax(-1).cumsum(-1)
    types = torch.zeros_like(uniforms, dtype=torch.int64)
    # Added one by one: ONNX Runtime's ReduceSum keeps a wrong width where there are no edges.
    for index in range(logits.shape[-1] - 1):
        types = types + (uniforms >= cumulative[:, index]).long()
    return types


def gumbel_softmax(logits: Tensor, uniforms: Tensor, temperature: float) -> Tensor:
    """Give relaxed one-hot samples ``[..., K]`` from uniforms of the same shape.

    Source: Kipf et al. 2018, Eq. (9); the two 1e-10 guards are the public code's.
    """
    noise = -torch.log(1e-10 - torch.log(uniforms + 1e-10))
    return ((logits + noise) / temperature).softmax(-1)


def gumbel_one_hot(logits: Tensor, uniforms: Tensor) -> Tensor:
    """Give hard one-hot samples ``[..., K]``: the argmax of logits plus Gumbel noise."""
    noise = -torch.log(1e-10 - torch.log(uniforms + 1e-10))
    types = (logits + noise).argmax(-1)
    return torch.nn.functional.one_hot(types, logits.shape[-1]).to(logits.dtype)
