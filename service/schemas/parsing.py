"""From bytes to a checked request, with errors that say what to do and never repeat the input."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar, cast

import orjson
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from service.errors import MAX_FINDINGS, Finding, InvalidRequest, MalformedBody

Model = TypeVar("Model", bound=BaseModel)
SAFE_MEMBER = re.compile(r"^[A-Za-z0-9_.-]{1,64}$")
MAX_ARRAYS = 700_000
NON_FINITE = re.compile(rb"-?\s*(NaN|Infinity|inf|nan)")
NON_FINITE_FIX = "JSON has no NaN or infinity: send null in place of the row of an absent entity."

CODES = {
    "missing": "missing-field",
    "extra_forbidden": "unknown-field",
    "one-or-many": "one-or-many",
    "one-source": "one-source",
    "string_too_short": "empty-string",
    "string_too_long": "too-long",
    "too_short": "too-few",
    "too_long": "too-many",
    "too_many_members": "too-many",
    "finite_number": "not-finite",
    "string_pattern_mismatch": "bad-name",
    "literal_error": "unknown-choice",
    "enum": "unknown-choice",
}
EXPECTED = {
    "missing": "this field",
    "extra_forbidden": "no such field",
    "model_type": "an object",
    "dict_type": "an object",
    "list_type": "an array",
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "int_parsing": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_pattern_mismatch": "a name",
    "literal_error": "{expected}",
    "greater_than": "more than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "too_short": "a length of at least {min_length}",
    "too_long": "a length of at most {max_length}",
    "string_too_short": "a length of at least {min_length}",
    "string_too_long": "a length of at most {max_length}",
}
"""What stands in the place of pydantic's own sentences, which speak of Python."""
FIXES = {
    "missing-field": "Add the field.",
    "unknown-field": "Remove the field; its name may be misspelt.",
    "wrong-type": "Send a JSON value of the expected type; nothing is converted silently.",
    "out-of-range": "Send a value within the range.",
    "bad-name": "Use lower-case letters, digits, '.', '_' and '-', at most 64, no path; "
    "a model may end in '@alias' or '@version'.",
    "one-or-many": "Send `trajectory` for one recording, `trajectories` for a list.",
    "not-finite": NON_FINITE_FIX,
    "one-source": "Name a bundled `experiment`, or a `dataset` that was uploaded.",
    "empty-string": "Give every id at least one character.",
    "too-long": "Shorten the text.",
    "too-few": "Send at least one item, or leave the field out where it may be.",
    "too-many": "Send fewer items; misspelt or repeated members count too.",
    "unknown-choice": "Send one of the words that are listed.",
}


def decode_json(body: bytes) -> object:
    """Give the JSON document in ``body``.

    Raises:
        InvalidRequest: if it holds more arrays than any recording that fits into a body.
        MalformedBody: if it is not JSON; too deep and non-finite numbers have codes of their own.
    """
    # Millions of empty lists cost the decoder, and everybody else, seconds for a few bytes each.
    arrays = body.count(b"[")
    if arrays > MAX_ARRAYS:
        raise InvalidRequest(
            f"found {arrays} arrays, expected at most {MAX_ARRAYS}",
            code="cost-over-limit",
            fix="Cut or thin the recording.",
        )
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _malformed(body, error) from None


def parse_body(model: type[Model], body: bytes) -> Model:
    """Decode and check a body in one go."""
    return parse(model, decode_json(body))


def parse(model: type[Model], payload: object) -> Model:
    """Give the request in ``payload``.

    Raises:
        InvalidRequest: with at most 20 findings, each with code, pointer and fix.
    """
    if not isinstance(payload, dict):
        raise InvalidRequest(
            f"found {_json_kind(payload)}, expected an object",
            code="wrong-type",
            fix=FIXES["wrong-type"],
        )
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        # include_input=False: the document must never grow with, or show, what was sent.
        details = error.errors(include_url=False, include_input=False, include_context=True)
        raise InvalidRequest.from_findings(_findings(details, cast("object", payload))) from None


def _findings(details: Sequence[ErrorDetails], payload: object) -> list[Finding]:
    return [_finding(detail, payload) for detail in details[:MAX_FINDINGS]]


def _finding(detail: ErrorDetails, payload: object) -> Finding:
    code = CODES.get(detail["type"]) or _family(detail["type"])
    where, found = locate(detail["loc"], payload)
    return Finding(code, f"found {found}, {expectation(detail)}", where, FIXES.get(code, ""))


def expectation(detail: Mapping[str, Any]) -> str:
    """Give what one of pydantic's errors expected, in the words of JSON."""
    wanted = EXPECTED.get(detail["type"])
    if wanted is None:
        return detail["msg"][:1].lower() + detail["msg"][1:]
    return "expected " + wanted.format(**detail.get("ctx", {}))


def _family(kind: str) -> str:
    bounds = ("greater_than", "less_than", "greater_than_equal", "less_than_equal")
    return "out-of-range" if kind in bounds else "wrong-type"


def locate(location: Sequence[int | str], payload: object) -> tuple[str, str]:
    """Give the JSON pointer of a location in ``payload``, and what stands there, in words.

    The pointer ends at a member whose name is no plain word, since that would repeat the input, and
    at a part that is not in the document, such as the name of a choice between types.
    """
    path = ""
    here: Any = payload
    for part in location:
        if not isinstance(here, dict | list) or not SAFE_MEMBER.fullmatch(str(part)):
            break
        if isinstance(here, dict) and part not in here:
            missing = part == location[-1]
            return (f"{path}/{part}", "nothing") if missing else (path, _json_kind(payload))
        path += f"/{part}"
        here = cast("Any", here)[part]
    return path, _json_kind(cast("object", here))


def _malformed(body: bytes, error: orjson.JSONDecodeError) -> MalformedBody:
    if "depth limit" in error.msg or "recursion" in error.msg:
        return MalformedBody(
            "the body nests deeper than 1024 levels",
            code="too-deep",
            fix="`values` needs three levels: frames, entities, features.",
        )
    near = body[max(0, error.pos - 1) : error.pos + 16]
    if "infinity" in error.msg or NON_FINITE.match(near.lstrip(b"[,: \n\t")):
        return MalformedBody(
            f"a number at byte {error.pos} is not finite", code="not-finite", fix=NON_FINITE_FIX
        )
    return MalformedBody(
        f"line {error.lineno}, column {error.colno}: {error.msg.split(':')[0]}",
        fix="Send one JSON object in UTF-8.",
    )


def _json_kind(payload: object) -> str:
    kinds: dict[type[Any], str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        int: "an integer",
        float: "a number",
        type(None): "null",
    }
    return kinds.get(cast("type[Any]", type(payload)), "a value")
