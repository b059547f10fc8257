"""``python -m service {up,api,worker,doctor,promote,rollback}``."""

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from service.errors import ServiceError
from service.settings import Settings

if TYPE_CHECKING:
    from service.artifacts import ArtifactStore

cli = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Serve neural relational inference: post a trajectory, get relations and forecasts.",
)
Name = Annotated[str, typer.Argument(help="Name of the model.")]
Alias = Annotated[str, typer.Option(help="The name to move.")]


@cli.command()
def up(
    demo: Annotated[bool, typer.Option("--demo", help="Walk through all of it and stop.")] = False,
) -> None:
    """Serve on this machine: broker, API, workers; the main job once; until Ctrl-C."""
    from service.up import up as run

    raise typer.Exit(run(Settings(), demo=demo))


@cli.command()
def api() -> None:
    """Serve HTTP only (REDIS_URL names the broker; without one there are no jobs)."""
    from service.serve import serve

    raise typer.Exit(serve(Settings()))


@cli.command()
def worker(
    queue: Annotated[
        list[str] | None,
        typer.Option(help="Queue to serve; repeat it. Default: interactive and batch."),
    ] = None,
    name: Annotated[str, typer.Option(help="Node name, before @host.")] = "celery",
) -> None:
    """Do jobs from the broker that REDIS_URL names."""
    from service.jobs.assembly import broker_url
    from service.jobs.doorbell import QUEUES
    from service.tasks.command import SERVING_QUEUES, worker_command

    queues = queue or list(SERVING_QUEUES)
    unknown = [one for one in queues if one not in QUEUES]
    if unknown:
        raise typer.BadParameter(f"no queue {unknown[0]!r}; choose of {', '.join(QUEUES)}.")
    broker_url(Settings())
    command = worker_command(queues, name)
    os.execv(command[0], command)


@cli.command()
def doctor() -> None:
    """Say what this machine has and lacks for serving and training."""
    from service.doctor import examine

    raise typer.Exit(examine(Settings()))


@cli.command()
def promote(
    name: Name,
    version: Annotated[int, typer.Argument(min=1, help="Version that the alias is to mean.")],
    alias: Alias = "champion",
) -> None:
    """Move an alias of a model to a version; a running service follows by itself."""
    before = _store().promote(name, alias, version)
    typer.echo(f"{name}@{alias} is version {version} now, was {before or 'nothing'}")


@cli.command()
def rollback(name: Name, alias: Alias = "champion") -> None:
    """Move an alias of a model back to the version before."""
    typer.echo(f"{name}@{alias} is version {_store().rollback(name, alias)} again")


def _store() -> "ArtifactStore":
    from service.artifacts import ArtifactStore

    settings = Settings()
    return ArtifactStore(settings.writable_artifacts, settings.bundled_artifacts)


def main() -> None:
    """Run one command; a refusal is one line and status 1."""
    try:
        cli()
    except ServiceError as error:
        typer.echo(f"relata: {error.detail}. {error.fix}".rstrip(), err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
