"""Models that are open: each artifact version is loaded once and kept while it is asked for."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from models.manifest import Manifest
from service.artifacts import LoadedArtifact
from service.errors import ServiceError, Unavailable
from service.inference.cost import Cost
from service.inference.flat import complete_graph
from service.inference.runtimes.loading import open_runtime
from service.inference.runtimes.protocol import DRAW, Runtime, StepState, zero_pairs
from service.relations.tables import ModelRef
from service.settings import Settings

MOST_OPEN = 8
WARM_UP = (4, 16, 4)
"""Entities, copies and steps of the run that comes before the first request's."""


class ArtifactSource(Protocol):
    """Where artifacts come from; the store is one."""

    def open(self, reference: str) -> LoadedArtifact:
        """Give the verified artifact of ``name``, ``name@alias`` or ``name@version``."""
        ...


@dataclass(frozen=True, eq=False)
class ServedModel:
    """One version of one model, ready to run."""

    manifest: Manifest
    runtime: Runtime
    pace: float = 1.0
    """How much slower than assumed it ran when it was opened."""

    @property
    def ref(self) -> ModelRef:
        """Give what answers call it."""
        return ModelRef(self.manifest.name, self.manifest.version, self.manifest.family)

    @property
    def key(self) -> tuple[str, int]:
        """Give what tells it from other models."""
        return self.manifest.name, self.manifest.version


class Shelf:
    """Opens models on demand; the least recently used ones are let go."""

    def __init__(self, source: ArtifactSource, settings: Settings) -> None:
        self._source = source
        self._settings = settings
        self._open: OrderedDict[Path, ServedModel] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, reference: str) -> ServedModel:
        """Give the model that a reference means now; safe from any thread.

        Raises:
            ServiceError: if there is none, it is refused, its runtime is missing or cannot run it.
        """
        artifact = self._source.open(reference)
        with self._lock:
            model = self._open.get(artifact.path)
            if model is None or model.manifest is not artifact.manifest:
                model = _loaded(artifact, self._settings)
                self._open[artifact.path] = model
            self._open.move_to_end(artifact.path)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return model


def _loaded(artifact: LoadedArtifact, settings: Settings) -> ServedModel:
    manifest = artifact.manifest
    try:
        runtime = open_runtime(artifact.path, manifest, settings)
        pace = _warm_up(runtime, len(manifest.features))
    except ServiceError:
        raise
    except Exception as error:  # a runtime has exceptions of its own, without a common base
        raise Unavailable(
            f"{manifest.name}@{manifest.version} is intact, but the runtime cannot run it",
            code="artifact-unusable",
            fix="Use another version; export this one again with the present code.",
        ) from error
    return ServedModel(manifest, runtime, pace)


def _warm_up(runtime: Runtime, features: int) -> float:
    """Run some steps, so that the first request finds everything in place; give their pace."""
    entities, copies, steps = WARM_UP
    graph = complete_graph(entities, copies)
    rows = len(graph.senders)
    nodes = np.linspace(-0.5, 0.5, entities * copies * features, dtype=np.float32)
    memory = np.zeros((entities * copies, runtime.memory_width), np.float32)
    state = StepState(
        nodes.reshape(entities * copies, features),
        zero_pairs(rows, runtime.hidden_width),
        memory if runtime.memory_width else None,
    )
    rollout = runtime.rollout(graph, state)
    draws, forced = np.linspace(0, 0.99, rows, dtype=np.float32), np.full(rows, DRAW, np.int64)
    found_s: list[float] = []
    for _ in range(steps):
        began = time.perf_counter()
        rollout.advance(draws, forced)
        found_s.append(time.perf_counter() - began)
    return min(found_s) / Cost(rows, calls=1).raw_seconds
