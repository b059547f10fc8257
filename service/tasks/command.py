"""The command line of a worker."""

import sys
from collections.abc import Sequence

APP = "service.tasks.celery_app"
SERVING_QUEUES = ("interactive", "batch")
TRAINING_QUEUES = ("training",)


def worker_command(queues: Sequence[str], name: str, app: str = APP) -> list[str]:
    """Give the command of a worker that serves ``queues`` under the node name ``name@<host>``."""
    options = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        *(sys.executable, "-m", "celery", "--quiet", "-A", app, "worker"),
        *("--queues", ",".join(queues), "--hostname", f"{name}@%h", "--loglevel", "warning"),
        *options,
    ]
