"""The artifact store: opens what training exported, after checking every byte of it."""

from service.artifacts.store import ArtifactStore, VersionStatus
from service.artifacts.verification import ArtifactRefused, LoadedArtifact

__all__ = ["ArtifactRefused", "ArtifactStore", "LoadedArtifact", "VersionStatus"]
