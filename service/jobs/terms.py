"""Settings of jobs, from the environment: ``RELATA_JOB_*``. Durations in seconds."""

from pydantic_settings import BaseSettings, SettingsConfigDict

DAY_S = 24 * 3600.0


class JobTerms(BaseSettings):
    """How long leases, silences and results last; the same for the API and every worker."""

    model_config = SettingsConfigDict(env_prefix="RELATA_JOB_", frozen=True, extra="ignore")

    store: str = ""
    """Where results go, as an address that fsspec knows; default ``<RELATA_HOME>/results``."""
    lease_s: float = 15.0
    """A worker that is silent for so long has lost its job."""
    beat_s: float = 0.25
    """How often a worker reports progress and hears of a cancellation."""
    stall_s: float = 600.0
    """A worker that reports no step for so long is hung and ends itself."""
    cancel_grace_s: float = 1.2
    """What a cancelled computation may still take before its process is ended."""
    most_deaths: int = 3
    """Deaths in a row without a milestone between them that a job may cause."""
    keep_s: float = 7 * DAY_S
    """How long a result can be fetched after the job has ended."""
    forget_s: float = 7 * DAY_S
    """How long an expired job is still known."""
    reap_s: float = 2.0
    """How often jobs without a lease are looked for."""
    ring_s: float = 5.0
    """How long a message may take from the doorbell to a worker before it counts as lost."""
