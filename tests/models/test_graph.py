import pytest
import torch

from models.graph import at_receivers, at_senders, fully_connected, mean_at_receivers
from tests.models.small import complete, without_shortcut


class TestFullyConnected:
    def test_lists_edges_by_receiver_without_self_loops(self) -> None:
        graph = fully_connected(3)
        assert graph.receivers.tolist() == [0, 0, 1, 1, 2, 2]
        assert graph.senders.tolist() == [1, 2, 0, 2, 0, 1]

    def test_copies_do_not_touch_each_other(self) -> None:
        graph = fully_connected(3, copies=2)
        assert torch.equal(graph.senders // 3, graph.receivers // 3)
        assert graph.num_edges == 12

    def test_one_node_has_no_edges_and_no_neighbours(self) -> None:
        graph = fully_connected(1, copies=2)
        assert graph.num_edges == 0
        assert graph.inverse_in_degree.tolist() == [0.0, 0.0]

    @pytest.mark.parametrize(("nodes", "copies"), [(0, 1), (2, 0)])
    def test_refuses_empty_graphs(self, nodes: int, copies: int) -> None:
        with pytest.raises(ValueError, match="expected 1 or more"):
            fully_connected(nodes, copies)


class TestSums:
    def test_reshape_and_indexed_add_agree(self) -> None:
        graph = complete(4, copies=3)
        edges = torch.randn((2, graph.num_edges, 5), dtype=torch.float64)
        fast, slow = (mean_at_receivers(edges, one) for one in (graph, without_shortcut(graph)))
        torch.testing.assert_close(fast, slow)

    def test_mean_is_taken_over_the_senders_of_a_node(self) -> None:
        graph = complete(3)
        nodes = torch.tensor([[1.0], [10.0], [100.0]], dtype=torch.float64)
        found = mean_at_receivers(at_senders(nodes, graph), graph)
        assert found.flatten().tolist() == [55.0, 50.5, 5.5]

    def test_receivers_by_expansion_and_by_index_agree(self) -> None:
        graph = complete(4, copies=2)
        nodes = torch.randn((3, 8, 2), dtype=torch.float64)
        slow = at_receivers(nodes, without_shortcut(graph))
        assert torch.equal(at_receivers(nodes, graph), slow)
