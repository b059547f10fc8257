"""`/v1/models`: what is served, how good it is, and which version a name means."""

import asyncio
import dataclasses
import re
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from service.api import openapi
from service.api.exchange import off_loop, read_body
from service.api.media import JSON
from service.api.services import Services, desk
from service.artifacts import ArtifactStore, LoadedArtifact
from service.errors import Conflict, InvalidRequest, MalformedBody, NotFound, Unavailable
from service.schemas.models import (
    AliasAnswer,
    AliasRequest,
    ModelDetail,
    ModelList,
    ModelSummary,
    RefusedVersion,
    VersionCard,
)
from service.schemas.parsing import parse_body

router = APIRouter(prefix="/v1/models", tags=["models"])
VERSION = re.compile(r"^[1-9][0-9]{0,8}$")


@router.get("", summary="List all models", response_model=ModelList)
async def list_models(request: Request) -> Response:
    """Give every model with its versions, its aliases and what was refused."""
    store = desk(request).services.store
    return _json(ModelList(models=[_summary(store, name) for name in store.names()]))


@router.get(
    "/{name}",
    summary="Show one model",
    response_model=ModelDetail,
    responses=openapi.problems(NotFound, InvalidRequest),
)
async def show_model(request: Request, name: str) -> Response:
    """Give a model and the card of the version that its bare name means."""
    store = desk(request).services.store
    summary = _summary(store, name)
    champion = summary.aliases.get("champion")
    card = None if champion is None else _card(store, name, store.open(f"{name}@{champion}"))
    return _json(ModelDetail(**summary.model_dump(), champion=card))


@router.get(
    "/{name}/{version}",
    summary="Show one version",
    response_model=VersionCard,
    responses=openapi.problems(NotFound, InvalidRequest),
)
async def show_version(request: Request, name: str, version: str) -> Response:
    """Give the card of a version, by its number or an alias."""
    store = desk(request).services.store
    return _json(_card(store, name, store.open(f"{name}@{version}")))


@router.put(
    "/{name}/aliases/{alias}",
    summary="Promote a version, or roll back",
    response_model=AliasAnswer,
    responses=openapi.problems(MalformedBody, NotFound, Conflict, InvalidRequest),
    openapi_extra=openapi.body(AliasRequest, {"version": 1}),
)
async def put_alias(request: Request, name: str, alias: str) -> Response:
    """Let an alias mean another version, at once and everywhere; no restart."""
    at = desk(request)
    raw = await read_body(request)
    asked = await off_loop(at, lambda: parse_body(AliasRequest, raw))
    previous = await asyncio.to_thread(_promote, at.services, name, alias, asked.version)
    return _json(AliasAnswer(name=name, alias=alias, version=asked.version, previous=previous))


def _promote(services: Services, name: str, alias: str, version: int) -> int | None:
    """Load the version, so that an alias never means one that cannot run; then move the alias."""
    try:
        services.pipeline.open(f"{name}@{version}")
    except Unavailable as error:
        raise Conflict(error.detail, code=error.code, fix=error.fix) from error
    return services.store.promote(name, alias, version)


def _summary(store: ArtifactStore, name: str) -> ModelSummary:
    statuses = store.versions(name)
    usable = [status for status in statuses if status.artifact is not None]
    refused = [
        RefusedVersion(version=status.version, reason=status.refusal.detail)
        for status in statuses
        if status.refusal is not None
    ]
    newest = usable[-1].artifact if usable else None
    return ModelSummary(
        name=name,
        family=newest.manifest.family if newest else None,
        versions=[status.version for status in usable],
        aliases=store.aliases(name),
        refused=refused,
    )


def _card(store: ArtifactStore, name: str, artifact: LoadedArtifact) -> VersionCard:
    manifest = artifact.manifest
    fields: dict[str, Any] = dataclasses.asdict(manifest)
    aliases = store.aliases(name)
    fields["aliases"] = [alias for alias, version in aliases.items() if version == manifest.version]
    fields["card"] = _text(artifact.path / "card.md")
    kept = VersionCard.model_fields.keys()
    return VersionCard.model_validate({key: fields[key] for key in kept})


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _json(answer: ModelList | ModelSummary | VersionCard | AliasAnswer) -> Response:
    return Response(answer.model_dump_json(), media_type=JSON)
