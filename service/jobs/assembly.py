"""Puts the parts of jobs together for the processes that need them: workers, reapers, the API."""

from service.errors import ServiceError
from service.jobs.connection import Database, brisk, listening, patient
from service.jobs.doorbell import CeleryDoorbell, Doorbell, celery_app
from service.jobs.events import Events
from service.jobs.lease import Leases
from service.jobs.reaper import Reaper
from service.jobs.record import Records
from service.jobs.roster import Roster
from service.jobs.service import Admit, JobOffice, JobService
from service.jobs.store import Store
from service.jobs.terms import JobTerms
from service.jobs.work import Bench
from service.settings import Settings


class BrokerNotNamed(ServiceError):
    """There is no address to reach a broker at."""

    default_code = "no-broker"


def broker_url(settings: Settings) -> str:
    """Give the address of the broker.

    Raises:
        BrokerNotNamed: if no setting names one.
    """
    if settings.redis_url is None:
        raise BrokerNotNamed(
            "found no REDIS_URL, expected the address of a broker",
            fix="Set REDIS_URL, or start everything with `make up`, which brings a broker.",
        )
    return settings.redis_url


def open_store(settings: Settings, terms: JobTerms) -> Store:
    """Give the store that the settings name."""
    return Store(terms.store or str(settings.home.resolve() / "results"), settings.home / "runs")


def open_bench(settings: Settings, doorbell: Doorbell) -> Bench:
    """Give what a worker needs; its calls to the broker ride out a restart."""
    terms, database = JobTerms(), patient(broker_url(settings))
    records = Records(database, terms.keep_s, terms.forget_s)
    return Bench(records, Leases(database, terms), open_store(settings, terms), doorbell, terms)


def open_reaper(settings: Settings, doorbell: Doorbell) -> Reaper:
    """Give a reaper."""
    terms, database = JobTerms(), brisk(broker_url(settings))
    records = Records(database, terms.keep_s, terms.forget_s)
    return Reaper(database, records, open_store(settings, terms), doorbell, terms)


def open_roster(settings: Settings) -> Roster:
    """Give the list of workers."""
    return Roster(brisk(broker_url(settings)))


def open_jobs(settings: Settings, admit: Admit) -> JobService:
    """Give the desk at which the API hands in jobs."""
    url, terms = broker_url(settings), JobTerms()
    database: Database = brisk(url)
    office = JobOffice(
        Records(database, terms.keep_s, terms.forget_s),
        open_store(settings, terms),
        CeleryDoorbell(celery_app(url)),
        Events(listening(url)),
        admit,
    )
    return JobService(office, settings.tenant)
