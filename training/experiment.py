"""One experiment from start to end: process, data, network, loop, signals, and what it reports."""

import json
import os
import signal
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from rich.console import Console

from training.allocator import keep_freed_memory
from training.checkpoints import write_atomically
from training.config import TrainConfig
from training.curves import Curves
from training.errors import TrainingError
from training.loop import INTERRUPTED, Outcome, Trainer
from training.material import build_network, load_material
from training.progress import Display, Pace, ProgressFile
from training.runs import RunFolder

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ENDINGS = {
    "finished": "All epochs are done",
    "max-hours": "Stopped before the epoch that would pass max_hours",
    "early-stopping": "Stopped early, since validation no longer improves",
}


def run_experiment(
    config: TrainConfig, path: Path, *, resume: bool, console: Console
) -> int | None:
    """Train into a run folder; give the signal that stopped it, or None if none did."""
    prepare_process(config)
    folder = RunFolder(path)
    with folder.held(), stop_signals() as caught:
        announcer = Announcer(folder, config, console)
        trainer = _trainer(config, folder, announcer)
        if _open(folder, config, resume=resume):
            trainer.resume()
        announcer.open(trainer)
        with announcer.display:
            try:
                outcome = trainer.fit(lambda: bool(caught))
            except TrainingError:
                announcer.close("failed")
                raise
        announcer.close(outcome.reason)
        _write_result(folder, config, outcome)
    announcer.display.say(_closing(outcome, path))
    return caught[0] if outcome.reason == INTERRUPTED else None


def prepare_process(config: TrainConfig) -> None:
    """Set what holds for the whole process: threads, matrix precision, memory."""
    keep_freed_memory()
    torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision(config.matmul_precision)


class Announcer:
    """Passes what training reports on to the terminal, to progress.json and to the curves."""

    def __init__(self, folder: RunFolder, config: TrainConfig, console: Console) -> None:
        self._folder = folder
        self._config = config
        self._curves = Curves(folder.path, f"{config.name} · seed {config.seed}")
        self._done = 0
        self._console = console
        self._begin(Pace(0))

    def _begin(self, pace: Pace) -> None:
        self._file = ProgressFile(self._folder.progress, pace)
        self.display = Display(self._console, pace)

    def open(self, trainer: Trainer) -> None:
        """Say what begins."""
        config, self._done = self._config, trainer.done_steps
        self._begin(Pace(trainer.total_steps, trainer.done_steps))
        self._file.report("training", self._done, force=True)
        total = trainer.total_steps
        work = f"steps {self._done + 1} to {total}" if self._done < total else "no steps left"
        self.display.say(f"{config.name}, seed {config.seed}: {work}, in {self._folder.path}")

    def at_step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        """Show the newest losses."""
        self._done = done
        self._file.report(phase, done)
        self.display.step(phase, done, losses)

    def at_epoch(self, line: dict[str, Any]) -> None:
        """Say how the epoch went and bring the curves up to date."""
        self.display.epoch(line, self._config.epochs, self._done)
        self._curves.update(self._folder.read_metrics())

    def close(self, phase: str) -> None:
        """Leave the last word in progress.json, and the curves complete."""
        self._file.report(phase, self._done, force=True)
        self._curves.update(self._folder.read_metrics(), force=True)


@contextmanager
def stop_signals() -> Generator[list[int]]:
    """Collect Ctrl-C and SIGTERM instead of dying of them; the same one twice ends at once."""
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        if number in caught:
            os._exit(128 + number)  # files are replaced whole, so nothing is left half written
        caught.append(number)

    before = {one: signal.signal(one, note) for one in _STOP_SIGNALS}
    try:
        yield caught
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _trainer(config: TrainConfig, folder: RunFolder, announcer: Announcer) -> Trainer:
    material = load_material(config)
    splits = (
        material.sequences(config.data.train_split),
        material.sequences(config.data.valid_split),
    )
    return Trainer(config, folder, build_network(config, material), splits, announcer)


def _open(folder: RunFolder, config: TrainConfig, *, resume: bool) -> bool:
    """Make or check the run folder; say whether there is a checkpoint to go on from."""
    if resume and folder.config.exists():
        return folder.resume(config)
    folder.begin(config)
    return False


def _write_result(folder: RunFolder, config: TrainConfig, outcome: Outcome) -> None:
    if outcome.reason != INTERRUPTED:
        result = {"name": config.name, "seed": config.seed, **asdict(outcome)}
        write_atomically(folder.result, (json.dumps(result, indent=2) + "\n").encode())


def _closing(outcome: Outcome, path: Path) -> str:
    if outcome.reason == INTERRUPTED:
        return f"Stopped in epoch {outcome.epochs + 1}; everything so far is saved in {path}."
    best = (
        ""
        if outcome.best_loss is None
        else (f" best validation loss {outcome.best_loss:.4f} in epoch {outcome.best_epoch};")
    )
    return (
        f"{_ENDINGS[outcome.reason]}: {_epochs(outcome.epochs)} in {outcome.hours:.2f} h;{best} "
        f"weights sha256 {outcome.weights_sha256}"
    )


def _epochs(count: int) -> str:
    return f"{count} epoch" if count == 1 else f"{count} epochs"
