"""``python -m training <verb>``: finds the verb's module and hands over to it."""

import importlib
import sys
from collections.abc import Sequence

import typer

VERBS = {
    "simulate": "write a generated dataset whose true relations are known",
    "prepare": "turn recordings into a stored dataset",
    "train": "train an experiment from its YAML file",
    "evaluate": "measure a finished run",
    "export": "write a run as an artifact that the service loads",
    "table": "compare evaluated runs in one table",
    "figure": "draw the figures of the documentation",
    "fetch": "download a public dataset from its official address",
}


def usage() -> str:
    """Give the text of ``--help``."""
    width = max(map(len, VERBS))
    verbs = "\n".join(f"  {name:<{width}}  {text}" for name, text in VERBS.items())
    return (
        "usage: python -m training <verb> [options]\n\n"
        f"{verbs}\n\n`python -m training <verb> --help` explains one of them."
    )


def main(arguments: Sequence[str]) -> int:
    """Run one verb; give the exit status."""
    if not arguments or arguments[0] in {"-h", "--help"}:
        typer.echo(usage())
        return 0 if arguments else 2
    verb, *rest = arguments
    if verb not in VERBS:
        typer.echo(f"error: no verb {verb!r}; expected one of {', '.join(VERBS)}", err=True)
        return 2
    return run_verb(verb, rest)


def run_verb(verb: str, arguments: Sequence[str]) -> int:
    """Import a verb's module and call the function of the same name with parsed arguments."""
    from training.errors import TrainingError
    from trajectories.errors import TrajectoryError

    app = typer.Typer(add_completion=False)
    try:
        app.command()(getattr(importlib.import_module(f"training.{verb}"), verb))
        status = app(list(arguments), prog_name=f"python -m training {verb}", standalone_mode=False)
    except (TrainingError, TrajectoryError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        return 1
    except Exception as error:
        return _command_line_error(error)
    return status if isinstance(status, int) else 0


def _command_line_error(error: Exception) -> int:
    """Show what typer says about wrong options; anything else is a fault and goes on rising."""
    show = getattr(error, "show", None)
    if show is None:
        raise error
    show()
    return int(getattr(error, "exit_code", 2))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
