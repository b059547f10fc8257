"""Time the service: ``python -m benchmarks [--url URL] [--requests 50]``."""

import asyncio
from collections.abc import Generator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.load import Timing, ask_repeatedly
from benchmarks.recordings import wandering
from benchmarks.server import started_service


@dataclass(frozen=True)
class Case:
    """One question, and how many callers put it at the same time."""

    model: str
    what: str
    path: str
    body: dict[str, Any]
    callers: int


def cases(card: dict[str, Any]) -> Generator[Case]:
    """Give the questions for one model: its trained window, few and many entities and callers."""
    name, trained = card["name"], card["trained"]
    for entities in sorted({trained["min_entities"], trained["max_entities"]}):
        trajectory = wandering(card, entities, trained["window"], seed=1)
        body = {"model": name, "trajectory": trajectory}
        size = f"N={entities} T={trained['window']}"
        for callers in (1, 8):
            yield Case(name, f"relations {size}", "/infer-relations", body, callers)
        for paths in (1, 32):
            horizon = trained["horizon"]
            asked = body | {"horizon": horizon, "num_samples": paths, "seed": 1}
            yield Case(name, f"forecast {size} H={horizon} S={paths}", "/forecast", asked, 1)


def champions(url: str) -> list[dict[str, Any]]:
    """Give the card of each model's champion."""
    with httpx.Client(base_url=url, timeout=30) as client:
        listed = client.get("/v1/models").raise_for_status().json()["models"]
        details = [client.get(f"/v1/models/{m['name']}").raise_for_status() for m in listed]
    cards = [detail.json()["champion"] for detail in details]
    return [card for card in cards if card is not None]


async def measure(url: str, requests: int, console: Console) -> list[tuple[Case, Timing]]:
    """Put every question in turn."""
    measured: list[tuple[Case, Timing]] = []
    for card in champions(url):
        for case in cases(card):
            with console.status(f"{case.model}: {case.what}, {case.callers} callers"):
                timing = await ask_repeatedly(
                    url, case.path, case.body, callers=case.callers, requests=requests
                )
            measured.append((case, timing))
    return measured


def report(measured: list[tuple[Case, Timing]]) -> Table:
    """Lay the measurements out for a person."""
    table = Table(title="Milliseconds from sending a body to having read its answer")
    for heading in ("model", "question"):
        table.add_column(heading)
    for heading in ("callers", "answers", "median", "95 %", "per second"):
        table.add_column(heading, justify="right")
    for case, timing in measured:
        numbers = (f"{1e3 * timing.median:.1f}", f"{1e3 * timing.p95:.1f}", f"{timing.rate:.1f}")
        table.add_row(case.model, case.what, str(case.callers), str(timing.answers), *numbers)
    return table


def main(
    url: Annotated[str, typer.Option(help="A running service; else one is started.")] = "",
    requests: Annotated[int, typer.Option(help="Bodies per question.", min=1)] = 50,
) -> None:
    """Time the served models on this machine."""
    console = Console()
    with nullcontext(url) if url else started_service() as address:
        measured = asyncio.run(measure(address, requests, console))
    console.print(report(measured))


if __name__ == "__main__":
    typer.run(main)
