"""`/`: the page for people."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

from service.errors import NotFound
from service.security import PAGE_POLICY

router = APIRouter(include_in_schema=False)
SERVICE = Path(__file__).resolve().parent.parent
FILES: Mapping[str, Path] = {
    "index.html": SERVICE / "console" / "index.html",
    "page.css": SERVICE / "console" / "page.css",
    "page.js": SERVICE / "console" / "page.js",
    "icon.svg": SERVICE / "console" / "icon.svg",
    "example.json": SERVICE / "examples" / "push3.json",
}
MEDIA_TYPES: Mapping[str, str] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
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
    if name not in FILES:
        raise NotFound("there is no such path", code="route-not-found", fix="See /docs.")
    path = FILES[name]
    headers = {"Content-Security-Policy": PAGE_POLICY, "Content-Type": MEDIA_TYPES[path.suffix]}
    return Response(_content(path), headers=headers)


@cache
def _content(path: Path) -> bytes:
    return path.read_bytes()
