"""The exported graphs against the network itself, through the arrays that the engine uses."""

import dataclasses

import numpy as np
import pytest

from service.errors import Unavailable
from service.inference.flat import complete_graph, flatten, join_graphs
from service.inference.forecasting import ForecastRun
from service.inference.runtimes.loading import open_runtime
from service.inference.runtimes.onnx_runtime import OnnxRuntime
from service.inference.runtimes.protocol import PairState, Runtime, StepState, zero_pairs
from service.inference.runtimes.torch_runtime import TorchRuntime
from service.inference.scaling import scaling_for
from service.inference.scenes import Scene
from service.settings import Settings
from tests.service.networks import walk, with_absences
from tests.service.small_artifacts import OPTIONS, small_artifact

CLOSE = {"rtol": 5e-6, "atol": 5e-6}
WINDOWS = {
    "whole": walk(6, 3),
    "one frame": walk(1, 4),
    "partial": with_absences(walk(8, 4), {0: (0, 3), 2: (2, 6), 3: (7, 8)}),
    "two": walk(5, 2),
}


@pytest.fixture(scope="module", params=list(OPTIONS))
def pair(request) -> tuple[Runtime, Runtime]:
    """Give ONNX Runtime and torch on the same weights file."""
    artifact = small_artifact(request.param)
    oracle = TorchRuntime.open(artifact.path, artifact.manifest)
    return OnnxRuntime(artifact.path, artifact.manifest), oracle


def start(runtime: Runtime, nodes: int, copies: int, seed: int = 0) -> StepState:
    random = np.random.default_rng(seed)
    rows, pairs = nodes * copies, nodes * (nodes - 1) * copies
    drawn = [0.5 * random.standard_normal((pairs, 8)).astype(np.float32) for _ in range(2)]
    memory = random.standard_normal((rows, runtime.memory_width)).astype(np.float32)
    state = random.standard_normal((rows, 4)).astype(np.float32)
    return StepState(state, PairState(*drawn), memory if runtime.memory_width else None)


def agree(one, other) -> None:
    for found, expected in zip(one, other, strict=True):
        np.testing.assert_allclose(found, expected, **CLOSE)


class TestWindows:
    @pytest.mark.parametrize("name", WINDOWS)
    def test_encode_agrees_with_torch(self, pair, name):
        window, layout = flatten(WINDOWS[name].astype(np.float32))
        found, expected = (runtime.encode(window) for runtime in pair)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(layout.table(one), layout.table(other), **CLOSE)

    @pytest.mark.parametrize("name", WINDOWS)
    def test_prior_agrees_with_torch_and_goes_on_from_a_state(self, pair, name):
        window, layout = flatten(WINDOWS[name].astype(np.float32))
        state = zero_pairs(len(window.lengths), 8)
        for row in state:
            row[:] = np.random.default_rng(1).standard_normal(row.shape)
        found, expected = (runtime.prior(window, state) for runtime in pair)
        np.testing.assert_allclose(
            layout.table(found.logits), layout.table(expected.logits), **CLOSE
        )
        agree(found.state, expected.state)


class TestRollout:
    @pytest.mark.parametrize(("nodes", "copies"), [(3, 1), (2, 5), (5, 2), (1, 1), (1, 3)])
    def test_agrees_with_torch_step_by_step(self, pair, nodes, copies):
        state = start(pair[0], nodes, copies)
        rollouts = [runtime.rollout(complete_graph(nodes, copies), state) for runtime in pair]
        random = np.random.default_rng(3)
        edges = nodes * (nodes - 1) * copies
        for _ in range(4):
            uniforms = random.random(edges, np.float32)
            forced = random.integers(-1, 3, edges)
            found, expected = (rollout.advance(uniforms, forced) for rollout in rollouts)
            np.testing.assert_allclose(found.nodes, expected.nodes, **CLOSE)
            np.testing.assert_allclose(found.prior_logits, expected.prior_logits, **CLOSE)
            assert np.array_equal(found.types, expected.types)
            assert np.array_equal(found.types[forced >= 0], forced[forced >= 0])
        one, other = (rollout.state() for rollout in rollouts)
        agree((one.nodes, *one.pairs), (other.nodes, *other.pairs))
        if pair[0].memory_width:
            np.testing.assert_allclose(one.memory, other.memory, **CLOSE)

    def test_takes_graphs_of_different_sizes_as_one(self, pair):
        runtime = pair[0]
        graphs = [complete_graph(3, 1), complete_graph(1, 1), complete_graph(2, 2)]
        starts = [start(runtime, n, c, seed=n) for n, c in ((3, 1), (1, 1), (2, 2))]
        memory = None
        if runtime.memory_width:
            memory = np.concatenate([one.memory for one in starts])
        joined = StepState(
            np.concatenate([one.nodes for one in starts]),
            PairState(
                np.concatenate([one.pairs.hidden for one in starts]),
                np.concatenate([one.pairs.cell for one in starts]),
            ),
            memory,
        )
        uniforms = np.random.default_rng(4).random(10, np.float32)
        union = runtime.rollout(join_graphs(graphs), joined)
        found = union.advance(uniforms, np.full(10, -1))
        node = edge = 0
        for graph, one in zip(graphs, starts, strict=True):
            own = uniforms[edge : edge + len(graph.senders)]
            alone = runtime.rollout(graph, one).advance(own, np.full(len(own), -1))
            np.testing.assert_allclose(
                found.nodes[node : node + len(one.nodes)], alone.nodes, **CLOSE
            )
            node, edge = node + len(one.nodes), edge + len(own)

    def test_feeds_true_frames_and_hands_its_state_on(self, pair):
        runtime = pair[0]
        graph, state = complete_graph(3, 1), start(runtime, 3, 1)
        truth = np.random.default_rng(5).standard_normal((4, 3, 4)).astype(np.float32)
        drawn, uniforms = np.full(6, -1), np.random.default_rng(6).random((4, 6), np.float32)
        through = runtime.rollout(graph, state)
        for t in range(4):
            last = through.advance(uniforms[t], drawn, truth[t]).nodes.copy()
        first = runtime.rollout(graph, state)
        for t in range(2):
            first.advance(uniforms[t], drawn, truth[t])
        second = runtime.rollout(graph, first.state())
        for t in (2, 3):
            again = second.advance(uniforms[t], drawn, truth[t]).nodes.copy()
        assert np.array_equal(last, again)

    def test_keeps_a_copied_state_when_it_goes_on(self, pair):
        runtime = pair[0]
        rollout = runtime.rollout(complete_graph(2, 1), start(runtime, 2, 1))
        kept = rollout.state()
        before = kept.nodes.copy()
        for _ in range(3):
            rollout.advance(np.full(2, 0.5, np.float32), np.full(2, -1))
        assert np.array_equal(kept.nodes, before)
        assert not np.array_equal(rollout.state().nodes, before)


class TestForecast:
    def test_draws_the_same_relations_and_paths_as_torch(self, pair):
        values = with_absences(walk(7, 4), {3: (2, 4)})
        artifact = small_artifact("small-markov")
        scaling = scaling_for(artifact.manifest, values)
        scene = Scene(scaling.normalised(values), scaling, tuple("abcd"), 0, 12, 5, seed=2)
        found = []
        for runtime in pair:
            run = ForecastRun(runtime, [scene], 3)
            for _ in run.slices():
                pass
            found.append(run.paths[0])
        np.testing.assert_allclose(found[0].values, found[1].values, atol=1e-5)
        np.testing.assert_allclose(found[0].relations, found[1].relations, atol=1e-4)


class TestOpening:
    def test_the_settings_choose_the_runtime(self):
        artifact = small_artifact("small-markov")
        names = [
            open_runtime(artifact.path, artifact.manifest, Settings(runtime=runtime)).name
            for runtime in ("onnx", "torch")
        ]
        assert names == ["onnxruntime-cpu", "torch-cpu"]

    @pytest.mark.parametrize("runtime", ["onnx", "torch"])
    def test_a_missing_device_is_refused_and_never_replaced(self, runtime, monkeypatch):
        monkeypatch.setattr("onnxruntime.get_available_providers", lambda: ["CPUExecutionProvider"])
        monkeypatch.setattr("torch.cuda.is_available", lambda: False)
        artifact = small_artifact("small-markov")
        with pytest.raises(Unavailable) as refusal:
            open_runtime(artifact.path, artifact.manifest, Settings(runtime=runtime, device="cuda"))
        assert refusal.value.code == "runtime-missing"
        assert "RELATA_DEVICE=cpu" in refusal.value.fix

    def test_a_static_family_is_refused_by_name(self):
        artifact = small_artifact("small-markov")
        manifest = dataclasses.replace(artifact.manifest, static=True)
        with pytest.raises(Unavailable) as refusal:
            open_runtime(artifact.path, manifest, Settings())
        assert refusal.value.code == "family-unsupported"
