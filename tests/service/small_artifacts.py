"""Two committed artifacts of the small untrained network, and how they were made.

Exporting takes longer than all tests that need an exported graph, so what it gives is kept here:
``python -m tests.service.small_artifacts`` writes both again after a change of the graphs.
"""

import hashlib
from pathlib import Path
from typing import Any

from models.graphs import artifact_graphs
from models.manifest import MANIFEST_FILE, FileDigest, GraphFile, Tensor
from service.artifacts.verification import LoadedArtifact, verify
from tests.service.networks import SIZES, small_manifest, small_network

FOLDER = Path(__file__).parent / "data"
OPTIONS: dict[str, dict[str, Any]] = {
    "small-markov": {},
    "small-recurrent": {"decoder": "recurrent", "frames": "global", "kinematics": "free"},
}


def small_artifact(name: str) -> LoadedArtifact:
    """Give one of the committed artifacts, verified."""
    return verify(FOLDER / name / "1")


def write_small_artifact(name: str) -> None:
    """Export one of them into its folder."""
    from training.onnx_export import write_graphs, write_weights

    options = OPTIONS[name]
    folder = FOLDER / name / "1"
    folder.mkdir(parents=True, exist_ok=True)
    net = small_network(**options)
    write_weights(net, folder)
    (folder / "weights.safetensors").chmod(0o644)
    write_graphs(net, folder)
    graphs = {}
    for role, graph in artifact_graphs(net).items():
        sides = [
            tuple(
                Tensor(n, str(graph.dtype_of(n)).removeprefix("torch."), s) for n, s in side.items()
            )
            for side in graph.signature()
        ]
        graphs[role] = GraphFile(f"{role}.onnx", *sides)
    files = {
        path.name: FileDigest(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in sorted(folder.iterdir())
        if path.name != MANIFEST_FILE
    }
    frames = "global" if options else "local"
    manifest = small_manifest(
        name=name,
        coordinate_frames=frames,
        absolute_features=frames == "global",
        network=SIZES | options,
        graphs=graphs,
        files=files,
    )
    (folder / MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")


if __name__ == "__main__":
    for each in OPTIONS:
        write_small_artifact(each)
