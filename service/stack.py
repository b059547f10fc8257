"""The processes behind ``python -m service up``, and when each of them counts as ready."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import httpx

from service.broker import LOG_NAME, BrokerMissing, EmbeddedBroker, prepare_broker
from service.jobs.connection import Database, brisk
from service.jobs.experiments import training_is_installed
from service.jobs.roster import Roster
from service.settings import Settings
from service.supervisor import Part, StackError
from service.tasks.command import SERVING_QUEUES, TRAINING_QUEUES, worker_command

READY_S = 60.0
DRAIN_S = 20.0
NO_MODEL = "no model can be served"


@dataclass(frozen=True)
class Stack:
    """All parts in their starting order, and where the API is found."""

    parts: tuple[Part, ...]
    url: str


def build_stack(settings: Settings, environment: Mapping[str, str]) -> Stack:
    """Give the parts for these settings; ``environment`` is added to that of every process.

    Raises:
        StackError: if there is no broker to be had.
    """
    parts: list[Part] = []
    redis_url = settings.redis_url
    if redis_url is None:
        try:
            embedded = prepare_broker(settings.home)
        except (BrokerMissing, OSError) as error:
            raise StackError(str(error)) from error
        redis_url = embedded.url
        parts.append(_broker(embedded))
    url = f"http://{_reachable(settings.host)}:{settings.port}"
    common = dict(environment) | {"REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}
    parts.append(_api(url, common))
    roster = Roster(brisk(redis_url))
    queues: dict[str, tuple[str, ...]] = {"worker": SERVING_QUEUES}
    if training_is_installed():
        queues["trainer"] = TRAINING_QUEUES
    parts += [_worker(name, served, roster, common) for name, served in queues.items()]
    return Stack(tuple(parts), url)


def _broker(embedded: EmbeddedBroker) -> Part:
    database = brisk(embedded.url)
    log = str(embedded.folder / LOG_NAME)
    return Part(
        name="broker",
        command=embedded.command,
        environment={},
        is_ready=lambda: _answers(database),
        ready_s=READY_S,
        is_gate=True,
        log=log,
    )


async def _answers(database: Database) -> bool:
    return await asyncio.to_thread(database.is_reachable)


def _api(url: str, environment: Mapping[str, str]) -> Part:
    command = (sys.executable, "-m", "service", "api")
    return Part("api", command, environment, lambda: _is_serving(url), READY_S, DRAIN_S)


async def _is_serving(url: str) -> bool:
    """Ask for readiness; an API that says that it has no models will not become ready."""
    async with httpx.AsyncClient(trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz", timeout=5.0)
        except httpx.HTTPError:
            return False
    state = cast("dict[str, Any]", answer.json())
    if NO_MODEL in state.get("reasons", []):
        refused = "; ".join(f"{name}: {why}" for name, why in state.get("refused", {}).items())
        raise StackError(f"{NO_MODEL}: {refused or 'there is none'}; see python -m service doctor")
    return answer.status_code == 200


def _worker(
    name: str, queues: tuple[str, ...], roster: Roster, environment: Mapping[str, str]
) -> Part:
    return Part(
        name,
        worker_command(queues, name),
        environment,
        _is_announced(name, roster),
        ready_s=READY_S,
        grace_s=DRAIN_S,
        restarts=True,
    )


def _is_announced(name: str, roster: Roster) -> Callable[[], Awaitable[bool]]:
    # An earlier stack on the same broker may have left this name behind.
    asked: list[float] = []

    async def is_announced() -> bool:
        present = await asyncio.to_thread(roster.present)
        asked.append(max((w.seen_at for w in present if w.name.startswith(f"{name}@")), default=0))
        return asked[-1] > asked[0]

    return is_announced


def _reachable(host: str) -> str:
    """Give the address to call a server at that listens on ``host``."""
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host


def quiet_environment(settings: Settings, *, quiet: bool) -> dict[str, str]:
    """Give how the parts are to log on one terminal: for people, and in a demo only what is odd."""
    wanted = {"RELATA_LOG_FORMAT": "console"}
    if quiet:
        wanted["RELATA_LOG_LEVEL"] = "warning"
    chosen = {name: os.environ[name] for name in wanted if name in os.environ}
    return wanted | chosen | {"RELATA_HOME": str(settings.home.resolve())}
