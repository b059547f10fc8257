"""Our dNRI against recorded outputs of the authors' code, same weights, float64."""

import pytest
import torch
from torch import Tensor

from models.dnri import Dnri
from models.folded import FoldedDnri, State
from models.graph import Graph
from tests.parity.golden import TOLERANCE, Case, receiver_major, reference_dnri, union_graph

CASES = ("dnri_mlpdec_k2", "dnri_grudec_k4")


class Fixture:
    """A case, our network and the inputs in our axes: ``[T, P, D]``, receiver-major."""

    def __init__(self, name: str) -> None:
        self.case = Case(name)
        self.net: Dnri = reference_dnri(self.case)
        self.folded: FoldedDnri = self.net.fold()
        states = self.case["in/x"]
        self.batch, self.frames, self.nodes, _ = states.shape
        self.order = receiver_major(self.case)
        self.graph: Graph = union_graph(self.case, self.batch)
        self.states = states.permute(1, 0, 2, 3).flatten(1, 2)
        self.weights = self.edges(self.case["in/edges_hard"])

    def edges(self, theirs: Tensor) -> Tensor:
        """``[B, T, E, K]`` in the case's order to ``[T, B * E, K]`` in ours."""
        return theirs[:, :, self.order].permute(1, 0, 2, 3).flatten(1, 2)

    def rows(self, theirs: Tensor) -> Tensor:
        """``[1, B * E, L]`` in the case's order to ours."""
        return theirs[0].unflatten(0, (self.batch, -1))[:, self.order].flatten(0, 1)

    def nodes_of(self, theirs: Tensor) -> Tensor:
        """``[B, T, N, D]`` to ``[T, B * N, D]``."""
        return theirs.permute(1, 0, 2, 3).flatten(1, 2)


@pytest.fixture(params=CASES)
def golden(request: pytest.FixtureRequest) -> Fixture:
    return Fixture(request.param)


def assert_equal(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, **TOLERANCE)


@pytest.mark.parametrize("view", ["net", "folded"])
class TestRelationLogits:
    def test_posterior_and_prior_agree(self, golden: Fixture, view: str) -> None:
        logits = getattr(golden, view).relation_logits(golden.states[:-1], golden.graph)
        assert_equal(logits.posterior, golden.edges(golden.case["out/posterior_logits"]))
        assert_equal(logits.prior, golden.edges(golden.case["out/prior_logits"]))


class TestPriorState:
    def test_causal_state_and_next_frame_agree(self, golden: Fixture) -> None:
        folded, case = golden.folded, golden.case
        start = folded.initial_state(golden.graph)
        state, _ = folded.advance_prior(start, golden.states[:-1], golden.graph)
        assert_equal(state.hidden, golden.rows(case["out/prior_h"]))
        assert_equal(state.cell, golden.rows(case["out/prior_c"]))
        uniforms = torch.zeros(golden.graph.num_edges, dtype=torch.float64)
        forced = torch.zeros(golden.graph.num_edges, dtype=torch.int64)
        step = folded.step(state, golden.states[-1], uniforms, golden.graph, forced)
        expected = case["out/next_prior_logits"][:, golden.order].flatten(0, 1)
        assert_equal(step.prior_logits, expected)
        assert_equal(step.state.hidden, golden.rows(case["out/next_prior_h"]))
        assert_equal(step.state.cell, golden.rows(case["out/next_prior_c"]))


class TestDecoder:
    def test_teacher_forced_predictions_agree(self, golden: Fixture) -> None:
        found = golden.net.teacher_forced(golden.states[:-1], golden.graph, golden.weights)
        assert_equal(found, golden.nodes_of(golden.case["out/decoder_teacher_forced"]))

    def test_hard_grouped_messages_agree_with_soft_ones(self, golden: Fixture) -> None:
        found, _ = _forced_rollout(golden, truth_until=golden.frames)
        assert_equal(found, golden.nodes_of(golden.case["out/decoder_teacher_forced"]))

    def test_rollout_after_burn_in_agrees(self, golden: Fixture) -> None:
        found, _ = _forced_rollout(golden, truth_until=4)
        assert_equal(found, golden.nodes_of(golden.case["out/decoder_rollout_after4"]))

    def test_memory_agrees(self, golden: Fixture) -> None:
        if "out/decoder_hidden" not in golden.case:
            assert golden.net.decoder.memory_width == 0
            return
        _, memories = _forced_rollout(golden, truth_until=golden.frames)
        assert_equal(memories, golden.nodes_of(golden.case["out/decoder_hidden"]))


def _forced_rollout(golden: Fixture, truth_until: int) -> tuple[Tensor, Tensor]:
    folded: FoldedDnri = golden.folded
    state: State = folded.initial_state(golden.graph)
    uniforms = torch.zeros(golden.graph.num_edges, dtype=torch.float64)
    types = golden.weights.argmax(-1)
    predictions: list[Tensor] = []
    memories: list[Tensor] = []
    for time in range(golden.frames - 1):
        nodes = golden.states[time] if time <= truth_until else predictions[-1]
        step = folded.step(state, nodes, uniforms, golden.graph, types[time])
        state = step.state
        predictions.append(step.nodes)
        memories.append(state.memory)
    return torch.stack(predictions), torch.stack(memories)
