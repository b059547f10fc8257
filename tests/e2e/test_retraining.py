"""A retraining over HTTP with the real training: killed, taken up, served without a restart."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.demo import recordings
from tests.e2e.conftest import Up, is_over, until

pytestmark = pytest.mark.e2e

EPOCHS = 2


def undisturbed_weights(folder: Path) -> str:
    """Train as a person would and give the sha256 of the weights."""
    command = [sys.executable, "-m", "training", "train", "push3", "--run", str(folder)]
    subprocess.run([*command, f"--set=epochs={EPOCHS}"], check=True, capture_output=True)
    return str(json.loads((folder / "result.json").read_text())["weights_sha256"])


def test_a_killed_training_ends_as_an_undisturbed_one_and_is_served_at_once(
    up: Up, tmp_path: Path
) -> None:
    expected = undisturbed_weights(tmp_path / "run")
    before = up.http.get("/v1/models/dnri-push3").json()
    request = {"experiment": "push3", "name": "dnri-push3", "epochs": EPOCHS}
    job = up.submit("retrain", request)
    up.follow(
        job, lambda s: s["progress"]["phase"] == "training" and s["progress"]["done"] > 2, 120
    )
    child = up.part("training train")
    os.kill(child.pid, signal.SIGKILL)
    job = up.follow(job, is_over, 900)
    assert job["state"] == "succeeded", job
    result = up.http.get(job["links"]["result"]).json()
    assert result["training"]["weights_sha256"] == expected
    version = result["model"]["version"]
    assert str(version) not in str(before.get("versions", ""))
    exhibit = recordings.push()
    body = {"model": "dnri-push3", "trajectory": exhibit.trajectory}

    def serves_it() -> bool:
        answer = up.http.post("/infer-relations", json=body).json()
        return answer["model"]["version"] == version

    until(serves_it, 60, lambda: up.output)
