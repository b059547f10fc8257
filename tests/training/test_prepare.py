import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from training import forecast_metrics
from training.__main__ import main
from training.prepare import cmu_mocap, recordings_folder
from trajectories.amc import METRES_PER_UNIT
from trajectories.dataset import Dataset
from trajectories.errors import TrajectoryError


@pytest.fixture(scope="module")
def walk(recordings: Callable[[str], Path]) -> Dataset:
    return cmu_mocap(recordings("cmu-mocap-35"), 35)


def test_walking_gives_the_papers_windows(walk: Dataset):
    shapes = {key: (len(split), *split.sequences[0].shape) for key, split in walk.splits.items()}
    assert shapes["train"] == (92, 50, 31, 6)
    assert shapes["valid"] == (33, 50, 31, 6)
    assert shapes["test"] == (27, 100, 31, 6)
    assert len(walk.split("train_trials")) == 12
    assert len(walk.split("valid_trials")) == 4
    assert walk.split("test").names[0] == "35_28@0"
    assert walk.entities[0] == "root"


def test_walking_velocities_are_frame_differences(walk: Dataset):
    trial = walk.split("train_trials").sequences[0].astype(np.float64)
    moved = trial[1:, :, :3] - trial[:-1, :, :3]
    np.testing.assert_allclose(trial[1:, :, 3:], moved, atol=2e-5)


def test_a_glitch_sets_the_published_velocity_range(walk: Dataset):
    fitted = walk.normaliser("published")
    low, high = fitted.offset - fitted.scale, fitted.offset + fitted.scale
    assert (low[3], high[3]) == (pytest.approx(-1.69, abs=0.005), pytest.approx(2.18, abs=0.005))
    assert walk.normaliser("robust").scale[3] < 0.5 * fitted.scale[3]


@pytest.mark.parametrize(
    ("baseline", "expected", "centimetres"),
    [
        ("last_value", (6.5e-4, 2.1e-3, 6.4e-3), None),
        ("constant_velocity", (3.3e-4, 9.7e-4, 3.1e-3), (2.0, 5.6, 16.7)),
    ],
)
def test_walking_baselines_are_the_reference_figures(
    walk: Dataset,
    baseline: str,
    expected: tuple[float, ...],
    centimetres: tuple[float, ...] | None,
):
    windows = walk.split("test").values().astype(np.float64)
    last, true = windows[:, 49], windows[:, 50:]
    if baseline == "last_value":
        guess = forecast_metrics.last_value(last, 50)
    else:
        guess = forecast_metrics.constant_velocity(last, 50, walk.features)
    published = walk.normaliser("published")
    errors = forecast_metrics.mse_by_step(published.apply(guess), published.apply(true))
    assert errors[[9, 19, 39]] == pytest.approx(expected, rel=0.012)
    if centimetres:
        apart = forecast_metrics.position_error_by_step(guess, true, walk.features)
        assert apart[[9, 19, 39]] * METRES_PER_UNIT * 100 == pytest.approx(centimetres, abs=0.05)


def test_without_the_variable_the_way_to_the_data_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RELATA_DATA", raising=False)
    with pytest.raises(TrajectoryError, match=r"RELATA_DATA=DIR python -m training fetch cmu-moc"):
        recordings_folder("cmu-mocap-35")


def test_a_folder_without_the_recordings_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("RELATA_DATA", str(tmp_path))
    with pytest.raises(TrajectoryError, match=f"no folder {tmp_path}/cmu-mocap-35"):
        recordings_folder("cmu-mocap-35")


def test_a_missing_trial_is_named_because_splits_go_by_position(tmp_path: Path):
    for trial in (*range(1, 17), *range(28, 34), 40):
        (tmp_path / f"35_{trial:02d}.amc").touch()
    with pytest.raises(TrajectoryError, match=r"35_34\.amc.*35_40\.amc"):
        cmu_mocap(tmp_path, 35)


def test_a_truncated_trial_is_named_with_its_line(
    recordings: Callable[[str], Path], tmp_path: Path
):
    folder = tmp_path / "cmu-mocap-35"
    shutil.copytree(recordings("cmu-mocap-35"), folder)
    folder.chmod(0o755)
    cut = folder / "35_07.amc"
    lines = cut.read_bytes().splitlines(keepends=True)
    cut.chmod(0o644)
    cut.write_bytes(b"".join(lines[:500]))
    with pytest.raises(TrajectoryError, match=r"at 35_07\.amc:500"):
        cmu_mocap(folder, 35)


def test_unknown_sources_and_subjects_are_refused(tmp_path: Path, capsys):
    assert main(["prepare", "bvh", "--out", str(tmp_path / "x")]) != 0
    assert "cmu-mocap" in capsys.readouterr().err
    assert main(["prepare", "cmu-mocap", "--subject", "7", "--out", str(tmp_path / "x")]) != 0
    assert "35" in capsys.readouterr().err
