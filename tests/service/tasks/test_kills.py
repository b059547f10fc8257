"""What happens to jobs when processes die: a real broker, real Celery workers, real signals."""

import json
import os
import signal
import subprocess
import time
from typing import Any

import psutil
import pytest

from service.jobs.keys import JobRef
from service.jobs.record import NewJob
from tests.service.tasks.conftest import Stack, end_tree, until

pytestmark = pytest.mark.slow

SQUARES = {"chunks": 12, "pause_s": 0.15}


def undisturbed(request: dict[str, Any]) -> bytes:
    sums: list[int] = []
    for chunk in range(request["chunks"]):
        sums.append(chunk**2 + (sums[-1] if sums else 0))
    return json.dumps(sums).encode()


def pool_process(worker: subprocess.Popen[bytes]) -> int:
    """The process that does the jobs: the worker's only child that is no resource tracker."""
    children = psutil.Process(worker.pid).children()
    return max(children, key=lambda child: child.memory_info().rss).pid


def test_a_worker_killed_in_the_middle_is_succeeded_and_the_result_is_identical(
    stack: Stack,
) -> None:
    first = stack.start_worker(name="one")
    ref = stack.submit(SQUARES)
    stack.wait(ref, lambda record: record.milestone >= 3)
    end_tree(first.pid)
    stack.start_worker(name="two")
    record = stack.end_of(ref)
    assert (record.state, record.starts, record.attempts) == ("succeeded", 2, 1)
    assert stack.body(ref) == undisturbed(SQUARES)


def test_a_pool_process_killed_in_the_middle_is_replaced(stack: Stack) -> None:
    worker = stack.start_worker()
    ref = stack.submit(SQUARES)
    stack.wait(ref, lambda record: record.milestone >= 3)
    os.kill(pool_process(worker), signal.SIGKILL)
    record = stack.end_of(ref)
    assert (record.state, record.starts) == ("succeeded", 2)
    assert stack.body(ref) == undisturbed(SQUARES)
    assert worker.poll() is None


def test_a_broker_killed_and_restarted_loses_no_job_and_doubles_none(stack: Stack) -> None:
    stack.start_worker()
    refs = [stack.submit(SQUARES | {"chunks": 8}) for _ in range(3)]
    stack.wait(refs[0], lambda record: record.milestone >= 2)
    stack.restart_broker()
    for ref in refs:
        record = stack.end_of(ref)
        assert (record.state, record.attempts) == ("succeeded", 1)
        assert stack.body(ref) == undisturbed(SQUARES | {"chunks": 8})
    assert stack.read(refs[0]).starts == 1, "the job at work rode it out"


@pytest.mark.parametrize("kills_parent", [False, True])
def test_a_poison_job_fails_after_three_deaths_and_the_next_job_is_done(
    stack: Stack, kills_parent: bool
) -> None:
    worker = stack.start_worker()
    poison = stack.submit(SQUARES | {"poison_at": 0, "kills_parent": kills_parent})
    healthy = stack.submit(SQUARES | {"chunks": 2})
    while kills_parent and not stack.read(poison).is_over:  # as a supervisor would
        time.sleep(0.1)
        if worker.poll() is not None:
            end_tree(worker.pid)
            worker = stack.start_worker(name=f"again-{len(stack.workers)}")
    record = stack.end_of(poison)
    assert (record.state, record.starts) == ("failed", 3)
    assert record.error is not None
    assert record.error["code"] == "worker-lost"
    assert stack.end_of(healthy).state == "succeeded"


def test_a_lost_message_is_rung_again(stack: Stack) -> None:
    ref = JobRef.new("default")
    stack.records.create(ref, NewJob("forecast", "batch", json.dumps(SQUARES)), None)
    stack.start_worker()
    assert stack.end_of(ref).state == "succeeded"


def test_two_bells_for_one_job_are_one_run(stack: Stack) -> None:
    stack.start_worker(name="one")
    stack.start_worker(name="two")
    ref = stack.submit(SQUARES)
    stack.doorbell.ring(ref, "forecast", "batch")
    stack.doorbell.ring(ref, "forecast", "batch")
    record = stack.end_of(ref)
    assert (record.state, record.starts, record.attempts) == ("succeeded", 1, 1)


def test_a_drained_worker_hands_back_and_ends_soon(stack: Stack) -> None:
    first = stack.start_worker(name="one")
    ref = stack.submit(SQUARES | {"chunks": 40})
    stack.wait(ref, lambda record: record.milestone >= 3)
    first.terminate()
    until(lambda: first.poll() is not None, 15, stack.logs)
    record = stack.read(ref)
    assert (record.state, record.attempts) == ("queued", 0)
    stack.start_worker(name="two")
    record = stack.end_of(ref)
    assert (record.state, record.attempts, record.starts) == ("succeeded", 1, 2)
    assert stack.body(ref) == undisturbed(SQUARES | {"chunks": 40})


def test_a_running_job_is_cancelled_long_before_its_end(stack: Stack) -> None:
    stack.start_worker()
    ref = stack.submit(SQUARES | {"chunks": 200})
    stack.wait(ref, lambda record: record.milestone >= 2)
    stack.records.cancel(ref)
    record = stack.end_of(ref)
    assert record.state == "cancelled"
    finished = json.loads(stack.body(ref))
    assert 2 <= len(finished) < 200


def test_a_job_that_does_not_listen_is_cancelled_too(stack: Stack) -> None:
    worker = stack.start_worker()
    deaf = stack.submit({"chunks": 1, "pause_s": 10_000})
    healthy = stack.submit(SQUARES | {"chunks": 2})
    stack.wait(deaf, lambda record: record.state == "running")
    stack.records.cancel(deaf)
    assert stack.end_of(deaf).state == "cancelled"
    assert stack.end_of(healthy).state == "succeeded"
    assert worker.poll() is None
