"""``train``: one experiment, one or more seeds, each in its own run folder."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import torch
import typer
from rich.console import Console

from training import curves
from training.allocator import keep_freed_memory
from training.checkpoints import write_atomically
from training.config import TrainConfig, load_config
from training.errors import ConfigError
from training.loop import Outcome, Trainer
from training.material import build_network, load_material
from training.progress import Display, ProgressFile
from training.runs import RunFolder

_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_ENDINGS = {
    "finished": "all epochs are done",
    "max-hours": "stopped before the epoch that would pass max_hours",
    "early-stopping": "stopped early: validation no longer improves",
}


def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a bundled experiment.")],
    run: Annotated[Path, typer.Option(help="Folder for checkpoints, metrics and curves.")],
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a field: optimiser.clip_norm=1")
    ] = None,
    resume: Annotated[bool, typer.Option(help="Go on from the folder's last checkpoint.")] = False,
    seeds: Annotated[
        str | None, typer.Option(help="Train several, as in 1,2,3, into RUN/seed-<n>.")
    ] = None,
) -> None:
    """Train an experiment; Ctrl-C stops it cleanly and --resume goes on."""
    console = Console()
    for folder, one in _plan(load_config(config, changes or ()), run, seeds):
        stop = _train_one(one, RunFolder(folder), resume=resume, console=console)
        if stop is not None:
            again = ["python -m training train", config, "--run", str(run), "--resume"]
            again += [f"--set {change}" for change in changes or ()]
            again += [f"--seeds {seeds}"] if seeds else []
            console.print(f"Continue with: {' '.join(again)}", markup=False, soft_wrap=True)
            raise typer.Exit(128 + stop)


def _plan(config: TrainConfig, run: Path, seeds: str | None) -> list[tuple[Path, TrainConfig]]:
    if seeds is None:
        return [(run, config)]
    try:
        numbers = [int(part) for part in seeds.split(",")]
    except ValueError as error:
        raise ConfigError(f"--seeds {seeds!r}", "whole numbers with commas, as in 1,2,3") from error
    return [
        (run / f"seed-{number}", config.model_copy(update={"seed": number})) for number in numbers
    ]


def _train_one(
    config: TrainConfig, folder: RunFolder, *, resume: bool, console: Console
) -> int | None:
    """Train one seed; give the signal that stopped it, or None."""
    prepare_process(config)
    material = load_material(config)
    network = build_network(config, material)
    splits = (
        material.sequences(config.data.train_split),
        material.sequences(config.data.valid_split),
    )
    announcer = Announcer(folder, config)
    trainer = Trainer(config, folder, network, splits, announcer)
    if _open(folder, config, resume=resume):
        trainer.resume()
    console.print(_opening(config, trainer, folder), markup=False, soft_wrap=True)
    announcer.file = ProgressFile(folder.progress, trainer.total_steps)
    with Display(console, trainer.total_steps) as announcer.display, _caught_signals() as caught:
        outcome = trainer.fit(lambda: bool(caught))
    _close(folder, config, outcome, announcer)
    console.print(_closing(outcome, folder), markup=False, soft_wrap=True)
    return caught[0] if caught and outcome.reason == "interrupted" else None


def _open(folder: RunFolder, config: TrainConfig, *, resume: bool) -> bool:
    """Make or check the run folder; say whether there is a checkpoint to go on from."""
    if resume and folder.config.exists():
        return folder.resume(config)
    folder.begin(config)
    return False


def prepare_process(config: TrainConfig) -> None:
    """Set what holds for the whole process: threads, matrix precision, memory."""
    keep_freed_memory()
    torch.set_num_threads(config.threads)
    torch.set_float32_matmul_precision(config.matmul_precision)


@dataclass
class Announcer:
    """Passes what training reports on to the terminal, to progress.json and to the curves."""

    folder: RunFolder
    config: TrainConfig
    file: ProgressFile | None = None
    display: Display | None = None
    done: int = field(default=0)

    def at_step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        """Show the newest losses."""
        self.done = done
        if self.file:
            self.file.report(phase, done)
        if self.display:
            self.display.step(phase, done, losses)

    def at_epoch(self, line: dict[str, Any]) -> None:
        """Say how the epoch went and bring the curves up to date."""
        if self.display:
            self.display.epoch(line, self.config.epochs)
        self.draw()

    def draw(self) -> None:
        """Write the curves of all epochs so far."""
        lines = self.folder.read_metrics()
        curves.write_table(self.folder.path / "curves.csv", lines)
        if lines:
            title = f"{self.config.name} · seed {self.config.seed}"
            curves.draw(self.folder.path / "curves.png", lines, title)


def _close(folder: RunFolder, config: TrainConfig, outcome: Outcome, announcer: Announcer) -> None:
    announcer.draw()
    if announcer.file:
        announcer.file.report(outcome.reason, announcer.done, force=True)
    if outcome.reason != "interrupted":
        result = {"name": config.name, "seed": config.seed, **asdict(outcome)}
        write_atomically(folder.result, (json.dumps(result, indent=2) + "\n").encode())


@contextmanager
def _caught_signals() -> Iterator[list[int]]:
    """Collect the first Ctrl-C or SIGTERM instead of dying of it; a second one kills as usual."""
    caught: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        caught.append(number)
        for one, handler in before.items():
            signal.signal(one, handler)

    before = {one: signal.signal(one, note) for one in _STOP_SIGNALS}
    try:
        yield caught
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _opening(config: TrainConfig, trainer: Trainer, folder: RunFolder) -> str:
    how = f"from step {trainer.done_steps} of" if trainer.done_steps else "for"
    return f"{config.name}, seed {config.seed}: {how} {trainer.total_steps} steps into {folder.path}"


def _closing(outcome: Outcome, folder: RunFolder) -> str:
    if outcome.reason == "interrupted":
        return f"Stopped after epoch {outcome.epochs} and some steps; all of it is saved in {folder.path}."
    best = "none" if outcome.best_nll is None else f"{outcome.best_nll:.4f}"
    return (
        f"{_ENDINGS[outcome.reason]} ({outcome.epochs} epochs, {outcome.hours:.2f} h); "
        f"best validation nll {best} in epoch {outcome.best_epoch}; "
        f"weights sha256 {outcome.weights_sha256}"
    )


def seeds_of(run: Path) -> Sequence[Path]:
    """Give the run folders of a run: its seeds where it has several, else itself."""
    return sorted(run.glob("seed-*"), key=lambda path: int(path.name[5:])) or [run]
