"""``table``: gather the evaluations of several runs into markdown, every seed listed."""

from pathlib import Path
from typing import Annotated

import typer

from training.errors import ConfigError
from training.tables import TABLES, find_evaluations, results, written_into


def table(
    name: Annotated[str, typer.Argument(help=f"One of: {', '.join(TABLES)}.")],
    runs: Annotated[Path, typer.Option(help="Folder under which the run folders are.")] = Path(
        "runs"
    ),
    into: Annotated[
        Path | None, typer.Option(help="Markdown file whose marked part is replaced.")
    ] = None,
) -> None:
    """Print the results of an experiment and its variants, or put them into a document."""
    if name not in TABLES:
        raise ConfigError(f"no table {name!r}", f"one of {', '.join(TABLES)}")
    text = results(name, find_evaluations(runs), runs)
    if into is None:
        typer.echo(text)
    else:
        into.write_text(written_into(into, name, text), encoding="utf-8")
