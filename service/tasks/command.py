"""The command line of a worker."""

import sys
from collections.abc import Sequence

APP = "service.tasks.celery_app"
SERVING_QUEUES = ("interactive", "batch")
TRAINING_QUEUES = ("training",)
# Celery warns of root because of pickles; ours are refused (accept_content).
ROOT_IS_FINE = "ignore:You're running the worker with superuser:UserWarning"


def worker_command(queues: Sequence[str], name: str, app: str = APP) -> list[str]:
    """Give the command of a worker that serves ``queues`` under the node name ``name@<host>``."""
    options = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    return [
        *(sys.executable, "-W", ROOT_IS_FINE, "-m", "celery", "--quiet", "-A", app, "worker"),
        *("--queues", ",".join(queues), "--hostname", f"{name}@%h", "--loglevel", "warning"),
        *options,
    ]
