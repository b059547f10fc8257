"""What a worker does beside its tasks: it says that it is there, reaps, and drains when told to."""

import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

import structlog
from celery import Celery, signals
from redis.exceptions import RedisError

from service.jobs.assembly import open_reaper, open_roster
from service.jobs.attempt import DRAIN_FILE_VARIABLE
from service.jobs.doorbell import CeleryDoorbell
from service.jobs.roster import ANNOUNCE_S, Roster
from service.settings import Settings

log: Any = structlog.get_logger("worker")


class Lifecycle:
    """The main process of one worker; its pool processes do the jobs."""

    def __init__(self, app: Celery, settings: Settings) -> None:
        """Look after the worker of ``app``."""
        self._app = app
        self._settings = settings
        self._stop = threading.Event()
        self._name = ""
        self._folder: Path | None = None

    def prepare(self, **_: Any) -> None:
        """Before the pool starts: name the file whose presence tells the pool to drain."""
        self._folder = Path(tempfile.mkdtemp(prefix="relata-worker-"))
        os.environ[DRAIN_FILE_VARIABLE] = str(self._folder / "drain")

    def begin(self, sender: Any, **_: Any) -> None:
        """Once connected: start the reaper and the announcements."""
        self._name = str(sender.hostname)
        queues = sorted(self._app.amqp.queues.consume_from)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        roster = open_roster(self._settings)
        reaper = open_reaper(self._settings, CeleryDoorbell(self._app))
        threading.Thread(target=reaper.run, args=(self._stop,), daemon=True).start()
        threading.Thread(target=self._announce, args=(roster, queues), daemon=True).start()
        log.info("worker ready", name=self._name, queues=queues)

    def drain(self, **_: Any) -> None:
        """Told to stop: jobs at work hand themselves back."""
        if self._folder is not None:
            (self._folder / "drain").touch()

    def end(self, **_: Any) -> None:
        """After the pool has ended: sign off."""
        self._stop.set()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        try:
            open_roster(self._settings).leave(self._name)
        except RedisError:
            log.warning("broker away, worker not signed off", name=self._name)

    def _announce(self, roster: Roster, queues: list[str]) -> None:
        while True:
            try:
                roster.announce(self._name, queues)
            except RedisError:
                log.warning("broker away, worker not announced", name=self._name)
            if self._stop.wait(ANNOUNCE_S):
                return


def connect(app: Celery, settings: Settings) -> None:
    """Have Celery tell a worker's life to this module; kept alive by the connections."""
    life = Lifecycle(app, settings)
    signals.worker_init.connect(life.prepare, weak=False)  # pyright: ignore[reportUnknownMemberType]
    signals.worker_ready.connect(life.begin, weak=False)  # pyright: ignore[reportUnknownMemberType]
    signals.worker_shutting_down.connect(life.drain, weak=False)  # pyright: ignore[reportUnknownMemberType]
    signals.worker_shutdown.connect(life.end, weak=False)  # pyright: ignore[reportUnknownMemberType]
