"""The walk-through: relations, forecast, picture, and one long rollout as a durable job."""

import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from service.demo import recordings, tables
from service.demo.caller import Caller
from service.demo.picture import draw
from service.demo.recordings import Exhibit
from service.supervisor import StackError

SEED = 1
SAMPLES = 128
QUANTILES = [0.05, 0.5, 0.95]
LONG_HORIZON, LONG_SAMPLES = 200, 256
KILOBYTE = 1000


def first_answer(console: Console, url: str) -> None:
    """Do the main job once on the bundled example and print the answer."""
    with Caller(url) as caller:
        if recordings.PUSH_MODEL not in caller.models():
            console.print(f"{recordings.PUSH_MODEL} is not served, so there is no first answer.")
            return
        exhibit = recordings.push()
        began = time.perf_counter()
        relations = _relations(caller, exhibit)
        forecast = _forecast(caller, exhibit)
        took_ms = (time.perf_counter() - began) * 1000
    console.print(tables.relation_table(exhibit, relations))
    console.print(tables.error_table(tables.errors(exhibit, forecast), _unit(exhibit)))
    console.print(f"Two requests, {took_ms:.0f} ms.", highlight=False)


def walk_through(console: Console, url: str, home: Path, data: Path | None) -> None:
    """Show all of it once; files go to ``home``."""
    with Caller(url) as caller:
        exhibit = recordings.choose(data, caller.models())
        console.rule(f"[bold]{exhibit.title}", align="left")
        if exhibit.notice:
            console.print(exhibit.notice, style="dim", highlight=False)
        console.print("\n[bold]1  Relations[/]: POST /infer-relations")
        relations = _relations(caller, exhibit)
        console.print(tables.relation_table(exhibit, relations))
        if exhibit.truth is not None:
            score = tables.agreement(relations, exhibit.truth)
            console.print(f"Agreement with what really acted, F1: {score:.2f}", highlight=False)
        console.print("\n[bold]2  Forecast[/]: POST /forecast")
        forecast = _forecast(caller, exhibit)
        console.print(tables.error_table(tables.errors(exhibit, forecast), _unit(exhibit)))
        picture = home / "demo.svg"
        picture.write_text(draw(exhibit, relations, forecast), encoding="utf-8")
        console.print(f"\n[bold]3  Picture[/]: {picture}", highlight=False)
        console.print("\n[bold]4  A long rollout as a job[/]: POST /v1/jobs")
        _long_rollout(console, caller, exhibit, home / "demo-rollout.json")


def _relations(caller: Caller, exhibit: Exhibit) -> dict[str, Any]:
    body = {"model": exhibit.model, "estimator": "posterior", "trajectory": exhibit.trajectory}
    return caller.ask("/infer-relations", body)


def _forecast(caller: Caller, exhibit: Exhibit) -> dict[str, Any]:
    body = {
        "model": exhibit.model,
        "trajectory": exhibit.beginning,
        "horizon": exhibit.horizon,
        "num_samples": SAMPLES if exhibit.truth is not None else SAMPLES // 8,
        "seed": SEED,
        "quantiles": QUANTILES,
    }
    return caller.ask("/forecast", body)


def _long_rollout(console: Console, caller: Caller, exhibit: Exhibit, path: Path) -> None:
    is_small = exhibit.truth is not None
    horizon, samples = (LONG_HORIZON, LONG_SAMPLES) if is_small else (100, 32)
    request = {
        "model": exhibit.model,
        "trajectory": exhibit.beginning,
        "horizon": horizon,
        "num_samples": samples,
        "seed": SEED,
        "quantiles": QUANTILES,
    }
    began = time.perf_counter()
    job = caller.ask("/v1/jobs", {"kind": "forecast", "request": request})
    console.print(f"accepted as {job['id']}: {samples} paths of {horizon} steps", highlight=False)
    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console) as bars:
        bar = bars.add_task("queued", total=None)

        def show(state: dict[str, Any]) -> None:
            progress = state["progress"]
            bars.update(
                bar,
                description=progress["phase"],
                completed=progress["done"],
                total=progress["total"] or None,
            )

        job = caller.follow(job, show)
    if job["state"] != "succeeded":
        detail = job.get("error", {}).get("detail", "no reason given")
        raise StackError(f"the rollout job {job['state']}: {detail}")
    body = caller.fetch(job["links"]["result"])
    path.write_bytes(body)
    seconds = time.perf_counter() - began
    size = f"{len(body) / KILOBYTE:.0f} kB"
    console.print(f"done in {seconds:.1f} s, {size} downloaded to {path}", highlight=False)


def _unit(exhibit: Exhibit) -> str:
    return str(exhibit.trajectory["units"]["x"])
