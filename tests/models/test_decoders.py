import pytest
import torch
from torch import Tensor

from models.coordinates import View
from models.decoders import DecoderSizes, MarkovDecoder, RecurrentDecoder
from models.graph import Graph
from tests.models.small import complete, without_shortcut

OWN, HIDDEN, TYPES = 4, 6, 3
Either = MarkovDecoder | RecurrentDecoder


def decoder(
    kind: type[MarkovDecoder] | type[RecurrentDecoder], silent: int = 1, dropout: float = 0.0
) -> Either:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        sizes = DecoderSizes(
            own=OWN,
            pairs=0,
            hidden=HIDDEN,
            outputs=OWN,
            edge_types=TYPES,
            silent=silent,
            dropout=dropout,
        )
        made = kind(sizes)
    return made.double().eval()


@pytest.fixture(params=[MarkovDecoder, RecurrentDecoder])
def either(request: pytest.FixtureRequest) -> Either:
    return decoder(request.param)


def view(*shape: int, seed: int = 0) -> View:
    generator = torch.Generator().manual_seed(seed)
    return View(torch.randn(shape, generator=generator, dtype=torch.float64), None, None)


def memory_of(net: Either, nodes: int) -> Tensor:
    return view(nodes, net.memory_width, seed=1).own


def output(net: Either, frame: View, types: Tensor, graph: Graph) -> Tensor:
    memory = memory_of(net, frame.own.shape[0])
    return net.step(frame, memory, types, graph).output


def one_type(graph: Graph, index: int) -> Tensor:
    return torch.full((graph.num_edges,), index)


class TestSilence:
    def test_a_silent_type_is_like_no_edge(self, either: Either) -> None:
        frame, pair, alone = view(2, OWN), complete(2), complete(1, copies=2)
        silent = output(either, frame, one_type(pair, 0), pair)
        assert torch.equal(silent, output(either, frame, one_type(alone, 0), alone))
        assert not torch.equal(silent, output(either, frame, one_type(pair, 1), pair))

    @pytest.mark.parametrize("kind", [MarkovDecoder, RecurrentDecoder])
    def test_without_a_silent_type_every_type_sends(
        self, kind: type[MarkovDecoder] | type[RecurrentDecoder]
    ) -> None:
        net, frame, pair = decoder(kind, silent=0), view(2, OWN), complete(2)
        alone = complete(1, copies=2)
        nothing = output(net, frame, one_type(alone, 0), alone)
        answers = [output(net, frame, one_type(pair, index), pair) for index in range(TYPES)]
        assert all(not torch.allclose(answer, nothing) for answer in answers)
        assert not torch.allclose(answers[0], answers[1])


class TestMessages:
    def test_hard_and_one_hot_soft_ones_agree_where_a_type_is_unused(self, either: Either) -> None:
        graph, nodes = complete(4), view(4, either.networks[0].fc1.in_features // 2).own
        types = torch.tensor([1, 0, 1] * 4)
        weights = torch.nn.functional.one_hot(types, TYPES).double()
        torch.testing.assert_close(
            either.hard(nodes, without_shortcut(graph), None, types),
            either.soft(nodes, graph, None, weights),
        )

    def test_soft_ones_are_linear_in_the_weights(self, either: Either) -> None:
        graph, nodes = complete(3), view(3, either.networks[0].fc1.in_features // 2).own
        one, other = view(2, graph.num_edges, TYPES, seed=2).own
        torch.testing.assert_close(
            either.soft(nodes, graph, None, 0.3 * one + 0.7 * other),
            0.3 * either.soft(nodes, graph, None, one)
            + 0.7 * either.soft(nodes, graph, None, other),
        )

    def test_an_edge_reaches_only_its_receiver(self, either: Either) -> None:
        graph, frame = complete(4), view(4, OWN)
        types = one_type(graph, 0)
        before = output(either, frame, types, graph)
        types[0] = 2
        changed = (output(either, frame, types, graph) != before).any(-1)
        assert changed.tolist() == [node == graph.receivers[0] for node in range(4)]

    def test_of_equal_senders_add_up_in_the_markov_decoder_and_average_in_the_recurrent(
        self,
    ) -> None:
        # Node 0 hears from one sender, node 1 from three that are all alike.
        receivers, senders = torch.tensor([0, 1, 1, 1]), torch.tensor([2, 2, 3, 4])
        graph = Graph(senders, receivers, torch.tensor([1.0, 1 / 3, 0, 0, 0]).double())
        types = torch.ones(4, dtype=torch.int64)
        markov, recurrent = decoder(MarkovDecoder), decoder(RecurrentDecoder)
        same = torch.ones((5, OWN), dtype=torch.float64)
        once, thrice, *_ = markov.hard(same, graph, None, types)
        torch.testing.assert_close(thrice, 3 * once)
        memory = torch.ones((5, HIDDEN), dtype=torch.float64)
        step = recurrent.step(View(same, None, None), memory, types, graph)
        torch.testing.assert_close(step.memory[0], step.memory[1])
        assert not torch.allclose(step.memory[0], step.memory[2])


class TestMemory:
    def test_the_markov_decoder_has_none(self) -> None:
        net, graph = decoder(MarkovDecoder), complete(3)
        step = net.step(view(3, OWN), memory_of(net, 3), one_type(graph, 1), graph)
        assert step.memory.shape == (3, 0)

    def test_the_recurrent_decoder_hears_memories_not_states(self) -> None:
        net, graph = decoder(RecurrentDecoder), complete(2)
        types, frame = one_type(graph, 1), view(2, OWN)
        heard = frame.own.clone()
        heard[1] += 1.0
        memory = memory_of(net, 2)
        before, after = (
            net.step(View(own, None, None), memory, types, graph).output
            for own in (frame.own, heard)
        )
        assert torch.equal(before[0], after[0])
        assert not torch.equal(before[1], after[1])


class TestFolding:
    def test_changes_no_output_and_no_trained_layer(self, either: Either) -> None:
        graph, frame = complete(3), view(3, OWN)
        before = {name: weight.clone() for name, weight in either.state_dict().items()}
        folded = either.fold()
        torch.testing.assert_close(
            output(folded, frame, one_type(graph, 1), graph),
            output(either, frame, one_type(graph, 1), graph),
        )
        after = either.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[name], after[name]) for name in before)
        assert "messages.0.fc1.sender" in folded.state_dict()

    def test_drops_nothing_in_evaluation(self) -> None:
        net, graph, frame = decoder(MarkovDecoder, dropout=0.5), complete(3), view(3, OWN)
        types = one_type(graph, 1)
        assert torch.equal(output(net, frame, types, graph), output(net, frame, types, graph))
        net.train()
        assert not torch.equal(output(net, frame, types, graph), output(net, frame, types, graph))
