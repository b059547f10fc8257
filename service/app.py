"""The HTTP app: assembles routers, errors, the gate and the services, and nothing else."""

import asyncio
import gc
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib.metadata import version
from typing import Any, TypedDict

import structlog
from fastapi import FastAPI

from service import telemetry
from service.api import (
    console,
    documentation,
    forecasts,
    health,
    jobs,
    model_cards,
    relations,
)
from service.api.middleware import Gate
from service.api.openapi import use_openapi
from service.api.problems import add_error_handlers
from service.api.services import Desk, Services
from service.artifacts import ArtifactStore
from service.bootstrap import build_services
from service.settings import Settings

log: Any = structlog.get_logger("app")


class State(TypedDict):
    """What the lifespan gives to every request."""

    desk: Desk


def create_app(
    settings: Settings | None = None,
    build: Callable[[Settings], Services] = build_services,
) -> FastAPI:
    """Give the app; ``build`` makes what it serves with when it starts."""
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncGenerator[State]:
        telemetry.configure_logging(settings)
        services = build(settings)
        watching = asyncio.create_task(_watch(services.store, settings.reload_s))
        with _rare_collections(), ThreadPoolExecutor(settings.codec_threads, "codec") as codec:
            try:
                yield {"desk": Desk(settings, services, codec)}
            finally:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
                await services.close()

    app = FastAPI(
        title="Relata",
        version=version("relata"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
    )
    app.add_middleware(Gate, max_body_bytes=settings.max_body_bytes)
    add_error_handlers(app)
    _add_routes(app)
    use_openapi(app)
    return app


def _add_routes(app: FastAPI) -> None:
    # Routers carry their whole paths: a prefix given here would be missing from the metrics.
    for resource in (relations, forecasts, jobs, model_cards, health, documentation, console):
        app.include_router(resource.router)


@contextmanager
def _rare_collections() -> Generator[None]:
    """Let the garbage collector look less often: a body of many rows is decoded in half the time.

    While it looks, no other request is served, and nearly nothing here is cyclic.
    """
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


async def _watch(store: ArtifactStore, seconds: float) -> None:
    """Look for new versions and moved aliases every so often, beside the loop."""
    while True:
        await asyncio.sleep(seconds)
        try:
            await asyncio.to_thread(store.refresh)
        except OSError as error:
            log.error("the artifact store cannot be read", reason=str(error))
