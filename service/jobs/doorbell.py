"""The doorbell: a Celery message that names a job and says nothing else about it."""

from typing import Any, Protocol

import structlog
from celery import Celery
from kombu.exceptions import KombuError, OperationalError

from service.jobs.keys import BROKER_PREFIX, JobRef

QUEUES = ("interactive", "batch", "training")
VISIBILITY_S = 3600

SETTINGS: dict[str, Any] = {
    "task_serializer": "json",
    "accept_content": ["json"],
    "task_ignore_result": True,
    "result_backend": None,
    "task_default_queue": "interactive",
    # A message is taken off when its task has ended; attempts are counted in the record.
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_retry_on_worker_lost": False,
    "task_acks_on_failure": True,
    "task_acks_on_timeout": True,
    "worker_prefetch_multiplier": 1,
    "worker_concurrency": 1,
    "worker_pool": "prefork",
    "worker_pool_start_method": "spawn",
    "worker_proc_alive_timeout": 120,
    "worker_max_tasks_per_child": 100,
    # True loses running jobs when the broker restarts.
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "worker_send_task_events": False,
    "worker_hijack_root_logger": False,
    "worker_redirect_stdouts": False,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "broker_pool_limit": 10,
    "visibility_timeout": VISIBILITY_S,
    "broker_transport_options": {
        "visibility_timeout": VISIBILITY_S,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "global_keyprefix": BROKER_PREFIX,
    },
    "task_publish_retry_policy": {
        "max_retries": 2,
        "interval_start": 0,
        "interval_step": 0.2,
        "interval_max": 0.5,
    },
}

log = structlog.get_logger(__name__)


class Doorbell(Protocol):
    """Tells some worker that there is a job."""

    def ring(self, ref: JobRef, kind: str, queue: str) -> bool:
        """Send the message; false if the broker took none. The reaper will then ring again."""
        ...


def celery_app(redis_url: str) -> Celery:
    """Give a Celery application with the settings that publishers and workers must share."""
    app = Celery("relata", broker=redis_url, set_as_current=False)
    app.conf.update(SETTINGS)  # pyright: ignore[reportUnknownMemberType]
    return app


def task_name(kind: str) -> str:
    """Give the name of the Celery task that does jobs of this kind."""
    return f"relata.{kind}"


class CeleryDoorbell:
    """Rings by publishing to the queue of the job."""

    def __init__(self, app: Celery) -> None:
        """Publish through ``app``."""
        self._app = app

    def ring(self, ref: JobRef, kind: str, queue: str) -> bool:
        """Publish the reference of the job; false if the broker took no message."""
        try:
            self._app.send_task(task_name(kind), args=[str(ref)], queue=queue)  # pyright: ignore[reportUnknownMemberType]
        except (OperationalError, KombuError, OSError):
            log.warning("doorbell-not-rung", job=str(ref), queue=queue)
            return False
        return True
