import pytest
import torch
from torch import Tensor

from models.graph import Graph, fully_connected
from tests.training.tiny import tiny_config, tiny_model, tiny_network, tiny_splits
from training.batches import pack
from training.errors import ConfigError
from training.objective import total
from training.teacher import Teacher, predict


class Doubling:
    """Predicts twice the present frame, plus the weight of type 1 on the first edge."""

    def relation_logits(self, states: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        raise AssertionError("prediction needs no relations inferred")

    def teacher_forced(self, states: Tensor, graph: Graph, weights: Tensor) -> Tensor:
        assert len(states) == len(weights)
        return 2 * states + weights[:, :1, 1:2]


def batch():
    train, _ = tiny_splits()
    return pack(train[:3])


class TestPredicting:
    frames = torch.arange(1.0, 8.0)[:, None, None].expand(7, 2, 1)
    weights = torch.zeros(7, 2, 2)
    graph = fully_connected(2)

    def predicted(self, steps: int, weights: Tensor | None = None) -> list[float]:
        acting = self.weights if weights is None else weights
        return predict(Doubling(), self.frames, self.graph, acting, steps)[:, 0, 0].tolist()

    def test_one_step_sees_every_true_frame(self) -> None:
        assert self.predicted(1) == [2, 4, 6, 8, 10, 12, 14]

    def test_three_steps_see_every_third(self) -> None:
        assert self.predicted(3) == [2, 4, 8, 8, 16, 32, 14]

    def test_more_steps_than_frames_see_the_first(self) -> None:
        assert self.predicted(20) == [2, 4, 8, 16, 32, 64, 128]

    def test_relations_act_at_their_own_step(self) -> None:
        weights = torch.zeros(7, 2, 2)
        weights[4, 0, 1] = 100.0
        assert self.predicted(3, weights) == [2, 4, 8, 8, 116, 232, 14]


class TestTerms:
    def test_training_draws_change_with_the_place(self) -> None:
        teacher = Teacher(tiny_network(tiny_config()).eval(), tiny_config())
        here, again, there = (
            teacher.teach(batch(), epoch, 0, 0).nll.tolist() for epoch in (0, 0, 1)
        )
        assert here == again
        assert here != there

    def test_the_fixed_prior_is_left_out_unless_asked_for(self) -> None:
        config = tiny_config(objective={})
        terms = Teacher(tiny_network(config).eval(), config).teach(batch(), 0, 0, 0)
        assert terms.kl_average.tolist() == [0, 0, 0]

    def test_all_weights_learn(self) -> None:
        config = tiny_config(model=tiny_model(decoder="recurrent", skip_first=False))
        network = tiny_network(config)
        terms = Teacher(network, config).teach(batch(), 0, 0, 0).mean()
        total(terms, config.objective).backward()
        still = [name for name, value in network.named_parameters() if value.grad is None]
        assert still == []

    def test_several_steps_need_a_decoder_without_memory(self) -> None:
        config = tiny_config(model=tiny_model(decoder="recurrent"), objective={"rollout_steps": 3})
        with pytest.raises(ConfigError, match=r"rollout_steps 3 .*decoder: markov"):
            Teacher(tiny_network(config), config)

    def test_several_steps_change_training_and_not_validation(self) -> None:
        single, several = tiny_config(), tiny_config(objective={"rollout_steps": 3})
        network = tiny_network(single).eval()
        one, many = Teacher(network, single), Teacher(network, several)
        assert one.teach(batch(), 0, 0, 0).nll[0] < many.teach(batch(), 0, 0, 0).nll[0]
        assert torch.equal(one.examine(batch(), 0, 0).nll, many.examine(batch(), 0, 0).nll)
