"""Stands in for ``python -m training``: same words, same files, no networks.

"Training" counts to ``epochs``, writes a checkpoint after each and the sum so far; the pace and the
accidents come from the environment.
"""

import json
import os
import signal
import sys
import time
from itertools import pairwise
from pathlib import Path

PACE_S = float(os.environ.get("FAKE_PACE_S", "0.05"))


def write(path: Path, value: object) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.parent.mkdir(parents=True, exist_ok=True)
    partial.write_text(json.dumps(value))
    partial.replace(path)


def accident(name: str, at: int) -> None:
    if os.environ.get(name) == str(at):
        sys.stdout.write("about to fail\n")
        sys.stdout.flush()
        if name == "FAKE_FAIL_AT":
            sys.stderr.write("error: found nan in the loss, expected a number\n")
            sys.exit(1)
        os.kill(os.getpid(), signal.SIGKILL)


def train(run: Path, epochs: int) -> None:
    checkpoint = run / "checkpoint.json"
    state = json.loads(checkpoint.read_text()) if checkpoint.exists() else {"epoch": 0, "sum": 0}
    with (run.parent / "starts").open("a") as starts:
        starts.write(f"{os.getpid()}\n")
    if os.environ.get("FAKE_DEAF"):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for epoch in range(state["epoch"], epochs):
        progress = {"phase": "training", "done": epoch, "total": epochs, "eta_s": None}
        write(run / "progress.json", progress)
        accident("FAKE_DIE_AT", epoch)
        accident("FAKE_FAIL_AT", epoch)
        time.sleep(PACE_S)
        write(checkpoint, {"epoch": epoch + 1, "sum": state["sum"] + epoch**2})
        state = json.loads(checkpoint.read_text())
        with (run / "metrics.jsonl").open("a") as metrics:
            metrics.write("{}\n")
    write(run / "result.json", {"reason": "finished", "weights_sha256": f"sum-{state['sum']}"})


def export(run: Path, to: Path, name: str, version: int) -> None:
    folder = to / name / str(version)
    result = json.loads((run / "result.json").read_text())
    write(folder.with_name("tmp") / "manifest.json", {"version": version, "made_from": result})
    folder.with_name("tmp").rename(folder)


def main(arguments: list[str]) -> None:
    options = {key: value for key, value in pairwise(arguments) if key.startswith("--")}
    changes = dict(a.removeprefix("--set=").split("=") for a in arguments if a[:6] == "--set=")
    if arguments[0] == "train":
        run = Path(options["--run"])
        run.mkdir(parents=True, exist_ok=True)
        train(run, int(changes["epochs"]))
    elif arguments[0] == "evaluate":
        write(Path(arguments[1]) / "evaluation.json", {"f1": 0.9})
    else:
        version = int(options["--version"])
        export(Path(arguments[1]), Path(options["--to"]), options["--name"], version)


if __name__ == "__main__":
    main(sys.argv[1:])
