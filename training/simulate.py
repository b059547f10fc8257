"""``simulate``: write a generated dataset whose true relations are known."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from training.report import describe
from training.simulators import push

SYSTEMS = {"push": push.simulate}


def simulate(
    system: Annotated[str, typer.Argument(help=f"One of: {', '.join(SYSTEMS)}.")],
    out: Annotated[Path, typer.Option(help="Folder to write dataset.json and npz files to.")],
    seed: Annotated[int, typer.Option(help="Seed; push with 1 is the published data.")] = 1,
) -> None:
    """Simulate a system of known relations and store it as a dataset."""
    if system not in SYSTEMS:
        raise typer.BadParameter(f"no system {system!r}; choose one of {', '.join(SYSTEMS)}.")
    dataset = SYSTEMS[system](seed)
    Console().print(describe(dataset, dataset.save(out)))
