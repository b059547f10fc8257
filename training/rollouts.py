"""What a trained network says: relations of whole windows, and many futures of given ones.

Windows are normalised float32 ``[W, T, N, D]``. Everything that leaves this module is numpy, with
pairs in source-major order.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models import philox
from models.folded import FoldedDnri, State
from models.graph import Graph, fully_connected
from training.errors import Diverged
from trajectories import pairs

Floats = npt.NDArray[np.float32]
Estimator = Literal["posterior", "prior"]
ESTIMATORS: tuple[Estimator, ...] = ("posterior", "prior")

# Edge rows that go through the network at once: enough to fill the matrix kernels, few enough for
# the activations to stay in the processor's caches.
EDGE_ROWS = 2048


class Futures(NamedTuple):
    """Paths ``[W, S, H, N, D]`` and the prior ``[W, H, E, K]`` averaged over them."""

    paths: Floats
    prior: Floats


@dataclass(frozen=True)
class Plan:
    """What to roll out.

    Attributes:
        entities: Names of the ``N`` entities; draws are keyed by them.
        burn_in: True frames that are fed first, at least 1.
        horizon: Steps to predict.
        paths: Independent draws of relations per window.
        seed: Start of all draws; window ``w`` uses the request seed ``seed + w``.
    """

    entities: tuple[str, ...]
    burn_in: int
    horizon: int
    paths: int
    seed: int = 0

    @property
    def edges(self) -> int:
        """Ordered pairs of one window, ``E``."""
        return len(self.entities) * (len(self.entities) - 1)

    @property
    def windows_at_once(self) -> int:
        """How many windows go through the network together."""
        return max(1, EDGE_ROWS // max(self.edges * self.paths, 1))


def relation_probabilities(network: FoldedDnri, windows: Floats) -> dict[Estimator, Floats]:
    """Give both estimators ``[W, T−1, E, K]``, from the frames ``0 … T−2`` as in training."""
    nodes = windows.shape[2]
    public = pairs.to_source_major(nodes)
    at_once = max(1, EDGE_ROWS // max(len(public), 1))
    parts: dict[Estimator, list[Floats]] = {name: [] for name in ESTIMATORS}
    for chunk in _chunks(windows, at_once):
        graph = fully_connected(nodes, len(chunk))
        with torch.inference_mode():
            both = network.relation_logits(_time_major(chunk[:, :-1]), graph)
        for name in ESTIMATORS:
            stated = getattr(both, name).softmax(-1).unflatten(1, (len(chunk), -1)).numpy()
            parts[name].append(stated.swapaxes(0, 1)[:, :, public])
    return {name: np.concatenate(chunks) for name, chunks in parts.items()}


def roll_out(
    network: FoldedDnri, windows: Floats, plan: Plan, on_step: Callable[[int], None]
) -> Futures:
    """Feed ``burn_in`` true frames, then let every path run on its own predictions.

    Args:
        network: The folded view, which draws relations from its prior.
        windows: ``[W, ≥ burn_in, N, D]``; frames after the burn-in are not looked at.
        plan: Sizes and seed.
        on_step: Called with the number of window steps done since the last call.
    """
    given = windows[:, : plan.burn_in]
    parts: list[Futures] = []
    for index, chunk in enumerate(_chunks(given, plan.windows_at_once)):
        first = index * plan.windows_at_once
        with torch.inference_mode():
            parts.append(_roll_out_chunk(network, chunk, plan, first, on_step))
    return Futures(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _roll_out_chunk(
    network: FoldedDnri, given: Floats, plan: Plan, first: int, on_step: Callable[[int], None]
) -> Futures:
    count, nodes = len(given), given.shape[2]
    graph = fully_connected(nodes, count * plan.paths)
    uniforms = _uniforms(plan, range(first, first + count))
    state, latest = _burn_in(network, given, plan, graph, uniforms)
    free = torch.full((graph.num_edges,), -1, dtype=torch.int64)
    frames: list[Tensor] = []
    priors: list[Tensor] = []
    for step in range(plan.horizon):
        drawn = uniforms[plan.burn_in - 1 + step]
        state, latest, logits, _ = network.step(state, latest, drawn, graph, free)
        frames.append(latest)
        stated = logits.softmax(-1).view(count, plan.paths, -1, logits.shape[-1])
        priors.append(stated.mean(1))
        on_step(count)
    paths = torch.stack(frames).view(plan.horizon, count, plan.paths, nodes, -1)
    _check_finite(paths, first)
    prior = torch.stack(priors, 1).numpy()[:, :, pairs.to_source_major(nodes)]
    return Futures(paths.permute(1, 2, 0, 3, 4).numpy(), prior)


def _burn_in(
    network: FoldedDnri, given: Floats, plan: Plan, graph: Graph, uniforms: Tensor
) -> tuple[State, Tensor]:
    """Give the state before the last given frame, and that frame, for every path."""
    frames = torch.from_numpy(given)
    latest = _per_path(frames[:, -1], plan.paths)
    if plan.burn_in == 1:
        return network.initial_state(graph), latest
    if network.decoder.memory_width == 0:  # nothing but the prior remembers: feed it once
        single = fully_connected(given.shape[2], len(given))
        start = network.initial_state(single)
        state, _ = network.advance_prior(start, _time_major(given[:, :-1]), single)
        hidden, cell = (
            _per_path(rows.view(len(given), -1, rows.shape[-1]), plan.paths)
            for rows in (state.hidden, state.cell)
        )
        return State(hidden, cell, network.initial_state(graph).memory), latest
    state = network.initial_state(graph)
    free = torch.full((graph.num_edges,), -1, dtype=torch.int64)
    for frame in range(plan.burn_in - 1):
        nodes = _per_path(frames[:, frame], plan.paths)
        state = network.step(state, nodes, uniforms[frame], graph, free).state
    return state, latest


def _uniforms(plan: Plan, windows: range) -> Tensor:
    """Give ``[burn_in − 1 + H, W·S·E]``: step ``t`` is the draw that acts on ``t → t + 1``."""
    senders, receivers = pairs.receiver_major(len(plan.entities))
    words = philox.entity_words(plan.entities)
    steps = np.arange(plan.burn_in - 1 + plan.horizon)
    drawn = [
        philox.draws(
            philox.pair_keys(plan.seed + window, words[senders], words[receivers]),
            np.arange(plan.paths),
            steps,
        )
        for window in windows
    ]
    return torch.from_numpy(np.stack(drawn, axis=1).reshape(len(steps), -1))


def _per_path(rows: Tensor, paths: int) -> Tensor:
    """Repeat each window's rows ``[W, R, D]`` for its paths: ``[W·S·R, D]``."""
    return rows.unsqueeze(1).expand(-1, paths, -1, -1).reshape(-1, rows.shape[-1])


def _time_major(windows: Floats) -> Tensor:
    """Lay windows ``[W, T, N, D]`` side by side: ``[T, W·N, D]``."""
    return torch.from_numpy(np.ascontiguousarray(windows.swapaxes(0, 1))).flatten(1, 2)


def _chunks(windows: Floats, at_once: int) -> Iterator[Floats]:
    for start in range(0, len(windows), at_once):
        yield np.ascontiguousarray(windows[start : start + at_once], dtype=np.float32)


def _check_finite(paths: Tensor, first: int) -> None:
    good = torch.isfinite(paths).flatten(2).all(-1)  # [H, W]
    if not good.all():
        step, window = (int(place) for place in (~good).nonzero()[0])
        raise Diverged(
            f"a path of window {first + window} left the finite range at step {step + 1}",
            "finite rollouts",
            "train longer or with a lower learning rate; this checkpoint cannot be evaluated",
        )
