"""What must hold for any dNRI network: symmetries, causality, equal views, edge cases."""

import pytest
import torch
from torch import Tensor

from models.dnri import Dnri
from models.dnri_config import DnriConfig
from models.folded import State
from models.graph import Graph
from models.registry import build
from tests.models.small import complete, network, states, without_shortcut
from tests.models.test_coordinates import LOCAL_2D, LOCAL_3D, turn

OPTIONS: tuple[dict[str, object], ...] = (
    {"decoder": "markov"},
    {"decoder": "recurrent", "edge_types": 4},
    {"decoder": "markov", "frames": "local", "kinematics": "integrated"},
    {"decoder": "recurrent", "frames": "local", "vertical": 1, "features": 6, "edge_types": 3},
    {"decoder": "recurrent", "skip_first": False, "head_activation": "relu"},
)


@pytest.fixture(params=OPTIONS, ids=str)
def net(request: pytest.FixtureRequest) -> Dnri:
    return network(**request.param)


def roll_out(net: Dnri, start: Tensor, graph: Graph, steps: int) -> tuple[Tensor, Tensor]:
    """Give predictions ``[H, P, D]`` and prior logits ``[H, E, K]`` under fixed uniforms."""
    folded = net.fold()
    generator = torch.Generator().manual_seed(3)
    uniforms = torch.rand((steps, graph.num_edges), generator=generator, dtype=torch.float64)
    free = torch.full((graph.num_edges,), -1)
    state, nodes = folded.initial_state(graph), start
    predictions: list[Tensor] = []
    logits: list[Tensor] = []
    for step in range(steps):
        answer = folded.step(state, nodes, uniforms[step], graph, free)
        state, nodes = answer.state, answer.nodes
        predictions.append(nodes)
        logits.append(answer.prior_logits)
    return torch.stack(predictions), torch.stack(logits)


class TestViews:
    def test_folded_logits_equal_trainable_ones(self, net: Dnri) -> None:
        values, graph = states(6, 8, net.config.features), complete(4, copies=2)
        for found, wanted in zip(
            net.fold().relation_logits(values, graph),
            net.relation_logits(values, graph),
            strict=True,
        ):
            torch.testing.assert_close(found, wanted, rtol=1e-9, atol=1e-9)

    def test_a_node_without_neighbours_folds_right(self, net: Dnri) -> None:
        lonely = Graph(
            torch.tensor([1, 0]), torch.tensor([0, 1]), torch.tensor([1.0, 1.0, 0.0]).double()
        )
        values = states(3, 3, net.config.features)
        found, wanted = (view.relation_logits(values, lonely) for view in (net.fold(), net))
        torch.testing.assert_close(found.prior, wanted.prior, rtol=1e-9, atol=1e-9)

    def test_hard_steps_equal_soft_one_hot_decoding(self, net: Dnri) -> None:
        values, graph = states(4, 5, net.config.features), complete(5)
        types = torch.randint(0, net.config.edge_types, (4, graph.num_edges))
        weights = torch.nn.functional.one_hot(types, net.config.edge_types).double()
        wanted = net.teacher_forced(values, graph, weights)
        folded, uniforms = net.fold(), torch.zeros(graph.num_edges, dtype=torch.float64)
        state = folded.initial_state(graph)
        for time in range(4):
            step = folded.step(state, values[time], uniforms, without_shortcut(graph), types[time])
            state = step.state
            torch.testing.assert_close(step.nodes, wanted[time], rtol=1e-9, atol=1e-9)
            assert torch.equal(step.types, types[time])

    def test_streamed_prior_equals_the_windows(self, net: Dnri) -> None:
        values, graph = states(5, 4, net.config.features), complete(4)
        folded = net.fold()
        wanted = folded.relation_logits(values, graph).prior
        state: State = folded.initial_state(graph)
        for time in range(5):
            state, found = folded.advance_prior(state, values[time : time + 1], graph)
            torch.testing.assert_close(found[0], wanted[time], rtol=1e-9, atol=1e-9)


class TestPackedSequences:
    def test_packed_encoding_equals_the_plain_one(self, net: Dnri) -> None:
        frames, nodes = 5, 4
        values, graph = states(frames, nodes, net.config.features), complete(nodes)
        pairs = graph.num_edges
        union = complete(nodes, copies=frames)
        sequence = torch.arange(frames * pairs).view(frames, pairs)
        lengths = torch.full((pairs,), frames, dtype=torch.int32)
        found = net.fold().encode(values.flatten(0, 1), union, sequence, lengths)
        wanted = net.fold().relation_logits(values, graph)
        torch.testing.assert_close(found.posterior, wanted.posterior)
        torch.testing.assert_close(found.prior, wanted.prior)

    def test_padding_and_neighbours_in_the_batch_change_no_shorter_sequence(
        self, net: Dnri
    ) -> None:
        long, short = (
            states(6, 3, net.config.features, seed=1),
            states(4, 3, net.config.features, seed=2),
        )
        union, pairs = complete(3, copies=10), 6
        padding = 10 * pairs
        sequence = torch.full((6, 2 * pairs), padding)
        sequence[:, :pairs] = torch.arange(6 * pairs).view(6, pairs)
        sequence[:4, pairs:] = 6 * pairs + torch.arange(4 * pairs).view(4, pairs)
        lengths = torch.tensor([6] * pairs + [4] * pairs, dtype=torch.int32)
        rows = torch.cat((long.flatten(0, 1), short.flatten(0, 1)))
        found = net.fold().encode(rows, union, sequence, lengths)
        for values, columns in ((long, slice(0, pairs)), (short, slice(pairs, None))):
            wanted = net.fold().relation_logits(values, complete(3))
            torch.testing.assert_close(found.posterior[: len(values), columns], wanted.posterior)
            torch.testing.assert_close(found.prior[: len(values), columns], wanted.prior)


class TestSymmetries:
    def test_permuting_nodes_permutes_edges(self, net: Dnri) -> None:
        values, graph = states(4, 5, net.config.features), complete(5)
        order = torch.tensor([3, 0, 4, 1, 2])
        renamed = graph._replace(
            senders=order[graph.senders], receivers=order[graph.receivers], in_degree=None
        )
        shuffled = torch.empty_like(values)
        shuffled[:, order] = values
        found, wanted = (
            net.fold().relation_logits(shuffled, renamed),
            net.fold().relation_logits(values, graph),
        )
        torch.testing.assert_close(found.posterior, wanted.posterior)
        torch.testing.assert_close(found.prior, wanted.prior)

    def test_a_batch_equals_its_members_alone(self, net: Dnri) -> None:
        values = states(4, 6, net.config.features)
        together = net.fold().relation_logits(values, complete(3, copies=2)).posterior
        alone = [
            net.fold().relation_logits(part, complete(3)).posterior for part in values.split(3, 1)
        ]
        torch.testing.assert_close(together, torch.cat(alone, 1))

    @pytest.mark.parametrize(
        ("options", "frame"),
        [(OPTIONS[2], LOCAL_2D), (OPTIONS[3], LOCAL_3D)],
        ids=["2-D", "3-D"],
    )
    def test_turning_the_input_turns_the_forecast_and_changes_no_relation(
        self, options: dict[str, object], frame: object
    ) -> None:
        net = network(**options)
        config, graph = net.coordinates, complete(4)
        start = states(1, 4, net.config.features)[0]
        turned = turn(start, 1.1, config)
        forecast, logits = roll_out(net, start, graph, 5)
        turned_forecast, turned_logits = roll_out(net, turned, graph, 5)
        torch.testing.assert_close(turned_logits, logits, rtol=1e-8, atol=1e-8)
        torch.testing.assert_close(
            turned_forecast, turn(forecast, 1.1, config), rtol=1e-8, atol=1e-8
        )
        del frame

    def test_global_frames_are_not_symmetric_which_shows_the_test_can_fail(self) -> None:
        net = network(**OPTIONS[0])
        start = states(1, 4)[0]
        _, logits = roll_out(net, start, complete(4), 2)
        _, turned = roll_out(net, turn(start, 1.1, LOCAL_2D), complete(4), 2)
        assert (logits - turned).abs().max() > 1e-3


class TestCausality:
    def test_later_frames_change_no_prior_but_the_posterior(self, net: Dnri) -> None:
        values, graph = states(6, 4, net.config.features), complete(4)
        changed = values.clone()
        changed[4:] += 1.0
        before, after = (net.fold().relation_logits(one, graph) for one in (values, changed))
        assert torch.equal(before.prior[:4], after.prior[:4])
        assert not torch.allclose(before.posterior[:4], after.posterior[:4])


class TestSizes:
    @pytest.mark.parametrize("nodes", [1, 2, 3])
    def test_a_step_works_down_to_one_node(self, net: Dnri, nodes: int) -> None:
        forecast, logits = roll_out(
            net, states(1, nodes, net.config.features)[0], complete(nodes), 3
        )
        assert forecast.isfinite().all()
        assert logits.shape == (3, nodes * (nodes - 1), net.config.edge_types)

    def test_published_sizes_have_the_published_number_of_weights(self) -> None:
        # Encoder and prior, facts on the authors' code: D=4 K=2, D=6 K=2, D=6 K=4, D=4 K=4.
        for features, types, wanted in (
            (4, 2, 883_716),
            (6, 2, 884_228),
            (6, 4, 884_744),
            (4, 4, 884_232),
        ):
            net = Dnri(DnriConfig(features=features, edge_types=types))
            weights = {name: p.numel() for name, p in net.named_parameters()}
            assert sum(n for name, n in weights.items() if not name.startswith("decoder")) == wanted


class TestRegistry:
    def test_an_unknown_family_is_named(self) -> None:
        with pytest.raises(ValueError, match="family 'gnn' is unknown"):
            build("gnn", {})

    def test_no_type_that_sends_is_refused(self) -> None:
        with pytest.raises(ValueError, match="expected one that sends"):
            network(edge_types=1)
