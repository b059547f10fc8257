"""Writes a folded network as ONNX graphs whose weights all lie in one safetensors file.

The graphs carry no large tensor of their own: each initialiser is external data at the place where
`weights.safetensors` holds the very same bytes.
"""

import contextlib
import json
import logging
import warnings
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, numpy_helper
from safetensors.torch import save

from models.folded import FoldedDnri
from models.graphs import ArtifactGraph, artifact_graphs
from models.manifest import WEIGHTS_FILE
from training.errors import ExportError

OPSET = 18
# Constants derived from weights or shapes may stay inside a graph up to this size; weights may not.
INLINE_BYTES = 8192
EXAMPLE_NODES, EXAMPLE_FRAMES = 4, 5


def write_weights(net: FoldedDnri, folder: Path) -> None:
    """Write the folded weights once: encoder, prior and decoder."""
    tensors = {name: tensor.contiguous() for name, tensor in net.state_dict().items()}
    (folder / WEIGHTS_FILE).write_bytes(save(tensors))


def write_graphs(net: FoldedDnri, folder: Path) -> None:
    """Write ``encoder.onnx``, ``prior.onnx`` and ``step.onnx`` beside the weights.

    Raises:
        ExportError: if a graph holds a large tensor that is not one of the weights.
    """
    places = _places(folder / WEIGHTS_FILE)
    for name, graph in artifact_graphs(net).items():
        model = _translate(graph)
        _move_weights_out(model, places, name)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def _translate(graph: ArtifactGraph) -> onnx.ModelProto:
    signature = graph.signature()
    dynamic = {
        name: {
            axis: torch.export.Dim.DYNAMIC
            for axis, size in enumerate(axes)
            if isinstance(size, str)
        }
        for name, axes in signature.inputs.items()
    }
    with _quiet():
        program: Any = torch.onnx.export(
            graph.eval(),
            kwargs=graph.example(EXAMPLE_NODES, EXAMPLE_FRAMES, seed=0),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=dynamic,
            input_names=list(signature.inputs),
            output_names=list(signature.outputs),
            verbose=False,
        )
    model = program.model_proto
    _forget_traces(model)
    return model


def _forget_traces(model: onnx.ModelProto) -> None:
    """Drop what the exporter notes about source files and machines; no runtime reads it."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    model.producer_version = ""
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    for tensor in (*model.graph.initializer, *model.graph.input, *model.graph.output):
        tensor.doc_string = ""
        del tensor.metadata_props[:]


def _places(weights: Path) -> Mapping[tuple[str, bytes], tuple[int, int]]:
    """Give offset and length in the file of every tensor, by shape and bytes."""
    content = weights.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    places: dict[tuple[str, bytes], tuple[int, int]] = {}
    for name, entry in header.items():
        if name != "__metadata__":
            first, last = (8 + length + offset for offset in entry["data_offsets"])
            places[str(entry["shape"]), content[first:last]] = first, last - first
    return places


def _move_weights_out(
    model: onnx.ModelProto, places: Mapping[tuple[str, bytes], tuple[int, int]], name: str
) -> None:
    for tensor in model.graph.initializer:
        values = np.ascontiguousarray(numpy_helper.to_array(tensor))
        raw = values.tobytes()
        place = places.get((str(list(values.shape)), raw)) if values.dtype == np.float32 else None
        if place is not None:
            _point(tensor, *place)
        elif len(raw) > INLINE_BYTES:
            raise ExportError(
                f"{name}.onnx holds {tensor.name!r} of {len(raw)} bytes, which is no stored weight",
                f"weights of {WEIGHTS_FILE} and constants of at most {INLINE_BYTES} bytes",
            )


def _point(tensor: TensorProto, offset: int, length: int) -> None:
    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", WEIGHTS_FILE), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))


@contextlib.contextmanager
def _quiet() -> Generator[None]:
    """Hold back the exporter's notes about packages we do not use."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(None):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
