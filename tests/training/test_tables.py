import json
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import main
from training.errors import ConfigError
from training.tables import find_evaluations, results, written_into


def evaluation(experiment: str, seed: int, f1: float) -> dict[str, Any]:
    trust = {"brier": 0.02, "ece": 0.01}
    scores = {"published": {"f1": f1}, "aligned": {"f1": f1 + 0.05}, "reliability": trust}
    references = {"all": 0.083, "static_oracle": 0.321, "perfect": 0.896}
    split = {
        "posterior": scores,
        "prior": scores,
        "references": {"published": references, "aligned": references},
    }
    errors = ("single_path", "mean_of_paths", "last_value", "constant_velocity")
    return {
        "experiment": experiment,
        "seed": seed,
        "training": {
            "epochs": 3, "planned_epochs": 3, "best_epoch": 2, "best_valid_loss": -1.5,
            "hours": 0.1,
        },
        "steps": [1, 3],
        "relations": {"valid": split, "test": split},
        "forecasts": [
            {
                "burn_in": 10,
                "windows": 4,
                "paths": 32,
                "mse": {name: [1e-4 * seed, 2e-4, 3e-4 * seed] for name in errors},
            }
        ],
    }  # fmt: skip


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed, f1 in ((1, 0.60), (2, 0.50), (4, 0.55)):
        folder = tmp_path / "runs" / "push3-published" / f"seed-{seed}"
        folder.mkdir(parents=True)
        text = json.dumps(evaluation("push3-published", seed, f1))
        (folder / "evaluation.json").write_text(text)
    return tmp_path / "runs"


def test_every_seed_is_listed_and_the_mean_has_its_standard_error(runs: Path):
    text = results("push3", find_evaluations(runs), runs)
    assert "| push3-published, seed 1 | 0.600 | 0.650 |" in text
    assert "| push3-published, seed 2 | 0.500 | 0.550 |" in text
    # deviation of 0.60, 0.50, 0.55 is 0.05; over the root of 3 that is 0.029
    assert "| **push3-published, 3 seeds** | 0.550 ± 0.029 |" in text
    assert "| push3-published, seed 4, mean of 32 paths | 4.00e-04 | 1.20e-03 |" in text
    assert "| best static graph | 0.321 |" in text


def test_a_missing_run_says_the_command_that_fills_it(runs: Path):
    text = results("push3", find_evaluations(runs), runs)
    command = (
        f"not run: `python -m training train push3-published --run {runs}/push3-published "
        f"--seeds 3 && python -m training evaluate {runs}/push3-published/seed-3`"
    )
    assert f"| push3-published, seed 3 | {command} |" in text
    assert "| push3, seed 1 | not run:" in text


def test_without_any_run_only_the_commands_are_left(tmp_path: Path):
    text = results("walk35", find_evaluations(tmp_path), Path("runs"))
    assert text.splitlines()[0].startswith("not run: `python -m training train walk35")


def test_two_runs_of_one_seed_are_not_chosen_between(runs: Path):
    again = runs / "again"
    again.mkdir()
    (again / "evaluation.json").write_text(json.dumps(evaluation("push3-published", 1, 0.9)))
    with pytest.raises(ConfigError, match="one run per experiment and seed"):
        find_evaluations(runs)


def test_only_the_marked_part_of_a_document_changes(runs: Path, tmp_path: Path):
    document = tmp_path / "results.md"
    document.write_text("before\n<!-- table push3 -->\nold\n<!-- end of table push3 -->\nafter\n")
    assert main(["table", "push3", "--runs", str(runs), "--into", str(document)]) == 0
    text = document.read_text()
    assert text.startswith("before\n<!-- table push3 -->\n")
    assert text.endswith("<!-- end of table push3 -->\nafter\n")
    assert "old" not in text
    assert "0.550 ± 0.029" in text
    assert written_into(document, "push3", "new").count("new") == 1


def test_a_document_without_the_marks_is_left_alone(runs: Path, tmp_path: Path, capsys):
    document = tmp_path / "results.md"
    document.write_text("no marks\n")
    assert main(["table", "push3", "--runs", str(runs), "--into", str(document)]) == 1
    assert document.read_text() == "no marks\n"
    assert "<!-- table push3 -->" in capsys.readouterr().err
