"""From a doorbell to the end of a job: claim, compute, store, finish, and every way it can end."""

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from service.errors import RuntimeFailure, ServiceError
from service.jobs.attempt import Answer, Attempt, Stopped, end_process
from service.jobs.doorbell import Doorbell
from service.jobs.keys import JobRef
from service.jobs.lease import Lease, Leases
from service.jobs.record import Records
from service.jobs.store import Store
from service.jobs.terms import JobTerms

Work = Callable[[Attempt], Answer]
"""A computation: reads ``attempt.request``, reports steps, and raises ``Stopped`` when told to."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Bench:
    """What a worker needs beside the computation itself."""

    records: Records
    leases: Leases
    store: Store
    doorbell: Doorbell
    terms: JobTerms
    abandon: Callable[[], None] = end_process


def answer_the_bell(bench: Bench, ref: JobRef, work: Work) -> str:
    """Do the job that the doorbell names, if it is there to be done, and say what became of it.

    A bell that rings twice, or for a job that is over or unknown, does nothing.
    """
    record = bench.records.get(ref)
    if record is None:
        return "unknown"
    outcome, lease = bench.leases.claim(record, f"{socket.gethostname()}:{os.getpid()}")
    if lease is None:
        log.info("job-not-claimed", job=str(ref), outcome=outcome)
        return outcome
    claimed = bench.records.get(ref)
    if claimed is None:
        return "unknown"
    log.info("job-claimed", job=str(ref), kind=record.kind, fence=lease.fence)
    request = bench.records.request(ref)
    attempt = Attempt(
        claimed, request, lease, bench.leases, bench.store, bench.terms, bench.abandon
    )
    with attempt:
        ending = _carry_out(bench, attempt, lease, work)
    log.info("job-left", job=str(ref), ending=ending)
    return ending


def _carry_out(bench: Bench, attempt: Attempt, lease: Lease, work: Work) -> str:
    try:
        answer = work(attempt)
        attempt.finalize()
        return _succeed(bench, lease, answer)
    except Stopped as stop:
        return _stop(bench, attempt, lease, stop.partial)
    except ServiceError as error:
        return _fail(bench, lease, error)
    except Exception:
        log.exception("job-failed", job=str(lease.ref))
        unknown = RuntimeFailure(
            "the computation failed in a way that it should not have; the cause is in the log of "
            "the worker under the id of the job",
            fix="Submit it again; if it fails again, report it with the id.",
        )
        return _fail(bench, lease, unknown)


def _succeed(bench: Bench, lease: Lease, answer: Answer) -> str:
    name = f"result-{lease.fence}"
    stored = bench.store.write(lease.ref, name, answer.body, answer.media_type)
    if not bench.leases.finish(lease, "succeeded", result=stored):
        return "lost"
    bench.store.remove(lease.ref, keep=name)
    return "succeeded"


def _stop(bench: Bench, attempt: Attempt, lease: Lease, partial: Answer | None) -> str:
    if attempt.stop_reason == "drain":
        if not bench.leases.release(lease):
            return "lost"
        bench.doorbell.ring(lease.ref, attempt.record.kind, attempt.record.queue)
        return "released"
    if attempt.stop_reason != "cancel":
        return "lost"
    kept = None
    if partial is not None:
        name = f"partial-{lease.fence}"
        kept = bench.store.write(lease.ref, name, partial.body, partial.media_type)
    return "cancelled" if bench.leases.finish(lease, "cancelled", result=kept) else "lost"


def _fail(bench: Bench, lease: Lease, error: ServiceError) -> str:
    problem = error.to_problem(f"urn:relata:job:{lease.ref.id}")
    return "failed" if bench.leases.finish(lease, "failed", error=problem) else "lost"
