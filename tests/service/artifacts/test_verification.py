import json
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.artifacts.verification import ArtifactRefused, verify
from tests.service.artifact_files import (
    data_start,
    edit_manifest,
    load,
    write_artifact,
    write_graph,
    write_manifest,
)


@pytest.fixture
def artifact(tmp_path: Path) -> Path:
    return write_artifact(tmp_path, "net", 1)


def reason(directory: Path) -> str:
    with pytest.raises(ArtifactRefused) as caught:
        verify(directory)
    assert caught.value.detail.startswith("net@1 is refused: ")
    return caught.value.detail


def test_opens_what_a_runtime_can_run(artifact: Path) -> None:
    loaded = verify(artifact)
    session = onnxruntime.InferenceSession(str(loaded.path / "step.onnx"))
    answer = session.run(None, {"x": np.ones(2, np.float32)})[0]
    assert (loaded.manifest.name, loaded.manifest.version) == ("net", 1)
    np.testing.assert_array_equal(answer, [2.0, 3.0])


class TestFiles:
    def test_one_changed_byte_is_refused(self, artifact: Path) -> None:
        path = artifact / "card.md"
        path.write_bytes(path.read_bytes().replace(b"card", b"Card"))
        assert "card.md: its sha256 is not the manifest's" in reason(artifact)

    def test_another_size_is_refused(self, artifact: Path) -> None:
        with (artifact / "weights.safetensors").open("ab") as file:
            file.write(b"\0")
        assert "weights.safetensors: found" in reason(artifact)

    def test_a_missing_file_is_refused(self, artifact: Path) -> None:
        (artifact / "metrics.json").unlink()
        assert "metrics.json" in reason(artifact)

    def test_an_unlisted_file_is_refused(self, artifact: Path) -> None:
        (artifact / "extra.json").write_text("{}")
        assert "extra.json, which the manifest does not list" in reason(artifact)

    @pytest.mark.parametrize("name", ["weights.pkl", "weights.pt", "model.bin", "run.py"])
    def test_a_pickle_or_program_is_refused_though_listed(self, artifact: Path, name: str) -> None:
        (artifact / name).write_bytes(b"\x80\x04.")
        write_manifest(artifact, "net", 1)
        assert "not allowed" in reason(artifact)

    def test_a_link_is_refused_though_its_target_is_right(self, artifact: Path) -> None:
        target = artifact.parent / "card.md"
        (artifact / "card.md").rename(target)
        (artifact / "card.md").symlink_to(target)
        assert "found a link" in reason(artifact)

    @pytest.mark.parametrize("name", ["../net.md", "/etc/passwd", "a/b.md", ".hidden.md"])
    def test_a_path_in_the_manifest_is_refused(self, artifact: Path, name: str) -> None:
        listed = json.loads((artifact / "manifest.json").read_text())["files"]
        edit_manifest(artifact, files=listed | {name: {"sha256": "0", "bytes": 1}})
        assert "not allowed" in reason(artifact)


class TestManifest:
    def test_of_another_name_or_version_is_refused(self, artifact: Path) -> None:
        edit_manifest(artifact, version=2)
        assert "the manifest says net@2, the directory net@1" in reason(artifact)

    @pytest.mark.parametrize("text", ["", "[]", "{", '{"name": "net"}'])
    def test_that_is_none_is_refused(self, artifact: Path, text: str) -> None:
        (artifact / "manifest.json").write_text(text)
        reason(artifact)

    def test_that_is_missing_is_refused(self, artifact: Path) -> None:
        (artifact / "manifest.json").unlink()
        assert reason(artifact).endswith("refused: manifest.json: No such file or directory")


class TestGraphs:
    def rewritten(self, directory: Path, **changes: str) -> str:
        write_graph(directory, **changes)
        write_manifest(directory, "net", 1)
        return reason(directory)

    @pytest.mark.parametrize(("op", "domain"), [("Mul", "evil"), ("ImageDecoder", ""), ("", "")])
    def test_an_unknown_operator_is_refused(self, artifact: Path, op: str, domain: str) -> None:
        assert "which is not allowed" in self.rewritten(artifact, op=op, domain=domain)

    @pytest.mark.parametrize("place", ["/etc/passwd", "../weights.safetensors", "step.onnx", ""])
    def test_external_data_elsewhere_is_refused(self, artifact: Path, place: str) -> None:
        assert "in weights.safetensors only" in self.rewritten(artifact, location=place)

    @pytest.mark.parametrize(
        ("offset", "length"), [("0", "8"), ("1", "8"), ("-8", "8"), ("9999999", "8"), ("x", "8")]
    )
    def test_an_offset_that_is_no_tensors_is_refused(
        self, artifact: Path, offset: str, length: str
    ) -> None:
        assert "no whole tensor" in self.rewritten(artifact, offset=offset, length=length)

    def test_a_length_that_is_not_the_tensors_is_refused(self, artifact: Path) -> None:
        assert "no whole tensor" in self.rewritten(artifact, length="4")

    def test_a_part_of_a_tensor_is_refused(self, artifact: Path) -> None:
        model = load(artifact)
        model.graph.initializer[0].dims[0] = 1
        model.graph.initializer[0].external_data[2].value = "4"
        (artifact / "step.onnx").write_bytes(model.SerializeToString())
        write_manifest(artifact, "net", 1)
        assert data_start(artifact) > 0
        assert "no whole tensor" in reason(artifact)

    def test_an_operator_inside_a_branch_is_found(self, artifact: Path) -> None:
        model = load(artifact)
        inner = helper.make_graph([helper.make_node("Evil", [], ["z"])], "branch", [], [])
        branch = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
        model.graph.node.append(branch)
        (artifact / "step.onnx").write_bytes(model.SerializeToString())
        write_manifest(artifact, "net", 1)
        assert "Evil, which is not allowed" in reason(artifact)

    def test_external_data_of_a_constant_is_found(self, artifact: Path) -> None:
        model = load(artifact)
        constant = numpy_helper.from_array(np.ones(1, np.float32))
        constant.ClearField("raw_data")
        constant.data_location = TensorProto.EXTERNAL
        constant.external_data.add(key="location", value="/etc/passwd")
        model.graph.node.append(helper.make_node("Constant", [], ["c"], value=constant))
        (artifact / "step.onnx").write_bytes(model.SerializeToString())
        write_manifest(artifact, "net", 1)
        assert "in weights.safetensors only" in reason(artifact)

    def test_functions_are_refused(self, artifact: Path) -> None:
        model = load(artifact)
        model.functions.add(name="f", domain="")
        (artifact / "step.onnx").write_bytes(model.SerializeToString())
        write_manifest(artifact, "net", 1)
        assert "found functions" in reason(artifact)

    def test_bytes_that_are_no_graph_are_refused(self, artifact: Path) -> None:
        for junk in (b"", b"\xff" * 40, b"garbage", bytes(range(256))):
            (artifact / "step.onnx").write_bytes(junk)
            write_manifest(artifact, "net", 1)
            reason(artifact)


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff" * 16,
        b"\x02\0\0\0\0\0\0\0[]",
        b"\x14\0\0\0\0\0\0\0" + b'{"a":{"dtype":"F32"}}',
    ],
)
def test_weights_without_a_header_are_refused(artifact: Path, junk: bytes) -> None:
    (artifact / "weights.safetensors").write_bytes(junk)
    write_manifest(artifact, "net", 1)
    reason(artifact)
