import dataclasses
import io

import numpy as np
import pytest
from rich.console import Console
from rich.table import Table

from service.demo import recordings, tables
from tests.service.demo.exhibits import perfect_forecast, true_relations


def text(table: Table) -> str:
    console = Console(width=120, file=io.StringIO())
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def test_relations_stand_beside_the_truth() -> None:
    exhibit = recordings.push()
    shown = text(tables.relation_table(exhibit, true_relations(exhibit)))
    row = next(line for line in shown.splitlines() if "p1 → p3" in line)
    assert row.count("17-28") == 2
    assert "0.90" in row


def test_agreement_is_the_f1_score_of_what_was_inferred() -> None:
    exhibit = recordings.push()
    assert exhibit.truth is not None
    right = true_relations(exhibit)
    assert tables.agreement(right, exhibit.truth) == 1.0
    wrong = true_relations(exhibit, doubt=0.9)
    assert tables.agreement(wrong, exhibit.truth) == 0.0


def test_agreement_goes_by_frame_numbers_and_pair_names() -> None:
    exhibit = recordings.push()
    assert exhibit.truth is not None
    answer = true_relations(exhibit)
    order = [5, 3, 1, 0, 2, 4]
    for key in ("sources", "targets"):
        answer[key] = [answer[key][pair] for pair in order]
    answer["probabilities"] = [[row[pair] for pair in order] for row in answer["probabilities"]][2:]
    answer["frames"] = answer["frames"][2:]
    assert tables.agreement(answer, exhibit.truth) == 1.0


def test_without_a_truth_the_strongest_relations_come_first() -> None:
    exhibit = recordings.push()
    answer = true_relations(exhibit)
    blind = dataclasses.replace(exhibit, truth=None)
    lines = text(tables.relation_table(blind, answer)).splitlines()
    rows = [line for line in lines if "│" in line]
    assert "p2" in rows[0]
    assert "p3" in rows[0]


def test_absent_pairs_are_no_relations() -> None:
    answer = true_relations(recordings.push())
    answer["probabilities"][0][1] = None
    strengths = tables.strengths(answer)
    assert np.isnan(strengths[0, 1])
    assert np.isfinite(strengths[1:]).all()


def test_a_perfect_forecast_has_no_error_and_the_rivals_have_theirs() -> None:
    exhibit = recordings.push()
    by_step = tables.errors(exhibit, perfect_forecast(exhibit))
    assert list(by_step) == ["this model", "constant velocity", "last value"]
    assert by_step["this model"].max() == 0
    last = exhibit.values[exhibit.given - 1]
    expected = np.linalg.norm(exhibit.values[exhibit.given] - last, axis=-1).mean()
    assert by_step["last value"][0] == pytest.approx(expected)
    shown = text(tables.error_table(by_step, "norm"))
    assert "constant velocity" in shown
    assert f"{by_step['last value'][4]:.3g}" in shown


def test_a_forecast_that_stopped_early_is_compared_as_far_as_it_goes() -> None:
    exhibit = recordings.push()
    forecast = perfect_forecast(exhibit)
    forecast["mean"] = forecast["mean"][:7]
    forecast["baseline"] = {name: v[:7] for name, v in forecast["baseline"].items()}
    by_step = tables.errors(exhibit, forecast)
    assert {len(distances) for distances in by_step.values()} == {7}
    assert "20" not in text(tables.error_table(by_step, "norm")).splitlines()[3]
