from pathlib import Path

from training.__main__ import main
from training.simulators import push
from trajectories.dataset import Dataset


def test_simulate_stores_the_data_that_training_reads(tmp_path: Path, capsys):
    assert main(["simulate", "push", "--seed", "1", "--out", str(tmp_path / "push")]) == 0
    stored = Dataset.load(tmp_path / "push")
    assert stored.fingerprint == push.simulate(1).fingerprint
    assert stored.features == ("x", "y", "vx", "vy")
    assert stored.velocity == "backward-difference"
    assert [len(split) for split in stored.splits.values()] == [100, 100, 100]
    assert "push3" in capsys.readouterr().out


def test_an_unknown_system_is_refused_with_the_known_ones(tmp_path: Path, capsys):
    assert main(["simulate", "pull", "--out", str(tmp_path / "pull")]) != 0
    assert "push" in capsys.readouterr().err
    assert not (tmp_path / "pull").exists()
