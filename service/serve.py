"""The API process: uvicorn around the app."""

import uvicorn

from service.app import create_app
from service.preflight import check_port
from service.settings import Settings
from service.supervisor import StackError

KEEP_ALIVE_S = 30


def serve(settings: Settings) -> int:
    """Serve HTTP until told to stop; give the exit status."""
    import typer

    try:
        check_port(settings.host, settings.port)
    except StackError as error:
        typer.echo(f"relata: {error}", err=True)
        return 1
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        server_header=False,
        ws="none",
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.drain_s)),
    )
    return 0
