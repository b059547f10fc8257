import torch

from models.sampling import draw_types, gumbel_one_hot, gumbel_softmax


class TestDrawTypes:
    def test_follows_the_distribution(self) -> None:
        logits = torch.log(torch.tensor([[0.5, 0.3, 0.2]])).expand(10_000, 3)
        uniforms = (torch.arange(10_000) + 0.5) / 10_000
        shares = torch.bincount(draw_types(logits, uniforms), minlength=3) / 10_000
        torch.testing.assert_close(shares, torch.tensor([0.5, 0.3, 0.2]), atol=1e-3, rtol=0)

    def test_stays_in_range_at_the_ends(self) -> None:
        logits = torch.zeros((2, 4))
        assert draw_types(logits, torch.tensor([0.0, 1.0 - 2**-24])).tolist() == [0, 3]

    def test_draws_nothing_for_no_edges(self) -> None:
        assert draw_types(torch.zeros((0, 3)), torch.zeros(0)).shape == (0,)


class TestGumbel:
    def test_relaxed_samples_sum_to_one_and_sharpen_with_temperature(self) -> None:
        logits, uniforms = torch.randn((50, 3)), torch.rand((50, 3))
        warm, cold = (gumbel_softmax(logits, uniforms, tau) for tau in (5.0, 0.01))
        torch.testing.assert_close(warm.sum(-1), torch.ones(50))
        assert cold.max(-1).values.mean() > warm.max(-1).values.mean()

    def test_hard_samples_are_the_peak_of_relaxed_ones(self) -> None:
        logits, uniforms = torch.randn((50, 3)), torch.rand((50, 3))
        hard = gumbel_one_hot(logits, uniforms)
        assert torch.equal(hard.argmax(-1), gumbel_softmax(logits, uniforms, 0.5).argmax(-1))
        assert torch.equal(hard.sum(-1), torch.ones(50))
