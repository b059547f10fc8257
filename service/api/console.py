"""`/`: the page for people."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import NotFound
from service.security import PAGE_POLICY

router = APIRouter(include_in_schema=False)
FOLDER = Path(__file__).resolve().parent.parent / "console"
MEDIA_TYPES: Mapping[str, str] = {
    "index.html": "text/html; charset=utf-8",
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
}


@router.api_route("/", methods=["GET", "HEAD"])
def page() -> Response:
    """Give the page: models, and one example that can be run."""
    return _file("index.html")


@router.api_route("/console/{name}", methods=["GET", "HEAD"])
def asset(name: str) -> Response:
    """Give a file of the page."""
    return _file(name)


def _file(name: str) -> Response:
    if name not in MEDIA_TYPES:
        raise NotFound("there is no such path", code="route-not-found", fix="See /docs.")
    headers = {"Content-Security-Policy": PAGE_POLICY, "Content-Type": MEDIA_TYPES[name]}
    return Response(_content(name), headers=headers)


@cache
def _content(name: str) -> bytes:
    return (FOLDER / name).read_bytes()
