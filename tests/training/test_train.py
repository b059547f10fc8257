"""`python -m training train` in processes of its own, killed and stopped like a person would."""

import contextlib
import io
import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from training.__main__ import main
from training.config import load_config
from training.errors import ConfigError
from training.runs import RunFolder
from training.train import run_plan

ROOT = Path(__file__).parents[2]
SMALL = (
    "model.hidden=4",
    "model.lstm_hidden=2",
    "model.head_hidden=3",
    "batch=50",
    "epochs=3",
    "checkpoint_every=1",
)
TOTAL = 6  # steps: 3 epochs of 2

# Runs the command line, but takes a step of fate first: sends itself a signal before step N.
DOOMED = (
    """
import os, sys
from training import loop
from training.__main__ main
""".replace("__main__ main", "__main__ import main")
    + """
number, fatal, step = int(sys.argv[1]), int(sys.argv[2]), loop.Trainer._step

def doomed(self, *place):
    if self.done_steps == fatal:
        os.kill(os.getpid(), number)
    return step(self, *place)

loop.Trainer._step = doomed
sys.exit(main(sys.argv[3:]))
"""
)


def train(run: Path, *extra: str, doom: tuple[int, int] | None = None) -> Any:
    changes = [word for change in SMALL for word in ("--set", change)]
    words = ["train", "push3-published", "--run", str(run), *changes, *extra]
    start = ["-m", "training"] if doom is None else ["-c", DOOMED, *map(str, doom)]
    environment = {**os.environ, "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *start, *words],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def result(run: Path) -> dict[str, Any]:
    return json.loads((run / "result.json").read_text())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("undisturbed") / "run"
    done = train(run)
    assert done.returncode == 0, done.stderr
    return run


@pytest.mark.slow
class TestAProcess:
    def test_leaves_a_complete_run_folder(self, undisturbed: Path) -> None:
        names = {path.name for path in undisturbed.iterdir()}
        assert names >= {
            "config.yaml",
            "metrics.jsonl",
            "progress.json",
            "curves.png",
            "curves.csv",
            "checkpoints",
            "result.json",
        }
        progress = json.loads((undisturbed / "progress.json").read_text())
        assert progress == {"phase": "finished", "done": TOTAL, "total": TOTAL, "eta_s": 0.0}

    def test_killed_at_a_random_step_and_resumed_ends_with_the_same_weights(
        self, undisturbed: Path, tmp_path: Path
    ) -> None:
        fatal = random.randrange(TOTAL)
        killed = train(tmp_path, doom=(signal.SIGKILL, fatal))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        assert not (tmp_path / "result.json").exists()
        resumed = train(tmp_path, "--resume")
        assert resumed.returncode == 0, resumed.stderr
        expected = result(undisturbed)
        for key in ("weights_sha256", "best_epoch", "best_loss"):
            assert result(tmp_path)[key] == expected[key], f"killed at step {fatal}"
        for name in ("best.safetensors", "last.safetensors"):
            found, wanted = (run / "checkpoints" / name for run in (tmp_path, undisturbed))
            assert found.read_bytes() == wanted.read_bytes(), f"{name}, killed at step {fatal}"

    @pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
    def test_stopped_finishes_its_step_saves_and_says_how_to_go_on(
        self, tmp_path: Path, number: int, status: int
    ) -> None:
        stopped = train(tmp_path, doom=(number, 3))
        assert stopped.returncode == status, stopped.stderr
        assert stopped.stderr == ""
        assert "Go on with: python -m training train push3-published" in stopped.stdout
        assert json.loads((tmp_path / "progress.json").read_text())["phase"] == "interrupted"
        standing = json.loads((tmp_path / "checkpoints" / "last.json").read_text())
        assert (standing["epoch"], standing["step"]) == (1, 2)


class TestWhatCannotStart:
    def fails(self, *words: str) -> str:
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            assert main(["train", "push3", *words]) == 1
        (line,) = errors.getvalue().splitlines()
        assert line.startswith("error: ")
        return line

    def test_says_so_of_a_folder_that_holds_a_run(self, tmp_path: Path) -> None:
        RunFolder(tmp_path).begin(load_config("push3"))
        assert "already holds a run" in self.fails("--run", str(tmp_path))

    def test_says_so_of_a_run_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert "file" in self.fails("--run", str(tmp_path / "file" / "run"))

    def test_says_so_of_an_unknown_key(self, tmp_path: Path) -> None:
        said = self.fails("--run", str(tmp_path), "--set", "bach=3")
        assert "unknown key 'bach'; did you mean 'batch'?" in said

    def test_says_so_of_too_little_data_and_leaves_no_folder(self, tmp_path: Path) -> None:
        said = self.fails("--run", str(tmp_path / "run"), "--set", "batch=101")
        assert "the training split gives 100 windows" in said
        assert not (tmp_path / "run" / "config.yaml").exists()


class TestSeveralSeeds:
    def test_go_into_folders_of_their_own(self, tmp_path: Path) -> None:
        plan = run_plan(load_config("push3"), tmp_path, "3,1")
        assert [(folder.name, config.seed) for folder, config in plan] == [
            ("seed-3", 3),
            ("seed-1", 1),
        ]

    def test_default_to_the_experiments_own(self, tmp_path: Path) -> None:
        (plan,) = run_plan(load_config("push3"), tmp_path, None)
        assert plan == (tmp_path, load_config("push3"))

    @pytest.mark.parametrize("seeds", ["", "1,,2", "a", "1,1", "-1"])
    def test_must_be_different_whole_numbers(self, tmp_path: Path, seeds: str) -> None:
        with pytest.raises(ConfigError, match="--seeds"):
            run_plan(load_config("push3"), tmp_path, seeds)
