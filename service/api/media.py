"""Media types, encodings and preferences in request headers."""

from collections.abc import Mapping, Sequence

from service.errors import InvalidRequest, NotAcceptable, UnsupportedMedia

JSON = "application/json"
PROBLEM_JSON = "application/problem+json"
UTF_8 = frozenset({"utf-8", "utf8", "us-ascii"})
MAX_TIMEOUT_MS = 3_600_000


def check_content(headers: Mapping[str, str]) -> None:
    """Refuse a body that is not plain JSON in UTF-8.

    Raises:
        UnsupportedMedia: naming what is expected.
    """
    media, _, parameters = headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    charset = _parameter(parameters, "charset")
    if not (media == JSON or (media.startswith("application/") and media.endswith("+json"))):
        raise UnsupportedMedia(
            f"found {'another' if media else 'no'} content type, expected {JSON}",
            fix=f"Send the header Content-Type: {JSON}.",
        )
    if charset and charset not in UTF_8:
        raise UnsupportedMedia(
            "found another character set, expected UTF-8",
            code="unsupported-charset",
            fix="Encode the body in UTF-8.",
        )
    if headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise UnsupportedMedia(
            "found a content encoding, expected none",
            code="unsupported-encoding",
            fix="Send the body uncompressed.",
        )


def choose(accept: str | None, offered: Sequence[str]) -> str:
    """Give the offered media type that the caller likes best; the first one if all are equal.

    Raises:
        NotAcceptable: if it accepts none of them.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = [_media_range(part) for part in accept.split(",")]
    quality = [_quality(media, ranges) for media in offered]
    best = max(quality)
    if best <= 0:
        raise NotAcceptable(
            f"expected one of {', '.join(offered)}", fix="Name one of them in Accept, or */*."
        )
    return offered[quality.index(best)]


def prefers_async(headers: Mapping[str, str]) -> bool:
    """Say whether the caller asked for ``Prefer: respond-async`` (RFC 7240)."""
    preferences = headers.get("prefer", "").lower().split(",")
    return any(part.split(";")[0].strip() == "respond-async" for part in preferences)


def timeout_s(headers: Mapping[str, str], most: float) -> float:
    """Give the deadline of a request in seconds: ``X-Request-Timeout-Ms``, and never over `most`.

    Raises:
        InvalidRequest: if the header is no count of milliseconds.
    """
    text = headers.get("x-request-timeout-ms")
    if text is None:
        return most
    if not (text.isascii() and text.isdecimal() and len(text) < 9):
        raise _bad_timeout()
    if not 1 <= int(text) <= MAX_TIMEOUT_MS:
        raise _bad_timeout()
    return min(int(text) / 1000, most)


def _bad_timeout() -> InvalidRequest:
    return InvalidRequest(
        f"expected X-Request-Timeout-Ms from 1 to {MAX_TIMEOUT_MS}",
        code="bad-timeout",
        fix="Send whole milliseconds, or leave the header out.",
    )


def _media_range(part: str) -> tuple[str, float]:
    media, _, parameters = part.partition(";")
    try:
        quality = float(_parameter(parameters, "q") or 1.0)
    except ValueError:
        quality = 0.0
    return media.strip().lower(), quality


def _quality(media: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Give the quality of the most specific range that covers a media type (RFC 9110, 12.5.1)."""
    major = media.split("/")[0]
    for candidate in (media, f"{major}/*", "*/*"):
        found = [quality for name, quality in ranges if name == candidate]
        if found:
            return max(found)
    return 0.0


def _parameter(parameters: str, name: str) -> str:
    for item in parameters.split(";"):
        key, _, value = item.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""
