"""Probes and metrics."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service import telemetry
from service.api.media import JSON
from service.api.services import Desk, desk
from service.schemas.answers import BrokerAnswer, ReadyAnswer

router = APIRouter(tags=["health"])


@router.head("/livez", include_in_schema=False)
@router.get("/livez", summary="Is the process alive")
async def livez() -> Response:
    """Say that the process answers; nothing else is looked at."""
    return Response('{"status":"alive"}', media_type=JSON)


@router.head("/readyz", include_in_schema=False)
@router.get(
    "/readyz",
    summary="Can it serve",
    response_model=ReadyAnswer,
    responses={503: {"model": ReadyAnswer, "description": "Not ready; `reasons` say why."}},
)
async def readyz(request: Request) -> Response:
    """Say which runtime serves which models, what was refused, and whether jobs are taken."""
    answer = await _readiness(desk(request))
    status = 200 if answer.status == "ready" else 503
    return Response(answer.model_dump_json(), status_code=status, media_type=JSON)


@router.get("/metrics", summary="Prometheus metrics")
async def metrics() -> Response:
    """Give counters and histograms in Prometheus' text format."""
    return Response(
        telemetry.metrics_page(), headers={"Content-Type": telemetry.METRICS_MEDIA_TYPE}
    )


async def _readiness(at: Desk) -> ReadyAnswer:
    services = at.services
    names = services.store.names()
    serving = {name: services.store.aliases(name) for name in names}
    usable = {name: {"aliases": aliases} for name, aliases in serving.items() if aliases}
    broker = await _broker(at)
    checks = {
        "no model can be served": not usable,
        "the broker does not answer": broker.state == "down",
    }
    reasons = [reason for reason, holds in checks.items() if holds]
    return ReadyAnswer(
        status="not-ready" if reasons else "ready",
        reasons=reasons,
        runtime=services.pipeline.runtime,
        models={name: dict(status) for name, status in usable.items()},
        refused=services.store.refusals(),
        broker=broker,
    )


async def _broker(at: Desk) -> BrokerAnswer:
    jobs = at.services.jobs
    if jobs is None:
        return BrokerAnswer(state="none")
    return BrokerAnswer(state="up" if await jobs.is_reachable() else "down")
