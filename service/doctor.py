"""``python -m service doctor``: what this machine has and lacks, in one table."""

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from service.artifacts import ArtifactStore
from service.broker import find_server
from service.errors import ServiceError
from service.jobs.experiments import INSTALL_TRAINING, training_is_installed
from service.preflight import LEAST_FREE_BYTES, check_named_broker, check_port
from service.settings import Settings
from service.supervisor import StackError

NEEDED = ("fastapi", "uvicorn", "celery", "redis", "orjson", "fsspec")
RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
GIGABYTE = 10**9
MARKS = {"good": "[green]ok[/]", "hint": "[yellow]–[/]", "bad": "[red]lacks[/]"}


@dataclass(frozen=True)
class Finding:
    """One thing looked at: ``good``, ``bad`` (serving needs it) or a ``hint``."""

    what: str
    state: str
    text: str


def examine(settings: Settings) -> int:
    """Print what was found; give 1 if something that serving needs is missing."""
    console = Console(highlight=False)
    table = Table(show_header=False, box=None)
    findings = list(_findings(settings))
    for finding in findings:
        table.add_row(MARKS[finding.state], finding.what, finding.text)
    console.print(table)
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def _findings(settings: Settings) -> Iterator[Finding]:
    yield Finding("python", "good", f"{platform.python_version()} at {sys.executable}")
    yield _packages()
    yield _runtime()
    yield _broker(settings)
    yield _checked("port", lambda: check_port(settings.host, settings.port), f"{settings.port}")
    yield _disk(settings.home)
    yield from _models(settings)
    if training_is_installed():
        yield Finding("training", "good", f"torch {version('torch')}")
    else:
        yield Finding("training", "hint", f"not installed; to retrain: {INSTALL_TRAINING}")
    data = os.environ.get("RELATA_DATA")
    fetch = "RELATA_DATA=DIR python -m training fetch cmu-mocap-35"
    yield Finding("recordings", "good" if data else "hint", data or f"none; to get some: {fetch}")


def _installed(names: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _packages() -> Finding:
    missing = [name for name in NEEDED if name not in _installed(NEEDED)]
    if missing:
        return Finding("packages", "bad", f"{', '.join(missing)} missing; run: make install")
    return Finding("packages", "good", ", ".join(f"{n} {v}" for n, v in _installed(NEEDED).items()))


def _runtime() -> Finding:
    found = _installed(RUNTIMES)
    if not found:
        return Finding("runtime", "bad", "no ONNX Runtime; run: make install")
    return Finding("runtime", "good", ", ".join(f"{name} {v}" for name, v in found.items()))


def _broker(settings: Settings) -> Finding:
    if settings.redis_url is not None:
        return _checked("broker", lambda: check_named_broker(settings), "REDIS_URL answers")
    server = find_server()
    if server is None:
        return Finding("broker", "bad", "no REDIS_URL and no server; run: make install")
    return Finding("broker", "good", f"{server} (REDIS_URL is not set)")


def _checked(what: str, check: Callable[[], None], good: str) -> Finding:
    try:
        check()
    except StackError as error:
        return Finding(what, "bad", str(error))
    return Finding(what, "good", good)


def _disk(home: Path) -> Finding:
    place = next(path for path in (home.resolve(), *home.resolve().parents) if path.exists())
    free = shutil.disk_usage(place).free
    state = "good" if free >= LEAST_FREE_BYTES and os.access(place, os.W_OK) else "bad"
    return Finding("state", state, f"{home}, {free / GIGABYTE:.1f} GB free")


def _models(settings: Settings) -> Iterator[Finding]:
    store = ArtifactStore(settings.writable_artifacts, settings.bundled_artifacts)
    if not store.names():
        yield Finding("models", "bad", f"none in {settings.bundled_artifacts}")
    for name in store.names():
        try:
            serving = store.open(name).manifest.version
        except ServiceError as error:
            yield Finding("model", "bad", f"{name}: {error.detail}")
        else:
            yield Finding("model", "good", f"{name}, version {serving} serves")
