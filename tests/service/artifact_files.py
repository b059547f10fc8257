"""Writes small artifacts for tests: real hashes, and an ONNX graph with external weights."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper
from safetensors.numpy import save_file

from models.manifest import FileDigest, GraphFile, Manifest, Tensor
from tests.service.manifests import push_manifest

WEIGHTS = "weights.safetensors"


def write_artifact(root: Path, name: str, version: int, **changes: Any) -> Path:
    """Write ``<root>/<name>/<version>`` and give it; ``changes`` replace manifest fields."""
    directory = root / name / str(version)
    directory.mkdir(parents=True)
    save_file({"scale": np.array([2.0, 3.0], np.float32)}, directory / WEIGHTS)
    write_graph(directory)
    (directory / "card.md").write_text(f"# {name}\n\nA card.\n", encoding="utf-8")
    (directory / "metrics.json").write_text('{"f1": 0.5}\n', encoding="utf-8")
    write_manifest(directory, name, version, **changes)
    return directory


def write_graph(directory: Path, *, op: str = "Mul", domain: str = "", **external: str) -> None:
    """Write ``step.onnx``: one operator whose second input is the tensor in the weights file."""
    scale = TensorProto(name="scale", data_type=TensorProto.FLOAT, dims=[2])
    scale.data_location = TensorProto.EXTERNAL
    places = {"location": WEIGHTS, "offset": str(data_start(directory)), "length": "8"} | external
    for key, value in places.items():
        scale.external_data.add(key=key, value=value)
    node = helper.make_node(op, ["x", "scale"], ["y"], domain=domain)
    info = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y")]
    graph = helper.make_graph([node], "step", info[:1], info[1:], [scale])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    (directory / "step.onnx").write_bytes(model.SerializeToString())


def data_start(directory: Path) -> int:
    """Give the byte at which the tensors of the weights file start."""
    with (directory / WEIGHTS).open("rb") as file:
        return 8 + int.from_bytes(file.read(8), "little")


def write_manifest(directory: Path, name: str, version: int, **changes: Any) -> Manifest:
    """Write ``manifest.json`` for the files that are there now."""
    files = {
        path.name: FileDigest(hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size)
        for path in directory.iterdir()
        if path.name != "manifest.json"
    }
    vector = (Tensor("x", "float32", (2,)),)
    fields = {
        "name": name,
        "version": version,
        "files": files,
        "graphs": {"step": GraphFile("step.onnx", vector, vector)},
    }
    manifest = push_manifest(**(fields | changes))
    (directory / "manifest.json").write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def edit_manifest(directory: Path, **changes: Any) -> None:
    """Replace members of ``manifest.json`` as plain JSON, however wrong."""
    path = directory / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes), encoding="utf-8")


def as_json(item: Any) -> Any:
    """Give a dataclass as plain JSON values."""
    return json.loads(json.dumps(dataclasses.asdict(item)))


def load(directory: Path) -> onnx.ModelProto:
    """Give the artifact's graph without its external data."""
    return onnx.load(str(directory / "step.onnx"), load_external_data=False)
