"""One batch through a network: relations from the whole window, next frames from true ones."""

from typing import Protocol, cast

import torch
from torch import Tensor, nn

from models.graph import Graph, fully_connected
from models.sampling import gumbel_softmax
from training.batches import Batch
from training.config import TrainConfig
from training.errors import ConfigError
from training.objective import (
    Terms,
    harden,
    kl_average_per_sample,
    kl_learned_per_sample,
    nll_per_sample,
)
from training.randomness import Purpose, uniforms


class Trainable(Protocol):
    """What training asks of a network."""

    def relation_logits(self, states: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        """Give posterior and prior logits [T, E, K]."""
        ...

    def teacher_forced(self, states: Tensor, graph: Graph, weights: Tensor) -> Tensor:
        """Predict every next frame [T, P, D] from the true one."""
        ...


class Teacher:
    """Computes the loss terms of batches, drawing relations by counters."""

    def __init__(self, network: nn.Module, config: TrainConfig) -> None:
        self._network = cast("Trainable", network)
        self._config = config
        decoder = config.model.options.get("decoder", "recurrent")
        if config.objective.rollout_steps > 1 and decoder != "markov":
            raise ConfigError(
                f"rollout_steps {config.objective.rollout_steps} with a {decoder} decoder",
                "model.decoder: markov, whose next state follows from the present one alone",
            )

    def teach(self, batch: Batch, epoch: int, step: int, index: int) -> Terms:
        """Give the terms of a training batch, from relaxed samples."""
        steps = self._config.objective.rollout_steps
        return self._terms(batch, (Purpose.NOISE, epoch, step, index), steps, hard=False)

    def examine(self, batch: Batch, epoch: int, index: int) -> Terms:
        """Give the terms of a validation batch, from hard samples and true frames."""
        return self._terms(batch, (Purpose.VALIDATION, epoch, index), 1, hard=True)

    def _terms(
        self, batch: Batch, draw: tuple[Purpose, *tuple[int, ...]], steps: int, *, hard: bool
    ) -> Terms:
        config, samples = self._config.objective, batch.samples
        graph = fully_connected(batch.nodes, copies=samples)
        given, wanted = batch.frames[:-1], batch.frames[1:]
        posterior, prior = self._network.relation_logits(given, graph)
        drawn = uniforms(posterior.shape, self._config.seed, *draw)
        weights = gumbel_softmax(posterior, drawn, config.tau)
        if hard:
            weights = harden(weights)
        predicted = predict(self._network, given, graph, weights, steps)
        if config.no_edge_prior is None:
            average = predicted.new_zeros(samples)
        else:
            average = kl_average_per_sample(posterior, config.no_edge_prior, samples)
        return Terms(
            nll_per_sample(predicted, wanted, config.variance, samples),
            kl_learned_per_sample(posterior, prior, samples),
            average,
        )


def predict(
    network: Trainable, frames: Tensor, graph: Graph, weights: Tensor, steps: int = 1
) -> Tensor:
    """Predict the frame after each of `frames` [T, P, D]: true frames enter every `steps` steps.

    In between the network continues from its own output. All segments run side by side.

    Source: Kipf et al. 2018, Sec. 3.3 (predict several steps, so that the relations matter).
    """
    if steps == 1:
        return network.teacher_forced(frames, graph, weights)
    current = frames[::steps]
    parts: list[Tensor] = []
    for offset in range(min(steps, len(frames))):
        acting = weights[offset::steps]
        current = network.teacher_forced(current[: len(acting)], graph, acting)
        parts.append(current)
    order = torch.cat([torch.arange(len(frames))[offset::steps] for offset in range(len(parts))])
    return torch.cat(parts).index_select(0, order.argsort())
