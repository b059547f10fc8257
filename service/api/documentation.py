"""`/docs`: Swagger UI from an installed package, so that it works without a network."""

import importlib.util
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response

from service.errors import NotFound, Unavailable
from service.security import DOCS_POLICY

router = APIRouter(include_in_schema=False)
PACKAGE = "fastapi_offline"  # ships Swagger UI 5; only its files are used
MEDIA_TYPES: Mapping[str, str] = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
}
START = """window.addEventListener("load", () => {
  SwaggerUIBundle({url: "/openapi.json", dom_id: "#docs", deepLinking: true});
});
"""
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Relata API</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
<div id="docs"></div>
<script src="/docs/assets/swagger-ui-bundle.js"></script>
<script src="/docs/assets/start.js"></script>
</body>
</html>
"""


@router.api_route("/docs", methods=["GET", "HEAD"])
async def docs() -> Response:
    """Give the page."""
    return HTMLResponse(PAGE, headers={"Content-Security-Policy": DOCS_POLICY})


@router.api_route("/docs/assets/{name}", methods=["GET", "HEAD"])
def docs_asset(name: str) -> Response:
    """Give one of the page's three files."""
    if name == "start.js":
        return Response(START, media_type="text/javascript")
    if name not in MEDIA_TYPES:
        raise NotFound("there is no such path", code="route-not-found", fix="See /docs.")
    headers = {"Cache-Control": "public, max-age=86400"}
    return Response(_asset(name), media_type=MEDIA_TYPES[name], headers=headers)


@cache
def _asset(name: str) -> bytes:
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise Unavailable(
            "the package with the documentation's assets is not installed",
            code="docs-not-installed",
            fix="pip install fastapi-offline; /openapi.json is there without it.",
        )
    return (Path(spec.submodule_search_locations[0]) / "static" / name).read_bytes()
