import numpy as np
import torch

from training.randomness import Purpose, generator, seed_for, seed_torch, uniforms


def test_every_place_in_a_run_has_its_own_seed() -> None:
    seeds = {
        seed_for(seed, purpose, epoch, step)
        for seed in (0, 1, 2)
        for purpose in Purpose
        for epoch in range(8)
        for step in range(8)
    }
    assert len(seeds) == 3 * len(Purpose) * 64


def test_a_draw_does_not_depend_on_earlier_draws() -> None:
    uniforms((3,), 1, Purpose.NOISE, 0, 0)
    late = uniforms((3,), 1, Purpose.NOISE, 4, 2)
    assert torch.equal(late, uniforms((3,), 1, Purpose.NOISE, 4, 2))


def test_uniforms_fill_the_unit_interval() -> None:
    drawn = uniforms((100, 100), 3, Purpose.NOISE, 0)
    assert drawn.dtype == torch.float32
    assert 0 <= drawn.min() < 0.01
    assert 0.99 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 0.01


def test_a_generator_starts_anew_each_time() -> None:
    first, second = (generator(1, Purpose.ORDER, 3).permutation(20) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_seeding_torch_fixes_what_dropout_draws() -> None:
    seed_torch(1, Purpose.DROPOUT, 0, 0)
    first = torch.rand(4)
    torch.rand(9)
    seed_torch(1, Purpose.DROPOUT, 0, 0)
    assert torch.equal(first, torch.rand(4))
