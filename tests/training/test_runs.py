import json
from pathlib import Path

import pytest

from tests.training.tiny import tiny_config, tiny_model, tiny_network
from training.checkpoints import save_best, weights_sha256
from training.errors import ConfigError, RunError
from training.runs import RunFolder, load_run


def begun(path: Path, **changes: object) -> RunFolder:
    folder = RunFolder(path)
    folder.begin(tiny_config(**changes))
    return folder


class TestBeginning:
    def test_writes_the_whole_experiment(self, tmp_path: Path) -> None:
        folder = begun(tmp_path / "deep" / "run", seed=5)
        assert folder.read_config() == tiny_config(seed=5)
        assert "learning_rate: 0.0005" in folder.config.read_text()

    def test_refuses_a_folder_that_holds_a_run(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        with pytest.raises(RunError, match=r"already holds a run.*--resume"):
            folder.begin(tiny_config())


class TestResuming:
    def test_refuses_another_experiment_and_names_what_differs(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        changed = tiny_config(batch=3, model=tiny_model(hidden=8))
        with pytest.raises(ConfigError, match="another model, batch"):
            folder.resume(changed)

    def test_allows_what_changes_no_epoch(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        longer = tiny_config(epochs=9, max_hours=2, checkpoint_every=5)
        folder.resume(longer)
        assert folder.read_config() == longer

    def test_says_that_there_is_no_checkpoint_yet(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        folder.append_metrics({"epoch": 1})
        assert folder.resume(tiny_config()) is False
        assert folder.read_metrics() == []

    def test_needs_a_run(self, tmp_path: Path) -> None:
        with pytest.raises(RunError, match="no run in"):
            RunFolder(tmp_path).resume(tiny_config())


class TestMetrics:
    def test_forgets_epochs_after_the_checkpoint(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        for epoch in (1, 2, 3):
            folder.append_metrics({"epoch": epoch})
        folder.forget_after(2)
        assert [line["epoch"] for line in folder.read_metrics()] == [1, 2]

    def test_skips_a_line_torn_by_a_kill(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        folder.append_metrics({"epoch": 1, "loss": 2.5})
        with folder.metrics.open("a") as file:
            file.write(json.dumps({"epoch": 2, "loss": 1.5})[:12])
        assert folder.read_metrics() == [{"epoch": 1, "loss": 2.5}]


class TestHolding:
    def test_keeps_a_second_trainer_out(self, tmp_path: Path) -> None:
        with (
            RunFolder(tmp_path).held(),
            pytest.raises(RunError, match="another process"),
            RunFolder(tmp_path).held(),
        ):
            pass

    def test_lets_go_at_the_end(self, tmp_path: Path) -> None:
        for _ in range(2):
            with RunFolder(tmp_path).held():
                pass


class TestReadingBack:
    def test_gives_the_network_that_was_saved(self, tmp_path: Path) -> None:
        folder = begun(tmp_path)
        network = tiny_network(tiny_config(seed=9))
        save_best(folder.checkpoints, network, epoch=1, nll=0.0)
        run = load_run(tmp_path)
        assert weights_sha256(run.network) == weights_sha256(network)
        assert not run.network.training
        assert run.config == tiny_config()
        assert run.material.dataset.name == "push3"
