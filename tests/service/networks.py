"""A small untrained network behind the service's own runtime protocol, and its manifest."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from models.manifest import Bands, Manifest, Trained
from models.registry import build
from service.artifacts import LoadedArtifact
from service.errors import NotFound
from service.inference.runtimes.torch_runtime import TorchRuntime
from service.inference.served import ServedModel
from tests.service.manifests import push_manifest

SIZES: dict[str, object] = {
    "features": 4,
    "edge_types": 3,
    "hidden": 16,
    "lstm_hidden": 8,
    "head_hidden": 8,
    "decoder": "markov",
    "frames": "local",
    "kinematics": "integrated",
    "velocity_ratio": 0.05,
}


def small_network(seed: int = 0, **options: object) -> torch.nn.Module:
    """Give a folded network with random weights and BatchNorm statistics that matter."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = build("dnri", SIZES | options)
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm1d):
                module.running_mean.normal_(0, 0.2)
                module.running_var.uniform_(0.7, 1.4)
        for head in (net.prior_head, net.posterior_head):
            head.layers[-1].weight.data.mul_(3.0)
    net.eval()
    return net.fold()


def small_manifest(**changes: Any) -> Manifest:
    """Give the manifest of `small_network`."""
    fields: dict[str, Any] = {
        "name": "small",
        "relation_types": ("none", "push", "pull"),
        "bands": Bands(
            method="residual-variance",
            residual_variance=tuple(
                (0.01 * (h + 1),) * 2 + (0.001 * (h + 1),) * 2 for h in range(8)
            ),
            coverage={"0.9": 0.88},
        ),
        "trained": Trained(window=20, horizon=8, min_entities=2, max_entities=5, burn_in=5),
        "network": SIZES,
    }
    return push_manifest(**(fields | changes))


def small_model(
    seed: int = 0, manifest: Mapping[str, Any] | None = None, **options: object
) -> ServedModel:
    """Give the network ready to run."""
    return ServedModel(
        small_manifest(**(manifest or {})), TorchRuntime(small_network(seed, **options))
    )


class OneModel:
    """A source of artifacts that holds one manifest under its name."""

    def __init__(self, artifact: LoadedArtifact) -> None:
        self.artifact = artifact

    def open(self, reference: str) -> LoadedArtifact:
        if reference.partition("@")[0] != self.artifact.manifest.name:
            raise NotFound("no such model")
        return self.artifact


def walk(frames: int, entities: int, seed: int = 0, features: int = 4) -> np.ndarray:
    """Give a smooth random walk ``[T, N, D]`` in the model's units, velocities as differences."""
    random = np.random.default_rng(seed)
    steps = 0.03 * random.standard_normal((frames + 1, entities, features // 2)).cumsum(axis=0)
    positions = random.uniform(-1, 1, (1, entities, features // 2)) + np.cumsum(0.3 * steps, axis=0)
    return np.concatenate((positions[1:], np.diff(positions, axis=0)), axis=-1)


def with_absences(values: np.ndarray, absences: Mapping[int, tuple[int, int]]) -> np.ndarray:
    """Give a copy in which entity n is absent in frames ``first .. past - 1``."""
    copy = values.copy()
    for entity, (first, past) in absences.items():
        copy[first:past, entity] = np.nan
    return copy
