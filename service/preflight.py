"""What must hold before anything is started; each failure is one line that says the way out."""

import errno
import fcntl
import os
import shutil
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from service.jobs.connection import brisk
from service.settings import Settings
from service.supervisor import StackError

LEAST_FREE_BYTES = 64 * 1024 * 1024
MEGABYTE = 1024 * 1024


@contextmanager
def held_home(home: Path) -> Generator[None]:
    """Make the state folder and hold it, so that two stacks never share one.

    Raises:
        StackError: if it cannot be written, is full, or is held by another stack.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = os.open(home / "up.lock", os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StackError(
            f"cannot write to {home}: {error.strerror}; set RELATA_HOME to a folder that can be "
            "written"
        ) from error
    try:
        _check_space(home)
        _hold(lock, home)
        yield
    finally:
        os.close(lock)


def _hold(lock: int, home: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        holder = os.pread(lock, 20, 0).decode() or "unknown"
        raise StackError(
            f"{home} is in use by another stack (process {holder}); stop it, or set RELATA_HOME"
        ) from error
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)


def _check_space(home: Path) -> None:
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE_BYTES:
        raise StackError(
            f"no disk space: found {free // MEGABYTE} MB free under {home}, expected at least "
            f"{LEAST_FREE_BYTES // MEGABYTE} MB; free some, or set RELATA_HOME to another disk"
        )


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be listened on.

    Raises:
        StackError: naming the port and the way out.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
            probe.listen(1)
        except OSError as error:
            why = "is busy" if error.errno == errno.EADDRINUSE else f"is refused: {error.strerror}"
            raise StackError(
                f"port {port} on {host} {why}; stop what uses it, or choose another: "
                f"make up PORT={port + 1}"
            ) from error


def check_named_broker(settings: Settings) -> None:
    """Refuse a REDIS_URL behind which nothing answers.

    Raises:
        StackError: naming the broker without its password.
    """
    if settings.redis_url is None:
        return
    database = brisk(settings.redis_url)
    try:
        if not database.is_reachable():
            place = urlsplit(settings.redis_url)
            raise StackError(
                f"no broker answers at {place.hostname}:{place.port or 6379} (REDIS_URL); start "
                "it, or unset REDIS_URL to use the one that comes along"
            )
    finally:
        database.close()
