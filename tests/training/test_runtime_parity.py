"""The check that stands between a network and its artifact: what it covers, and what it stops."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file

from models.graphs import artifact_graphs
from models.manifest import WEIGHTS_FILE
from tests.training.shipped import Shipped
from training import onnx_export, runtime_parity
from training.errors import ExportError

pytestmark = pytest.mark.slow
Array = NDArray[Any]


class Altered:
    """A session whose outputs of one name are changed on their way out."""

    def __init__(self, session: Any, name: str, change: Callable[[Array], Array]) -> None:
        self._session, self._name, self._change = session, name, change

    def run(self, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
        answers = zip(names, self._session.run(names, inputs), strict=True)
        return [self._change(value) if name == self._name else value for name, value in answers]


@pytest.fixture
def alter(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Array], Array]], None]:
    """Change one output of whatever session is opened."""

    def put(name: str, change: Callable[[Array], Array]) -> None:
        def opened(path: Path) -> Altered:
            return Altered(real(path), name, change)

        real = runtime_parity.open_session
        monkeypatch.setattr(runtime_parity, "open_session", opened)

    return put


class TestCheck:
    def test_compares_every_output_of_every_graph_at_four_other_sizes(
        self, shipped: Shipped
    ) -> None:
        compared = {(one.graph, one.output): one for one in shipped.differences}
        for name, graph in artifact_graphs(shipped.net()).items():
            for output in graph.signature().outputs:
                assert compared[name, output].sizes == 4
                assert compared[name, output].largest <= 2e-5
        assert ("prior", "prior_logits as probabilities") in compared

    def test_a_single_frame_a_single_entity_and_no_pair_are_among_the_sizes(self) -> None:
        assert any(frames == 1 for _, frames in runtime_parity.WINDOW_SIZES)
        assert any(nodes == 1 for nodes, _ in runtime_parity.STEP_SIZES)
        traced = (onnx_export.EXAMPLE_NODES, onnx_export.EXAMPLE_FRAMES)
        sizes = (*runtime_parity.WINDOW_SIZES, *runtime_parity.STEP_SIZES)
        assert all(nodes != traced[0] and frames != traced[1] for nodes, frames in sizes)

    def test_accepts_the_artifact_again(self, shipped: Shipped) -> None:
        assert runtime_parity.check(shipped.net(), shipped.artifact) == shipped.differences

    @pytest.mark.parametrize(
        ("weight", "where"),
        [
            ("mlp1.fc1.bias", "encoder N=2 T=1: posterior_logits"),
            ("posterior_head.layers.0.weight", "encoder N=2 T=1: posterior_logits"),
            ("decoder.output.fc3.bias", "step N=1 T=1: next_nodes"),
        ],
    )
    def test_names_the_graph_and_output_that_a_changed_weight_reaches_first(
        self, shipped: Shipped, own_copy: Path, weight: str, where: str
    ) -> None:
        weights = load_file(own_copy / WEIGHTS_FILE)
        weights[weight] += 0.01
        save_file(weights, own_copy / WEIGHTS_FILE)
        with pytest.raises(ExportError, match=f"{where} differs by"):
            runtime_parity.check(shipped.net(), own_copy)

    def test_stops_a_network_that_is_not_the_exported_one(self, shipped: Shipped) -> None:
        net = shipped.net()
        net.prior_head.layers[2].bias.data[0] += 1e-4
        with pytest.raises(ExportError, match=r"prior_logits differs by 0\.0001"):
            runtime_parity.check(net, shipped.artifact)

    @pytest.mark.parametrize(
        ("output", "change", "message"),
        [
            ("posterior_logits", lambda a: a[:5], r"encoder N=3 T=7: .* shape \(5, 6, \d\)"),
            ("types", lambda a: a * 0 + 9, r"step N=2 T=1: types differs by"),
            ("next_nodes", lambda a: a * np.float32(np.nan), "next_nodes differs by nan"),
            ("cell_out", lambda a: a + np.float32(1e-4), "prior N=2 T=1: cell_out differs"),
        ],
        ids=["a baked length", "another type", "not a number", "a state"],
    )
    def test_stops_answers_of_another_shape_kind_or_value(
        self,
        local_markov: Shipped,
        alter: Callable[[str, Callable[[Array], Array]], None],
        output: str,
        change: Callable[[Array], Array],
        message: str,
    ) -> None:
        alter(output, change)
        with pytest.raises(ExportError, match=message):
            runtime_parity.check(local_markov.net(), local_markov.artifact)

    def test_lets_rounding_pass(
        self, local_markov: Shipped, alter: Callable[[str, Callable[[Array], Array]], None]
    ) -> None:
        alter("next_nodes", lambda a: a + np.float32(2e-6))
        runtime_parity.check(local_markov.net(), local_markov.artifact)


class TestLoneEntity:
    def test_moves_on_without_any_pair(self, shipped: Shipped) -> None:
        graph = artifact_graphs(shipped.net())["step"]
        inputs = graph.example(1, 1, seed=4)
        assert inputs["senders"].shape == (0,)
        session = runtime_parity.open_session(shipped.artifact / "step.onnx")
        names = list(graph.signature().outputs)
        feed = {name: tensor.numpy() for name, tensor in inputs.items()}
        found = dict(zip(names, session.run(names, feed), strict=True))
        with torch.inference_mode():
            wanted = dict(zip(names, graph(**inputs), strict=True))
        np.testing.assert_allclose(found["next_nodes"], wanted["next_nodes"], atol=5e-6)
        assert found["prior_logits"].shape == (0, shipped.manifest.edge_types)
        assert not np.array_equal(found["next_nodes"], feed["nodes"])
