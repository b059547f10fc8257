import numpy as np
import pytest

from training import metrics
from training.simulators import push
from trajectories.dataset import Dataset


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return push.simulate(1)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("all", 0.083), ("ever_active_pairs", 0.230), ("static_oracle", 0.321), ("perfect", 0.896)],
)
def test_trivial_references_are_the_known_figures(dataset: Dataset, name: str, expected: float):
    references = metrics.trivial_references(dataset.split("valid").labels(), "published")
    assert references[name] == pytest.approx(expected, abs=5e-4)


def test_only_the_aligned_scoring_gives_a_perfect_model_its_due(dataset: Dataset):
    labels = dataset.split("test").labels()
    assert metrics.trivial_references(labels, "aligned")["perfect"] == pytest.approx(1, abs=1e-5)
    published = metrics.trivial_references(labels, "published")["perfect"]
    assert published == pytest.approx(0.898, abs=5e-4)


def test_published_scoring_drops_the_last_label_and_aligned_the_first():
    labels = np.arange(5).reshape(1, 5, 1) % 2
    assert metrics.true_relations(labels, "published").ravel().tolist() == [0, 1, 0, 1]
    assert metrics.true_relations(labels, "aligned").ravel().tolist() == [1, 0, 1, 0]


def test_scores_are_micro_averages_of_counts():
    true = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    asserted = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    score = metrics.edge_score(asserted, true)
    assert score.precision == pytest.approx(2 / 3)
    assert score.recall == pytest.approx(2 / 3)
    assert score.f1 == pytest.approx(2 / 3, abs=1e-6)
    assert score.accuracy == pytest.approx(6 / 8)
    assert (score.asserted, score.base_rate) == (pytest.approx(3 / 8), pytest.approx(3 / 8))


def test_asserting_nothing_scores_nothing_instead_of_dividing_by_zero():
    nothing = np.zeros(4, dtype=bool)
    assert metrics.edge_score(nothing, ~nothing).f1 == 0
    assert metrics.edge_score(nothing, nothing).f1 == 0


def test_shapes_that_do_not_match_are_refused():
    with pytest.raises(ValueError, match="expected"):
        metrics.edge_score(np.zeros((2, 3), dtype=bool), np.zeros((2, 4), dtype=bool))


def test_honest_probabilities_have_no_calibration_error():
    stated = np.repeat([0.05, 0.25, 0.75], 400)
    true = np.concatenate([np.arange(400) < 20, np.arange(400) < 100, np.arange(400) < 300])
    report = metrics.reliability(stated, true)
    assert report.ece == pytest.approx(0, abs=1e-12)
    assert report.brier == pytest.approx(np.mean((stated - true) ** 2))
    assert report.asserted_stated == pytest.approx(0.75)
    assert report.asserted_observed == pytest.approx(0.75)
    assert [one.count for one in report.bins] == [400, 0, 400, 0, 0, 0, 0, 400, 0, 0]
    assert report.bins[1].stated is None


def test_overconfidence_is_the_gap_between_stated_and_observed():
    report = metrics.reliability(np.full(100, 0.95), np.arange(100) < 60)
    assert report.ece == pytest.approx(0.35)
    assert report.asserted_observed == pytest.approx(0.60)


def test_a_stated_certainty_falls_into_the_last_bin():
    report = metrics.reliability(np.array([1.0, 0.0]), np.array([True, False]))
    assert (report.bins[0].count, report.bins[-1].count) == (1, 1)
    assert report.brier == 0


def test_usage_counts_means_and_winners():
    stated = np.array([[[0.7, 0.2, 0.1], [0.4, 0.5, 0.1]]])
    usage = metrics.edge_usage(stated)
    assert usage["mean"] == pytest.approx([0.55, 0.35, 0.1])
    assert usage["most_probable"] == [0.5, 0.5, 0.0]


def test_a_perfect_model_is_told_apart_by_the_two_scorings(dataset: Dataset):
    labels = dataset.split("test").labels()
    stated = np.stack([1.0 - labels[:, 1:], labels[:, 1:]], axis=-1)
    report = metrics.relation_report(stated, labels)
    assert report["aligned"]["f1"] == pytest.approx(1.0, abs=1e-5)
    assert report["published"]["f1"] == pytest.approx(0.898, abs=5e-4)
    assert report["reliability"]["brier"] == 0


def test_a_wrong_pair_in_use_is_seen_by_pair(dataset: Dataset):
    labels = dataset.split("test").labels()
    stated = np.zeros((*labels[:, 1:].shape, 2))
    stated[..., 0] = 1.0
    stated[:, :, 2] = [0.3, 0.7]
    pairs = metrics.relation_report(stated, labels)["by_pair"]
    assert pairs["stated"] == pytest.approx([0, 0, 0.7, 0, 0, 0])
    assert pairs["asserted"] == [0, 0, 1, 0, 0, 0]
    assert [index for index, rate in enumerate(pairs["true"]) if rate > 0] == [1, 3]
