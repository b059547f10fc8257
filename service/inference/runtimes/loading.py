"""Which runtime serves an artifact: the settings decide, and nothing else takes its place."""

from pathlib import Path

from models.manifest import Manifest
from service.errors import Unavailable
from service.inference.runtimes.onnx_runtime import OnnxRuntime
from service.inference.runtimes.protocol import Runtime
from service.settings import Settings

GRAPHS = frozenset({"encoder", "prior", "step"})


def open_runtime(directory: Path, manifest: Manifest, settings: Settings) -> Runtime:
    """Open a verified artifact.

    Raises:
        Unavailable: if the runtime or device is missing, or the family needs graphs that this
            engine does not drive.
    """
    if manifest.static or not set(manifest.graphs) >= GRAPHS:
        raise Unavailable(
            f"found a {manifest.family} artifact with graphs {sorted(manifest.graphs)}, expected a "
            f"dynamic one with {sorted(GRAPHS)}",
            code="family-unsupported",
            fix="Serve a dynamic model, or upgrade the service.",
        )
    if settings.runtime == "torch":
        return _torch(directory, manifest, settings)
    return OnnxRuntime(directory, manifest, device=settings.device, threads=settings.engine_threads)


def _torch(directory: Path, manifest: Manifest, settings: Settings) -> Runtime:
    try:
        from service.inference.runtimes.torch_runtime import TorchRuntime
    except ImportError as error:
        raise Unavailable(
            "found no torch, expected it for RELATA_RUNTIME=torch",
            code="runtime-missing",
            fix="Install it (make install TRAIN=1) or set RELATA_RUNTIME=onnx.",
        ) from error
    return TorchRuntime.open(directory, manifest, device=settings.device)
