import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from training import forecast_metrics
from training.__main__ import main
from training.checkpoints import Standing, save_best, save_last
from training.config import parse_config
from training.material import build_network, load_material
from training.runs import RunFolder
from trajectories.dataset import Dataset, Split

FEATURES = ("x", "y", "vx", "vy")
FRAMES, BURN_IN = 12, 5


def made(folder: Path, *, relations: bool) -> Dataset:
    """Store walks of three entities, whose labels are random."""
    stream = np.random.default_rng(2)

    def split(count: int) -> Split:
        steps = stream.normal(scale=0.2, size=(count, FRAMES, 3, 2)) + 0.1
        values = np.concatenate([steps.cumsum(axis=1), steps], axis=-1).astype(np.float32)
        labels = stream.integers(0, 2, size=(count, FRAMES, 6))
        names = tuple(map(str, range(count)))
        return Split(tuple(values), names, tuple(labels) if relations else None)

    splits = {"train": split(4), "valid": split(3), "test": split(5)}
    dataset = Dataset("walks", FEATURES, ("a", "b", "c"), 10.0, splits)
    dataset.save(folder)
    return dataset


def run_folder(folder: Path, dataset: Path, *, still: bool = False, **changes: Any) -> Path:
    """Make a run folder with random weights, or with a decoder that moves nothing."""
    sizes = {"hidden": 6, "lstm_hidden": 4, "head_hidden": 5, "edge_types": 2}
    settings: dict[str, Any] = {
        "name": "walks",
        "data": {"dataset": str(dataset)},
        "model": {"family": "dnri", "decoder": "markov", **sizes},
        "batch": 2,
        "epochs": 3,
    }
    config = parse_config({**settings, **changes}, "test")
    run = RunFolder(folder)
    run.begin(config)
    network = build_network(config, load_material(config))
    if still:
        with torch.no_grad():
            for parameter in network.get_submodule("decoder").parameters():
                parameter.zero_()
    optimiser = torch.optim.Adam(network.parameters())
    standing = Standing(epoch=3, best_loss=-1.5, best_epoch=2, seconds=36.0)
    save_last(run.checkpoints, network, optimiser, standing)
    save_best(run.checkpoints, network, 2, -1.5)
    return folder


def evaluated(run: Path, *options: str) -> dict[str, Any]:
    assert main(["evaluate", str(run), "--paths", "10", "--burn-in", str(BURN_IN), *options]) == 0
    return json.loads((run / "evaluation.json").read_text())


def test_a_run_is_scored_beside_its_baselines(tmp_path: Path, capsys):
    dataset = made(tmp_path / "data", relations=True)
    result = evaluated(run_folder(tmp_path / "run", tmp_path / "data"), "--burn-in", "8")
    assert result["training"] == {
        "epochs": 3, "planned_epochs": 3, "best_epoch": 2, "best_valid_loss": -1.5, "hours": 0.01,
    }  # fmt: skip
    assert result["dataset"]["fingerprint"] == dataset.fingerprint
    first, second = result["forecasts"]
    assert (first["burn_in"], second["burn_in"]) == (5, 8)
    windows = dataset.split("test").values().astype(np.float64)
    published = dataset.normaliser("published")
    guess = forecast_metrics.constant_velocity(windows[:, 4], 7, FEATURES)
    errors = forecast_metrics.mse_by_step(published.apply(guess), published.apply(windows[:, 5:]))
    assert first["mse"]["constant_velocity"] == pytest.approx(errors.tolist())
    assert [len(steps) for steps in first["mse"].values()] == [7] * 5
    assert [len(steps) for steps in second["coverage"].values()] == [4] * 2
    assert np.shape(result["bands"]["residual_variance"]) == (7, 4)
    assert result["bands"]["coverage"]["0.9"] == pytest.approx(np.mean(first["coverage"]["0.9"]))
    for split in ("valid", "test"):
        for estimator in ("posterior", "prior"):
            scores = result["relations"][split][estimator]
            assert {"published", "aligned", "reliability", "by_pair", "usage"} == set(scores)
    printed = capsys.readouterr().out
    assert "constant velocity" in printed
    assert "F1 aligned" in printed


@pytest.mark.parametrize("normaliser", ["published", "isotropic", "robust"])
def test_errors_are_in_published_units_whatever_the_model_uses(tmp_path: Path, normaliser: str):
    made(tmp_path / "data", relations=False)
    run = run_folder(tmp_path / "run", tmp_path / "data", still=True, normaliser=normaliser)
    result = evaluated(run)
    mse = result["forecasts"][0]["mse"]
    assert mse["mean_of_paths"] == pytest.approx(mse["last_value"], rel=1e-4)
    assert mse["single_path"] == pytest.approx(mse["last_value"], rel=1e-4)
    assert mse["single_path_sd"] == pytest.approx([0.0] * 7, abs=1e-9)


def test_residual_variances_come_from_validation_in_data_units(tmp_path: Path):
    dataset = made(tmp_path / "data", relations=False)
    result = evaluated(run_folder(tmp_path / "run", tmp_path / "data", still=True))
    windows = dataset.split("valid").values().astype(np.float64)
    wrong = (windows[:, BURN_IN - 1][:, None] - windows[:, BURN_IN:]) ** 2
    np.testing.assert_allclose(
        result["bands"]["residual_variance"], wrong.mean(axis=(0, 2)), rtol=1e-4
    )


def test_data_without_labels_get_forecasts_and_usage_but_no_f1(tmp_path: Path, capsys):
    made(tmp_path / "data", relations=False)
    result = evaluated(run_folder(tmp_path / "run", tmp_path / "data"))
    assert set(result["relations"]["test"]["prior"]) == {"usage"}
    assert "references" not in result["relations"]["test"]
    assert "F1" not in capsys.readouterr().out


def test_evaluating_twice_gives_the_same_numbers(tmp_path: Path):
    made(tmp_path / "data", relations=True)
    run = run_folder(tmp_path / "run", tmp_path / "data")
    one, two = evaluated(run), evaluated(run)
    one.pop("seconds"), two.pop("seconds")
    assert one == two


def test_progress_ends_at_its_total(tmp_path: Path):
    made(tmp_path / "data", relations=False)
    run = run_folder(tmp_path / "run", tmp_path / "data")
    evaluated(run)
    progress = json.loads((run / "progress.json").read_text())
    assert progress["phase"] == "evaluating"
    assert progress["done"] == progress["total"] == (5 + 3) * (FRAMES - BURN_IN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--paths", "9"], "at least 10"),
        (["--burn-in", "12"], "1 to 11 frames"),
        (["--burn-in", "0"], "1 to 11 frames"),
        (["--checkpoint", "middle"], "best or last"),
    ],
)
def test_impossible_options_are_one_clear_line(
    tmp_path: Path, capsys, options: list[str], message: str
):
    made(tmp_path / "data", relations=False)
    run = run_folder(tmp_path / "run", tmp_path / "data")
    assert main(["evaluate", str(run), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (run / "evaluation.json").exists()


def test_a_folder_without_a_run_is_refused(tmp_path: Path, capsys):
    assert main(["evaluate", str(tmp_path)]) == 1
    assert "no run in" in capsys.readouterr().err
