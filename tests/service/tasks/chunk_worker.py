"""A worker whose only job kind adds squares, chunk by chunk: real Celery, nothing to learn.

The request says how many chunks, how long each takes, and in which one the process kills itself.
"""

import json
import os
import signal
import time

from service import telemetry
from service.jobs.assembly import broker_url, open_bench
from service.jobs.attempt import Answer, Attempt, Stopped
from service.jobs.doorbell import CeleryDoorbell, celery_app, task_name
from service.jobs.keys import JobRef
from service.jobs.work import answer_the_bell
from service.settings import Settings
from service.tasks import lifecycle

settings = Settings()
app = celery_app(broker_url(settings))
telemetry.configure_logging(settings)
lifecycle.connect(app, settings)


def add_squares(attempt: Attempt) -> Answer:
    request = json.loads(attempt.request)
    known = attempt.record.checkpoint is not None
    sums: list[int] = json.loads(attempt.stored_checkpoint()) if known else []
    for chunk in range(len(sums), request["chunks"]):
        attempt.report("adding", chunk, request["chunks"])
        if attempt.should_stop():
            raise Stopped(Answer(json.dumps(sums).encode(), "application/json"))
        if chunk == request.get("poison_at"):
            victim = os.getppid() if request.get("kills_parent") else os.getpid()
            os.kill(victim, signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(request["pause_s"])
        sums.append(chunk**2 + (sums[-1] if sums else 0))
        attempt.keep(chunk + 1, json.dumps(sums).encode(), "application/json")
    return Answer(json.dumps(sums).encode(), "application/json")


@app.task(name=task_name("forecast"))
def answer(reference: str) -> None:
    answer_the_bell(open_bench(settings, CeleryDoorbell(app)), JobRef.parse(reference), add_squares)
