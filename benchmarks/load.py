"""Closed loops against a running service: each caller asks again as soon as it is answered."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np


@dataclass(frozen=True)
class Timing:
    """What a number of callers saw. Times are in seconds, ``rate`` in answers per second."""

    answers: int
    median: float
    p95: float
    rate: float


async def ask_repeatedly(
    url: str, path: str, body: dict[str, Any], *, callers: int, requests: int
) -> Timing:
    """Send ``requests`` bodies from ``callers`` callers at once, after one that is not counted.

    Raises:
        httpx.HTTPStatusError: at the first answer that is no success.
    """
    taken: list[float] = []
    limits = httpx.Limits(max_connections=callers)
    async with httpx.AsyncClient(base_url=url, timeout=120, limits=limits) as client:
        await _ask(client, path, body)
        shares = [requests // callers + (i < requests % callers) for i in range(callers)]
        began = time.perf_counter()
        await asyncio.gather(*(_caller(client, path, body, share, taken) for share in shares))
        wall = time.perf_counter() - began
    median, p95 = np.quantile(taken, (0.5, 0.95))
    return Timing(len(taken), float(median), float(p95), len(taken) / wall)


async def _caller(
    client: httpx.AsyncClient, path: str, body: dict[str, Any], share: int, taken: list[float]
) -> None:
    for _ in range(share):
        taken.append(await _ask(client, path, body))


async def _ask(client: httpx.AsyncClient, path: str, body: dict[str, Any]) -> float:
    began = time.perf_counter()
    answer = await client.post(path, json=body)
    answer.raise_for_status()
    return time.perf_counter() - began
