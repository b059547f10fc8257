import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.blocks import Head, MlpBlock, SplitLinear, elu, pair_linear
from models.graph import Graph, at_receivers, at_senders
from tests.models.small import complete, without_shortcut

WIDTH, EXTRA, OUT = 3, 2, 5


def rows(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


class TestElu:
    def test_equals_the_operator_and_stays_finite_far_out(self) -> None:
        values = torch.tensor([-1e30, -700.0, -1.0, -1e-9, 0.0, 1e-9, 3.0, 1e30])
        torch.testing.assert_close(elu(values), functional.elu(values))
        assert elu(values).isfinite().all()


class TestPairLinear:
    @pytest.mark.parametrize("graph", [complete(4, 2), without_shortcut(complete(4, 2))])
    @pytest.mark.parametrize("split", [False, True])
    @pytest.mark.parametrize("extra", [0, EXTRA])
    def test_equals_the_layer_on_sender_receiver_and_extra(
        self, graph: Graph, split: bool, extra: int
    ) -> None:
        layer = nn.Linear(2 * WIDTH + extra, OUT).double()
        nodes = rows(6, 8, WIDTH)
        own = rows(6, graph.num_edges, extra, seed=1) if extra else None
        parts = [at_senders(nodes, graph), at_receivers(nodes, graph)]
        wanted = layer(torch.cat(parts + ([] if own is None else [own]), -1))
        found = pair_linear(SplitLinear(layer, WIDTH) if split else layer, nodes, graph, own)
        torch.testing.assert_close(found, wanted)

    def test_stores_no_part_that_is_not_there(self) -> None:
        stored = SplitLinear(nn.Linear(2 * WIDTH, OUT), WIDTH).state_dict()
        assert set(stored) == {"sender", "receiver", "bias"}


class TestMlpBlock:
    def test_normalises_over_all_leading_axes_in_training(self) -> None:
        found = MlpBlock(WIDTH, OUT).double().nodes(rows(7, 9, WIDTH))
        flat = found.flatten(0, 1)
        torch.testing.assert_close(flat.mean(0), torch.zeros(OUT).double(), atol=1e-9, rtol=0)
        assert (flat.var(0, unbiased=False) <= 1).all()

    def test_drops_nothing_in_evaluation(self) -> None:
        block = MlpBlock(WIDTH, OUT, dropout=0.5).double()
        values = rows(20, WIDTH)
        assert not torch.equal(block.nodes(values), block.nodes(values))
        block.eval()
        assert torch.equal(block.nodes(values), block.nodes(values))

    def test_leaves_its_input_alone(self) -> None:
        block, values = MlpBlock(WIDTH, OUT).double().eval(), rows(4, WIDTH)
        block.nodes(values)
        assert torch.equal(values, rows(4, WIDTH))

    def test_has_the_same_gradients_with_and_without_reuse_of_memory(self) -> None:
        block, gradients = MlpBlock(WIDTH, OUT).double(), []
        block.bn.eval()
        for training in (True, False):
            block.training = training
            block.zero_grad()
            block.nodes(rows(6, WIDTH)).square().sum().backward()
            gradients.append([weight.grad for weight in block.parameters()])
        torch.testing.assert_close(*gradients)


class TestHead:
    @pytest.mark.parametrize("activation", ["elu", "relu"])
    def test_folds_to_the_same_logits(self, activation: str) -> None:
        head = Head(WIDTH, OUT, 2, activation).double()
        torch.testing.assert_close(head.fold()(rows(4, 3, WIDTH)), head(rows(4, 3, WIDTH)))

    def test_folds_to_a_copy(self) -> None:
        head = Head(WIDTH, OUT, 2).double()
        before = head(rows(4, WIDTH))
        for weight in head.fold().parameters():
            weight.data.zero_()
        assert torch.equal(head(rows(4, WIDTH)), before)

    def test_takes_no_rows(self) -> None:
        assert Head(WIDTH, OUT, 2)(torch.zeros((3, 0, WIDTH))).shape == (3, 0, 2)
