"""The artifact's graphs are the folded network's own methods, under the names of the contract."""

import pytest
import torch
from torch import Tensor

from models.folded import FoldedDnri, State
from models.graph import Graph, fully_connected
from models.graphs import ArtifactGraph, artifact_graphs
from tests.models.small import network

OPTIONS: dict[str, dict[str, object]] = {
    "markov": {"decoder": "markov", "frames": "local"},
    "recurrent": {"decoder": "recurrent", "features": 6, "edge_types": 3},
}
ROLES = ("encoder", "prior", "step")


@pytest.fixture(params=OPTIONS)
def net(request: pytest.FixtureRequest) -> FoldedDnri:
    return network(**OPTIONS[request.param]).float().fold()


def answers(graph: ArtifactGraph, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    return dict(zip(graph.signature().outputs, graph(**inputs), strict=True))


def union(inputs: dict[str, Tensor]) -> Graph:
    return Graph(inputs["senders"], inputs["receivers"], inputs["inverse_in_degree"])


class TestSignatures:
    @pytest.mark.parametrize("role", ROLES)
    def test_state_what_goes_in_and_out(self, net: FoldedDnri, role: str) -> None:
        graph = artifact_graphs(net)[role]
        inputs = graph.example(3, 4, seed=0)
        found, stated = inputs | answers(graph, inputs), graph.signature()
        assert set(found) == set(stated.inputs) | set(stated.outputs)
        for name, axes in (stated.inputs | stated.outputs).items():
            shape = found[name].shape
            assert found[name].dtype == graph.dtype_of(name)
            assert len(shape) == len(axes)
            for size, axis in zip(shape, axes, strict=True):
                assert isinstance(axis, str) or size == axis

    @pytest.mark.parametrize("role", ROLES)
    def test_an_axis_of_one_name_has_one_size(self, net: FoldedDnri, role: str) -> None:
        graph = artifact_graphs(net)[role]
        inputs = graph.example(3, 4, seed=0)
        sizes: dict[str, set[int]] = {}
        for name, axes in graph.signature().inputs.items():
            for size, axis in zip(inputs[name].shape, axes, strict=True):
                if isinstance(axis, str):
                    sizes.setdefault(axis, set()).add(size)
        assert all(len(found) == 1 for found in sizes.values())

    def test_only_a_recurrent_decoder_has_a_memory(self, net: FoldedDnri) -> None:
        step = artifact_graphs(net)["step"].signature()
        recurrent = net.config.decoder == "recurrent"
        assert ("memory" in step.inputs) is recurrent
        assert ("memory_out" in step.outputs) is recurrent


class TestExample:
    def test_joins_all_pairs_of_a_frame_and_no_two_frames(self, net: FoldedDnri) -> None:
        inputs = artifact_graphs(net)["encoder"].example(3, 4, seed=0)
        wanted = fully_connected(3, copies=4)
        assert torch.equal(inputs["senders"], wanted.senders)
        assert torch.equal(inputs["receivers"], wanted.receivers)
        assert torch.equal(inputs["inverse_in_degree"], wanted.inverse_in_degree)

    def test_is_the_same_for_the_same_seed_only(self, net: FoldedDnri) -> None:
        graph = artifact_graphs(net)["step"]
        one, again, other = (graph.example(3, 1, seed=seed)["nodes"] for seed in (1, 1, 2))
        assert torch.equal(one, again)
        assert not torch.equal(one, other)


class TestEncoder:
    def test_gives_both_estimators_of_the_window(self, net: FoldedDnri) -> None:
        graph = artifact_graphs(net)["encoder"]
        inputs = graph.example(3, 4, seed=0)
        found = answers(graph, inputs)
        wanted = net.relation_logits(inputs["nodes"].view(4, 3, -1), fully_connected(3))
        torch.testing.assert_close(found["posterior_logits"], wanted.posterior)
        torch.testing.assert_close(found["prior_logits"], wanted.prior)


class TestPrior:
    def test_goes_on_where_it_stopped(self, net: FoldedDnri) -> None:
        encoder, prior = (artifact_graphs(net)[role] for role in ("encoder", "prior"))
        whole = encoder.example(3, 4, seed=0)
        wanted = answers(encoder, whole)["prior_logits"]
        state = {name: torch.zeros((6, net.config.lstm_hidden)) for name in ("hidden", "cell")}
        for first in (0, 2):
            part = prior.example(3, 2, seed=0) | {
                "nodes": whole["nodes"][3 * first : 3 * (first + 2)],
                **state,
            }
            found = answers(prior, part)
            torch.testing.assert_close(found["prior_logits"], wanted[first : first + 2])
            state = {"hidden": found["hidden_out"], "cell": found["cell_out"]}


class TestStep:
    @pytest.mark.parametrize("nodes", [1, 4])
    def test_is_the_networks_own(self, net: FoldedDnri, nodes: int) -> None:
        graph = artifact_graphs(net)["step"]
        inputs = graph.example(nodes, 1, seed=0)
        found = answers(graph, inputs)
        memory = inputs.get("memory", torch.zeros((nodes, 0)))
        wanted = net.step(
            State(inputs["hidden"], inputs["cell"], memory),
            inputs["nodes"],
            inputs["uniforms"],
            union(inputs),
            inputs["forced"],
        )
        assert torch.equal(found["next_nodes"], wanted.nodes)
        assert torch.equal(found["types"], wanted.types)
        assert torch.equal(found["prior_logits"], wanted.prior_logits)
        assert torch.equal(found["cell_out"], wanted.state.cell)
        assert torch.equal(found.get("memory_out", memory), wanted.state.memory)

    def test_draws_where_nothing_is_forced(self, net: FoldedDnri) -> None:
        graph = artifact_graphs(net)["step"]
        inputs = graph.example(4, 1, seed=0)
        forced = torch.tensor([1, -1] * 6)
        low, high = (
            answers(graph, inputs | {"forced": forced, "uniforms": torch.full((12,), value)})[
                "types"
            ]
            for value in (0.0, 1 - 2**-24)
        )
        assert low.tolist() == [1, 0] * 6
        assert high.tolist() == [1, net.config.edge_types - 1] * 6
