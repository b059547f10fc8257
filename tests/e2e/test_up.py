"""`make up` and `make demo` as a person meets them."""

import json
import signal
import socket
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

from service.demo import recordings
from tests.e2e.conftest import Up, free_port, is_over, until

pytestmark = pytest.mark.e2e


def long_forecast() -> dict[str, Any]:
    exhibit = recordings.push()
    request = {"model": exhibit.model, "trajectory": exhibit.beginning, "seed": 4}
    return request | {"horizon": 200, "num_samples": 256}


def test_answers_once_says_where_it_serves_and_stops_cleanly(up: Up) -> None:
    assert "p1 → p3" in up.output
    assert "Forecast error" in up.output
    assert f"http://127.0.0.1:{up.port}/" in up.output
    assert up.http.get("/readyz").status_code == 200
    assert up.stop(signal.SIGINT) == 0


def test_a_worker_killed_in_mid_rollout_is_replaced_and_the_result_is_the_synchronous_one(
    up: Up,
) -> None:
    job = up.submit("forecast", long_forecast())
    up.follow(job, lambda seen: seen["progress"]["done"] > 0, 60)
    worker = up.part("--hostname worker@%h")
    for process in [*worker.children(recursive=True), worker]:
        process.kill()
    job = up.follow(job, is_over, 180)
    assert job["state"] == "succeeded"
    assert "starting it again" in up.output
    result = up.http.get(job["links"]["result"]).json()
    assert result == up.http.post("/forecast", json=long_forecast()).json()


def test_jobs_survive_a_stop_and_a_start_of_everything(up: Up) -> None:
    job = up.submit("forecast", long_forecast())
    up.follow(job, lambda seen: seen["progress"]["done"] > 0, 60)
    assert up.stop() == 0
    again = Up(up.home)
    again.wait_until_up()
    job = again.follow(job, is_over, 180)
    assert (job["state"], job["attempts"]) == ("succeeded", 1)
    assert again.stop() == 0


@pytest.mark.parametrize(("word", "name"), [("service api", "api"), ("valkey-server", "broker")])
def test_a_dead_api_or_broker_stops_the_stack_with_one_line_and_status_1(
    up: Up, word: str, name: str
) -> None:
    family = up.family()
    up.part(word).kill()
    assert up.end() == 1
    said = [line for line in up.lines if line.startswith("relata") and "stopping" in line]
    assert len(said) == 1
    assert f"{name} was killed by SIGKILL" in said[0]
    assert [one for one in family if one.is_running() and one.status() != "zombie"] == []


def test_a_busy_port_is_one_line_and_status_1(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        up = Up(tmp_path / "home", PORT=str(port))
        assert up.end() == 1
    assert len(up.lines) == 1
    assert f"port {port} on 127.0.0.1 is busy" in up.output
    assert "PORT=" in up.output


def test_a_home_in_use_is_one_line_and_status_1(up: Up) -> None:
    second = Up(up.home)
    assert second.end() == 1
    assert len(second.lines) == 1
    assert f"in use by another stack (process {up.process.pid})" in second.output


def test_a_broker_that_does_not_answer_is_one_line_and_status_1(tmp_path: Path) -> None:
    url = f"redis://:hidden@127.0.0.1:{free_port()}/0"
    up = Up(tmp_path / "home", REDIS_URL=url)
    assert up.end() == 1
    assert len(up.lines) == 1
    assert "no broker answers at 127.0.0.1" in up.output
    assert "hidden" not in up.output


def test_demo_walks_through_all_of_it_and_ends(tmp_path: Path) -> None:
    home = tmp_path / "home"
    up = Up(home, "--demo", RELATA_DATA="")
    until(lambda: up.is_over, 240, lambda: up.output)
    assert up.end() == 0, up.output
    for heading in ("1  Relations", "2  Forecast", "3  Picture", "4  A long rollout as a job"):
        assert heading in up.output
    assert "training fetch cmu-mocap-35" in up.output
    assert ET.parse(home / "demo.svg").getroot().tag.endswith("svg")
    rollout = json.loads((home / "demo-rollout.json").read_text())
    assert len(rollout["mean"]) == 200
