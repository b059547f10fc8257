import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from training.config import ObjectiveConfig
from training.objective import (
    Terms,
    fixed_prior,
    harden,
    kl_average_per_sample,
    kl_learned_per_sample,
    nll_per_sample,
    total,
)

GOLDEN = Path(os.environ.get("RELATA_GOLDEN", Path(__file__).parents[1] / "golden"))
CASES = sorted(path.stem for path in GOLDEN.glob("dnri_*dec_*.npz"))


class Case:
    """A recorded case, laid out as training lays it out: time first, samples side by side."""

    def __init__(self, name: str) -> None:
        self.arrays = np.load(GOLDEN / f"{name}.npz")
        self.samples = self.arrays["in/x"].shape[0]

    def flat(self, name: str) -> Tensor:
        """Turn [B, T, R, C] into [T, B*R, C]."""
        return torch.from_numpy(self.arrays[name]).transpose(0, 1).flatten(1, 2)

    def number(self, name: str) -> float:
        return float(self.arrays[name])

    def expect(self, found: Tensor, name: str) -> None:
        np.testing.assert_allclose(found.numpy(), self.arrays[name], rtol=1e-9, atol=1e-9)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return Case(request.param)


def test_the_recorded_cases_are_there() -> None:
    assert len(CASES) >= 2


class TestAgainstTheReference:
    def test_nll_agrees(self, case: Case) -> None:
        predicted, target = case.flat("in/pred_for_nll"), case.flat("in/x")[1:]
        found = nll_per_sample(predicted, target, case.number("in/variance"), case.samples)
        case.expect(found, "out/nll_per_sample")

    def test_kl_to_the_learned_prior_agrees(self, case: Case) -> None:
        posterior, prior = case.flat("out/posterior_logits"), case.flat("out/prior_logits")
        found = kl_learned_per_sample(posterior, prior, case.samples)
        case.expect(found, "out/kl_learned_per_sample")

    def test_kl_of_the_mean_usage_agrees(self, case: Case) -> None:
        posterior = case.flat("out/posterior_logits")
        found = kl_average_per_sample(posterior, case.number("in/no_edge_prior"), case.samples)
        case.expect(found, "out/kl_avg_per_sample")


class TestTerms:
    def test_kl_is_zero_when_posterior_and_prior_agree(self) -> None:
        logits = torch.randn(5, 12, 3, dtype=torch.float64)
        shifted = logits + 7.0  # logits mean the same after a shift
        torch.testing.assert_close(
            kl_learned_per_sample(logits, shifted, 2), torch.zeros(2, dtype=torch.float64)
        )

    def test_samples_do_not_mix(self) -> None:
        predicted, target = torch.zeros(4, 6, 2), torch.zeros(4, 6, 2)
        target[:, 3:] = 1.0
        first, second = nll_per_sample(predicted, target, 0.5, samples=2)
        assert second - first == pytest.approx(2.0)

    def test_the_fixed_prior_shares_what_type_0_leaves(self) -> None:
        assert fixed_prior(0.7, 4).tolist() == pytest.approx([0.7, 0.1, 0.1, 0.1])

    def test_hardening_keeps_the_largest_weight_only(self) -> None:
        weights = torch.tensor([[0.2, 0.7, 0.1], [0.5, 0.1, 0.4]])
        assert harden(weights).tolist() == [[0, 1, 0], [1, 0, 0]]


class TestTotal:
    terms = Terms(torch.tensor(10.0), torch.tensor(2.0), torch.tensor(4.0))

    def test_is_the_error_plus_the_divergence(self) -> None:
        assert total(self.terms, ObjectiveConfig()) == 12.0

    def test_halves_both_divergences_with_a_fixed_prior(self) -> None:
        config = ObjectiveConfig(add_uniform_prior=True, no_edge_prior=0.9)
        assert total(self.terms, config) == 13.0

    def test_weights_the_divergence(self) -> None:
        assert total(self.terms, ObjectiveConfig(kl=0.5)) == 11.0
