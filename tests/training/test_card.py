"""The card says what was measured, in words that are true of this model."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from models.manifest import Manifest
from tests.training.shipped import BURN_IN, Shipped
from training.card import longer_run, write_card
from training.runs import load_run

pytestmark = pytest.mark.slow


def card(shipped: Shipped) -> str:
    return (shipped.artifact / "card.md").read_text("utf-8")


def written(
    shipped: Shipped, tmp_path: Path, manifest: Manifest | None = None, **report: Any
) -> str:
    path = tmp_path / "card.md"
    changed = shipped.report | report
    write_card(path, manifest or shipped.manifest, load_run(shipped.run), changed)
    return path.read_text("utf-8")


def rows(text: str, first: str) -> list[str]:
    """Give the cells of the table row that begins with `first`."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {first}")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_names_model_data_and_training(shipped: Shipped) -> None:
    text, facts = card(shipped), shipped.report["training"]
    assert text.startswith("# dnri-walks, version 1\n")
    assert f"{shipped.kind.model['decoder']} decoder" in text
    assert f"walks (made here; none needed), {len(shipped.kind.entities)} entities at 10" in text
    assert f"2 of 2 epochs in {facts['hours']} h" in text
    assert f"epoch {facts['best_epoch']}, the lowest validation" in text
    assert shipped.manifest.provenance.code_version in text


def test_forecast_errors_are_the_evaluations(shipped: Shipped) -> None:
    (forecast,) = shipped.report["forecasts"]
    steps = shipped.report["steps"]
    assert f"after {BURN_IN} given frames" in card(shipped)
    for first, row in (
        ("model, mean of 10 paths", "mean_of_paths"),
        ("model, mean error of single paths", "single_path"),
        ("constant velocity", "constant_velocity"),
        ("last value", "last_value"),
    ):
        stated = rows(card(shipped), first)
        assert stated == [f"{forecast['mse'][row][step - 1]:.2e}" for step in steps]


def test_scores_relations_where_the_truth_is_known(local_markov: Shipped) -> None:
    for estimator in ("posterior", "prior"):
        scores = local_markov.report["relations"]["test"][estimator]
        stated = rows(card(local_markov), estimator)
        aligned = scores["aligned"]
        assert [float(cell) for cell in stated] == pytest.approx(
            [
                *(aligned[name] for name in ("f1", "precision", "recall")),
                scores["published"]["f1"],
                scores["reliability"]["brier"],
            ],
            abs=6e-4,
        )


def test_counts_types_where_no_truth_is_known(global_recurrent: Shipped) -> None:
    text, report = card(global_recurrent), global_recurrent.report
    assert "F1" not in text
    (shares,) = rows(text, "prior")
    usage = report["relations"]["test"]["prior"]["usage"]["mean"]
    assert shares == ", ".join(f"{share:.3f}" for share in usage)


def test_only_a_silent_type_is_said_to_mean_none(
    local_markov: Shipped, global_recurrent: Shipped
) -> None:
    assert "0 = none, 1 = follows. Type 0 sends no message" in card(local_markov)
    assert "2 = type-2. Types have no meaning across trainings." in card(global_recurrent)


def test_bands_are_stated_with_the_coverage_that_was_measured(shipped: Shipped) -> None:
    report = shipped.report["bands"]
    assert f"90% band covers {round(report['coverage']['0.9'], 4):.1%}" in card(shipped)
    assert f"from {report['calibration_windows']} validation windows" in card(shipped)


def test_a_range_of_entities_is_stated_as_one(shipped: Shipped, tmp_path: Path) -> None:
    count = len(shipped.kind.entities)
    assert f"frames with {count} entities" in card(shipped)
    wider = dataclasses.replace(shipped.manifest.trained, max_entities=9)
    text = written(shipped, tmp_path, dataclasses.replace(shipped.manifest, trained=wider))
    assert f"frames with {count} to 9 entities" in text


def test_last_weights_are_not_called_the_best(shipped: Shipped, tmp_path: Path) -> None:
    text = written(shipped, tmp_path, checkpoint="last")
    assert "the weights are those of the last epoch, 2." in text
    assert "lowest validation" not in text


def test_a_run_stopped_early_says_what_the_whole_one_would_need() -> None:
    facts = {"epochs": 30, "planned_epochs": 240, "hours": 1.0}
    assert "about 8.0 h" in longer_run(facts)
    assert longer_run(facts | {"epochs": 240}) == ""
