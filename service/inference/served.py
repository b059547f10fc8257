"""Models that are open: each artifact version is loaded once and kept while it is asked for."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.manifest import Manifest
from service.artifacts import LoadedArtifact
from service.inference.runtimes.loading import open_runtime
from service.inference.runtimes.protocol import Runtime
from service.relations.tables import ModelRef
from service.settings import Settings

MOST_OPEN = 8


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
            ServiceError: if there is none, it is refused, or its runtime is missing.
        """
        artifact = self._source.open(reference)
        with self._lock:
            model = self._open.get(artifact.path)
            if model is None or model.manifest is not artifact.manifest:
                runtime = open_runtime(artifact.path, artifact.manifest, self._settings)
                model = ServedModel(artifact.manifest, runtime)
                self._open[artifact.path] = model
            self._open.move_to_end(artifact.path)
            while len(self._open) > MOST_OPEN:
                self._open.popitem(last=False)
            return model
