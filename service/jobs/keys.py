"""Names of the Redis keys. Every key of a job carries its tenant."""

import re
import secrets
from dataclasses import dataclass
from typing import Self

PREFIX = "relata"
BROKER_PREFIX = f"{PREFIX}:broker:"
TENANTS = f"{PREFIX}:tenants"
REAPER = f"{PREFIX}:reaper"
WORKERS = f"{PREFIX}:workers"
ID_PATTERN = re.compile(r"^[0-9a-f]{32}$")
TENANT_PATTERN = re.compile(r"^[a-z0-9][a-z0-9_-]{0,62}$")


@dataclass(frozen=True, order=True)
class JobRef:
    """Which job is meant; its text ``tenant/id`` is all that a Celery message carries."""

    tenant: str
    id: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.id}"

    @classmethod
    def new(cls, tenant: str) -> Self:
        """Give a reference with a fresh 128-bit id."""
        return cls(tenant, secrets.token_hex(16))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Give the reference in ``text``.

        Raises:
            ValueError: if it is not ``tenant/id``.
        """
        tenant, _, name = text.partition("/")
        if not TENANT_PATTERN.fullmatch(tenant) or not ID_PATTERN.fullmatch(name):
            raise ValueError("expected a job reference tenant/id with 32 hexadecimal digits")
        return cls(tenant, name)

    @property
    def record(self) -> str:
        """Give the hash that is the job."""
        return f"{record_prefix(self.tenant)}{self.id}"

    @property
    def request(self) -> str:
        """Give the string that holds what was asked for, which may be large."""
        return f"{PREFIX}:{self.tenant}:request:{self.id}"

    @property
    def lease(self) -> str:
        """Give the string that exists while a worker holds the job."""
        return f"{PREFIX}:{self.tenant}:lease:{self.id}"

    @property
    def events(self) -> str:
        """Give the stream of what happened to the job."""
        return f"{PREFIX}:{self.tenant}:events:{self.id}"

    @property
    def jobs(self) -> str:
        """Give the sorted set of all jobs of the tenant, by time of creation."""
        return all_jobs(self.tenant)

    @property
    def open(self) -> str:
        """Give the set of the tenant's jobs that have not ended."""
        return open_jobs(self.tenant)

    @property
    def ended(self) -> str:
        """Give the sorted set of the tenant's ended jobs, by time of expiry."""
        return ended_jobs(self.tenant)


def record_prefix(tenant: str) -> str:
    """Give what the names of a tenant's job hashes begin with."""
    return f"{PREFIX}:{tenant}:job:"


def all_jobs(tenant: str) -> str:
    """Give the sorted set of a tenant's jobs, by time of creation."""
    return f"{PREFIX}:{tenant}:jobs"


def open_jobs(tenant: str) -> str:
    """Give the set of a tenant's jobs that have not ended."""
    return f"{PREFIX}:{tenant}:open"


def ended_jobs(tenant: str) -> str:
    """Give the sorted set of a tenant's ended jobs, by time of expiry."""
    return f"{PREFIX}:{tenant}:ended"


def idempotency(tenant: str, digest: str) -> str:
    """Give the key that remembers which job a caller's Idempotency-Key made."""
    return f"{PREFIX}:{tenant}:idempotency:{digest}"


def queue_list(queue: str) -> str:
    """Give the Redis list that Celery keeps a queue's messages in."""
    return f"{BROKER_PREFIX}{queue}"
