"""What a browser may do with our pages, and which request ids we take over."""

import re
import uuid
from collections.abc import Mapping

PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# The API docs' own script sets styles on elements; it loads nothing from elsewhere.
DOCS_POLICY = PAGE_POLICY.replace("style-src 'self'", "style-src 'self' 'unsafe-inline'")

EVERY_ANSWER: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}

UUID_OR_ULID = re.compile(
    r"^(?:[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}|[0-9A-HJKMNP-TV-Za-hjkmnp-tv-z]{26})$"
)


def request_id(offered: str | None) -> str:
    """Give the caller's request id if it is a UUID or ULID, a new one otherwise."""
    if offered and UUID_OR_ULID.fullmatch(offered):
        return offered
    return str(uuid.uuid4())
