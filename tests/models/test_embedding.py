import torch
from torch import Tensor

from models.coordinates import CoordinateConfig, describe
from models.embedding import edge_embedding, fold_blocks
from models.graph import Graph
from tests.models.small import complete, network, states

NET = network()
BLOCKS = (NET.mlp1, NET.mlp2, NET.mlp3, NET.mlp4)


def embed(values: Tensor, graph: Graph) -> Tensor:
    return edge_embedding(BLOCKS, describe(values, graph, CoordinateConfig()), graph)


class TestEmbedding:
    def test_of_a_frame_depends_on_that_frame_alone(self) -> None:
        values, graph = states(4, 3), complete(3)
        whole = embed(values, graph)
        for time in range(4):
            torch.testing.assert_close(embed(values[time], graph), whole[time])

    def test_of_an_edge_depends_on_the_whole_graph_but_no_other(self) -> None:
        values, graph = states(1, 6)[0], complete(3, copies=2)
        changed = values.clone()
        changed[2] += 1.0
        moved = (embed(changed, graph) != embed(values, graph)).any(-1)
        assert moved.tolist() == [True] * 6 + [False] * 6

    def test_tells_the_two_directions_of_a_pair_apart(self) -> None:
        one, other = embed(states(1, 2)[0], complete(2))
        assert not torch.allclose(one, other)


class TestFolding:
    def test_leaves_one_map_for_the_consumers(self) -> None:
        values, graph = states(4, 3), complete(3)
        blocks, (scale, shift) = fold_blocks(BLOCKS)
        view = describe(values, graph, CoordinateConfig())
        found = edge_embedding(blocks, view, graph) * scale + shift
        torch.testing.assert_close(found, embed(values, graph), rtol=1e-9, atol=1e-9)
