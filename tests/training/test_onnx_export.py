"""The graphs as files: where their weights lie, and what else they must not hold."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from safetensors.torch import load_file

from models.manifest import WEIGHTS_FILE
from tests.models.small import network
from tests.training.shipped import GRAPHS, Shipped
from training import onnx_export
from training.errors import ExportError

pytestmark = pytest.mark.slow


def graphs(shipped: Shipped) -> Iterator[onnx.ModelProto]:
    for name in GRAPHS:
        yield onnx.load(shipped.artifact / name, load_external_data=False)


def outside(tensor: TensorProto) -> bool:
    return tensor.data_location == TensorProto.EXTERNAL


class TestWeights:
    def test_the_file_holds_the_folded_network(self, shipped: Shipped) -> None:
        stored = load_file(shipped.artifact / WEIGHTS_FILE)
        wanted = shipped.net().state_dict()
        assert stored.keys() == wanted.keys()
        assert all(stored[name].equal(tensor) for name, tensor in wanted.items())

    def test_are_stored_once(self, shipped: Shipped) -> None:
        weights = (shipped.artifact / WEIGHTS_FILE).stat().st_size
        numbers = sum(4 * tensor.numel() for tensor in shipped.net().state_dict().values())
        assert numbers < weights < numbers + 16_384
        for name in GRAPHS:
            model = onnx.load(shipped.artifact / name, load_external_data=False)
            inline = [tensor for tensor in model.graph.initializer if not outside(tensor)]
            assert sum(len(tensor.raw_data) for tensor in inline) < 2048

    def test_every_large_tensor_is_read_from_there_at_the_place_of_a_weight(
        self, shipped: Shipped
    ) -> None:
        stored = load_file(shipped.artifact / WEIGHTS_FILE)
        known = {tensor.numpy().tobytes() for tensor in stored.values()}
        content = (shipped.artifact / WEIGHTS_FILE).read_bytes()
        large = 0
        for model in graphs(shipped):
            for tensor in model.graph.initializer:
                if not outside(tensor):
                    continue
                place = {entry.key: entry.value for entry in tensor.external_data}
                assert place["location"] == WEIGHTS_FILE
                first, length = int(place["offset"]), int(place["length"])
                assert content[first : first + length] in known
                assert length == 4 * np.prod(tensor.dims)
                large += length > onnx_export.INLINE_BYTES
        assert large >= 6

    def test_graphs_share_tensors(self, shipped: Shipped) -> None:
        offsets = [
            {
                entry.value
                for t in model.graph.initializer
                for entry in t.external_data
                if entry.key == "offset"
            }
            for model in graphs(shipped)
        ]
        encoder, prior, step = offsets
        assert prior < encoder
        assert prior <= step


class TestGraphs:
    def test_are_plain_onnx_of_one_opset(self, shipped: Shipped) -> None:
        for model in graphs(shipped):
            (imported,) = model.opset_import
            assert (imported.domain, imported.version) == ("", onnx_export.OPSET)
            assert not model.functions
            assert shipped.manifest.opset == onnx_export.OPSET

    def test_run_over_the_frames_in_one_operator_per_direction(self, shipped: Shipped) -> None:
        encoder, prior, step = (
            [node.op_type for node in model.graph.node] for model in graphs(shipped)
        )
        assert (encoder.count("LSTM"), prior.count("LSTM"), step.count("LSTM")) == (2, 1, 0)

    def test_say_nothing_of_the_machine_that_wrote_them(self, shipped: Shipped) -> None:
        for name in GRAPHS:
            content = (shipped.artifact / name).read_bytes()
            for trace in (b"site-packages", b".py", str(Path.home()).encode(), b"stack_trace"):
                assert trace not in content

    def test_state_the_manifests_inputs_and_outputs(self, shipped: Shipped) -> None:
        types = {
            "float32": TensorProto.FLOAT,
            "int64": TensorProto.INT64,
            "int32": TensorProto.INT32,
        }
        for graph in shipped.manifest.graphs.values():
            model = onnx.load(shipped.artifact / graph.file, load_external_data=False)
            for stated, found in (
                (graph.inputs, model.graph.input),
                (graph.outputs, model.graph.output),
            ):
                assert [tensor.name for tensor in stated] == [value.name for value in found]
                for tensor, value in zip(stated, found, strict=True):
                    assert value.type.tensor_type.elem_type == types[tensor.dtype]
                    axes = value.type.tensor_type.shape.dim
                    fixed = [
                        axis.dim_value if axis.HasField("dim_value") else None for axis in axes
                    ]
                    assert fixed == [s if isinstance(s, int) else None for s in tensor.shape]


class TestRefusal:
    def test_a_large_tensor_that_is_no_stored_weight(
        self, shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        foreign = onnx.load(shipped.artifact / "encoder.onnx")
        monkeypatch.setattr(onnx_export, "_translate", lambda _: foreign)
        other = network(features=len(shipped.manifest.features)).float().fold()
        onnx_export.write_weights(other, tmp_path)
        with pytest.raises(ExportError, match=r"encoder\.onnx holds .* which is no stored weight"):
            onnx_export.write_graphs(other, tmp_path)
        assert not list(tmp_path.glob("*.onnx"))

    def test_equal_bytes_of_another_shape_are_no_stored_weight(
        self, shipped: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = onnx.load(shipped.artifact / "step.onnx")
        large = next(t for t in model.graph.initializer if len(t.raw_data) > 8192)
        values = numpy_helper.to_array(large)
        large.CopyFrom(numpy_helper.from_array(values.reshape(2, -1), large.name))
        monkeypatch.setattr(onnx_export, "_translate", lambda _: model)
        onnx_export.write_weights(shipped.net(), tmp_path)
        with pytest.raises(ExportError, match="no stored weight"):
            onnx_export.write_graphs(shipped.net(), tmp_path)


def test_translating_again_gives_the_same_bytes(local_markov: Shipped, tmp_path: Path) -> None:
    net = local_markov.net()
    onnx_export.write_weights(net, tmp_path)
    onnx_export.write_graphs(net, tmp_path)
    for name in (*GRAPHS, WEIGHTS_FILE):
        assert (tmp_path / name).read_bytes() == (local_markov.artifact / name).read_bytes()
