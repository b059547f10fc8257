"""The loss of a dynamic relational network, per sample and as one number.

Source: Graber & Schwing 2020, Eqs. (12)-(14), with the normalisations of their public code: errors
averaged over nodes and time, divergences over edges and time.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from training.config import ObjectiveConfig

_TINY = 1e-16


class Terms(NamedTuple):
    """The three parts of the loss, one value per sample of the batch."""

    nll: Tensor
    kl_learned: Tensor
    kl_average: Tensor

    def mean(self) -> "Terms":
        """Average every part over the samples."""
        return Terms(*(part.mean() for part in self))


def nll_per_sample(predicted: Tensor, target: Tensor, variance: float, samples: int) -> Tensor:
    """Give the Gaussian negative log likelihood [B] of frames [T, B*N, D].

    Averaged over time and nodes; the squared error is summed over features, and the constant
    ``0.5 ln(2 pi variance)`` enters once per node and frame.

    Deviation: a Gaussian over D features would hold the constant D times. The reference counts it
    once; it moves the reported value only, never a gradient.
    """
    error = (predicted - target).square().sum(-1) / (2 * variance)
    per_frame = error + 0.5 * math.log(2 * math.pi * variance)
    return _by_sample(per_frame, samples).mean(dim=(0, 2))


def kl_learned_per_sample(posterior: Tensor, prior: Tensor, samples: int) -> Tensor:
    """Give KL(posterior || learned prior) [B] from logits [T, B*E, K], over time and edges."""
    q = posterior.softmax(-1)
    divergence = (q * ((q + _TINY).log() - prior.log_softmax(-1))).sum(-1)
    return _by_sample(divergence, samples).mean(dim=(0, 2))


def kl_average_per_sample(posterior: Tensor, no_edge_prior: float, samples: int) -> Tensor:
    """Give KL(mean edge usage || fixed prior) [B] from logits [T, B*E, K], averaged over time.

    The posterior is averaged over a sample's edges first; the fixed prior gives type 0 the
    probability ``no_edge_prior`` and shares the rest.
    """
    usage = _by_sample(posterior.softmax(-1), samples).mean(2)
    fixed = fixed_prior(no_edge_prior, posterior.shape[-1]).to(usage)
    return (usage * ((usage + _TINY).log() - fixed.log())).sum(-1).mean(0)


def fixed_prior(no_edge_prior: float, edge_types: int) -> Tensor:
    """Give the fixed distribution [K] over edge types."""
    rest = (1 - no_edge_prior) / (edge_types - 1)
    return torch.tensor([no_edge_prior, *[rest] * (edge_types - 1)], dtype=torch.float64)


def total(terms: Terms, config: ObjectiveConfig) -> Tensor:
    """Combine the parts into the loss (the negative evidence bound under these weights).

    Deviation: with ``add_uniform_prior`` the divergence is half the learned and half the average
    one, as the reference does for its simulated particles without saying so in the paper.
    """
    if config.add_uniform_prior:
        return terms.nll + config.kl * 0.5 * (terms.kl_learned + terms.kl_average)
    return terms.nll + config.kl * terms.kl_learned


def _by_sample(rows: Tensor, samples: int) -> Tensor:
    """Split the flat axis of nodes or edges [T, B*R, …] into samples [T, B, R, …]."""
    return rows.reshape(rows.shape[0], samples, -1, *rows.shape[2:])


def harden(weights: Tensor) -> Tensor:
    """Turn relaxed samples [..., K] into the one-hot samples they relax."""
    return functional.one_hot(weights.argmax(-1), weights.shape[-1]).to(weights.dtype)
