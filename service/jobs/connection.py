"""Connections to Redis: one patient, for work that must outlive a broker restart, one brisk."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import redis
from redis import asyncio as aioredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

PATIENT_TRIES = 180
BRISK_TRIES = 2
SLOWEST_RETRY_S = 1.0
FIRST_RETRY_S = 0.05
SOCKET_TIMEOUT_S = 5.0
LONGEST_BLOCK_S = 4.0
"""A blocking read must end before the socket's own timeout."""

Value = str | int | float


class Database:
    """The Redis calls that jobs use, typed; every one of them is retried when the broker is away.

    All of them may therefore be executed twice: each script is written so that this does no harm.
    """

    def __init__(self, url: str, tries: int) -> None:
        """Connect lazily; ``tries`` is how often a call is repeated, about a second apart."""
        connect = cast("Callable[..., Any]", redis.Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
        self._client: Any = connect(
            url,
            decode_responses=True,
            socket_timeout=SOCKET_TIMEOUT_S,
            socket_connect_timeout=SOCKET_TIMEOUT_S,
            socket_keepalive=True,
            health_check_interval=25,
            retry=Retry(ExponentialBackoff(SLOWEST_RETRY_S, FIRST_RETRY_S), tries),
        )
        self._scripts: dict[str, Any] = {}

    def run(self, script: str, keys: Sequence[str], args: Sequence[Value]) -> Any:
        """Run a Lua script; a broker that forgot it is taught it again."""
        if script not in self._scripts:
            self._scripts[script] = self._client.register_script(script)
        return self._scripts[script](keys=list(keys), args=list(args))

    def fields(self, key: str) -> dict[str, str]:
        """Give the hash at ``key``; empty if there is none."""
        return cast("dict[str, str]", self._client.hgetall(key))

    def all_fields(self, keys: Sequence[str]) -> list[dict[str, str]]:
        """Give the hashes at ``keys`` in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.hgetall(key)
        return cast("list[dict[str, str]]", pipeline.execute())

    def set_field(self, key: str, field: str, value: str) -> None:
        """Write one field of a hash."""
        self._client.hset(key, field, value)

    def remove_field(self, key: str, field: str) -> None:
        """Remove one field of a hash."""
        self._client.hdel(key, field)

    def members(self, key: str) -> set[str]:
        """Give the members of a set."""
        return cast("set[str]", self._client.smembers(key))

    def newest(self, key: str, start: int, count: int) -> list[str]:
        """Give members of a sorted set, highest score first."""
        return cast("list[str]", self._client.zrevrange(key, start, start + count - 1))

    def rank_from_newest(self, key: str, member: str) -> int | None:
        """Give how many members score higher than ``member``; None if it is not one."""
        return cast("int | None", self._client.zrevrank(key, member))

    def due(self, key: str, now: float) -> list[str]:
        """Give the members of a sorted set whose score is at most ``now``."""
        return cast("list[str]", self._client.zrangebyscore(key, "-inf", now))

    def length(self, key: str) -> int:
        """Give the number of entries of a list."""
        return int(self._client.llen(key))

    def exist(self, keys: Sequence[str]) -> list[bool]:
        """Say for each key whether it exists, in one round trip."""
        pipeline = self._client.pipeline(transaction=False)
        for key in keys:
            pipeline.exists(key)
        return [bool(found) for found in pipeline.execute()]

    def hold(self, key: str, holder: str, milliseconds: int) -> bool:
        """Take or keep a lock for a while; false if somebody else has it."""
        if self._client.set(key, holder, nx=True, px=milliseconds):
            return True
        if self._client.get(key) != holder:
            return False
        return bool(self._client.pexpire(key, milliseconds))

    def put(self, key: str, value: str, milliseconds: int) -> None:
        """Write a string that disappears by itself."""
        self._client.set(key, value, px=milliseconds)

    def read(self, key: str) -> str | None:
        """Give the string at ``key``."""
        return cast("str | None", self._client.get(key))

    def delete(self, key: str) -> None:
        """Remove a key."""
        self._client.delete(key)

    def is_reachable(self) -> bool:
        """Say whether the broker answers now."""
        try:
            return bool(self._client.ping())
        except RedisError:
            return False

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()


def patient(url: str) -> Database:
    """Give a connection that rides out a broker that is away for about three minutes."""
    return Database(url, PATIENT_TRIES)


def brisk(url: str) -> Database:
    """Give a connection that says within about a second that the broker is away."""
    return Database(url, BRISK_TRIES)


def listening(url: str) -> Any:
    """Give an event-loop client for waiting on streams."""
    connect = cast("Callable[..., Any]", aioredis.Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    return connect(
        url,
        decode_responses=True,
        socket_timeout=SOCKET_TIMEOUT_S,
        retry=AsyncRetry(ExponentialBackoff(SLOWEST_RETRY_S, FIRST_RETRY_S), BRISK_TRIES),
    )
