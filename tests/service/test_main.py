"""``python -m service``: the commands that end by themselves."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.small_artifacts import FOLDER

NAME = "small-markov"


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    """Two versions of a model that can be promoted."""
    for version in (1, 2):
        folder = tmp_path / "artifacts" / NAME / str(version)
        shutil.copytree(FOLDER / NAME / "1", folder)
        manifest = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest | {"version": version}))
    return tmp_path / "artifacts"


def run(tmp_path: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {key: value for key, value in os.environ.items() if key != "REDIS_URL"}
    return subprocess.run(
        [sys.executable, "-m", "service", *arguments],
        env=clean
        | {"RELATA_HOME": str(tmp_path), "RELATA_BUNDLED_ARTIFACTS": str(tmp_path / "none")}
        | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_promote_moves_an_alias_and_rollback_moves_it_back(tmp_path: Path, artifacts: Path) -> None:
    promoted = run(tmp_path, "promote", NAME, "2")
    assert (promoted.returncode, promoted.stdout) == (
        0,
        f"{NAME}@champion is version 2 now, was 1\n",
    )
    assert (artifacts / NAME / "aliases" / "champion").read_text().split() == ["2", "1"]
    back = run(tmp_path, "rollback", NAME)
    assert (back.returncode, back.stdout) == (0, f"{NAME}@champion is version 1 again\n")


@pytest.mark.usefixtures("artifacts")
def test_a_version_that_is_not_there_is_one_line_and_status_1(tmp_path: Path) -> None:
    refused = run(tmp_path, "promote", NAME, "9")
    assert refused.returncode == 1
    assert refused.stderr.startswith("relata: the model has no such version")
    assert len(refused.stderr.splitlines()) == 1


def test_a_worker_without_a_broker_is_one_line_and_status_1(tmp_path: Path) -> None:
    refused = run(tmp_path, "worker")
    assert refused.returncode == 1
    assert refused.stderr.startswith("relata: found no REDIS_URL")
    assert len(refused.stderr.splitlines()) == 1


def test_a_worker_of_an_unknown_queue_is_refused(tmp_path: Path) -> None:
    refused = run(tmp_path, "worker", "--queue", "fast")
    assert refused.returncode == 2
    assert "no queue 'fast'" in refused.stderr
