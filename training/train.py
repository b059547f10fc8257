"""``train``: one experiment, one or more seeds, each in its own run folder."""

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.config import TrainConfig, load_config
from training.errors import ConfigError


def train(
    config: Annotated[str, typer.Argument(help="YAML file, or the name of a bundled experiment.")],
    run: Annotated[Path, typer.Option(help="Folder for checkpoints, metrics and curves.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change a field: optimiser.clip_norm=1"),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint.")
    ] = False,
    seeds: Annotated[
        str | None, typer.Option(metavar="N,N,…", help="Train each into RUN/seed-<n>.")
    ] = None,
) -> None:
    """Train an experiment. Ctrl-C stops it cleanly, --resume goes on."""
    plan = run_plan(load_config(config, changes or ()), run, seeds)
    from training.experiment import run_experiment

    console = Console()
    for folder, one in plan:
        stop = run_experiment(one, folder, resume=resume, console=console)
        if stop is not None:
            again = _again(config, run, changes or [], seeds)
            console.print(f"Go on with: {again}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(128 + stop)


def run_plan(config: TrainConfig, run: Path, seeds: str | None) -> list[tuple[Path, TrainConfig]]:
    """Give the run folder and experiment of every seed asked for."""
    if seeds is None:
        return [(run, config)]
    try:
        numbers = [int(part) for part in seeds.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0 or len(set(numbers)) < len(numbers):
        raise ConfigError(f"--seeds {seeds!r}", "different whole numbers, as in 1,2,3")
    return [
        (run / f"seed-{number}", config.model_copy(update={"seed": number})) for number in numbers
    ]


def _again(config: str, run: Path, changes: list[str], seeds: str | None) -> str:
    """Give the command that continues."""
    words = ["python", "-m", "training", "train", config, "--run", str(run), "--resume"]
    for change in changes:
        words += ["--set", change]
    if seeds:
        words += ["--seeds", seeds]
    return shlex.join(words)
