"""Whatever is sent, the answer is a body of the contract or a 4xx problem document."""

import copy
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from service.schemas.answers import ForecastAnswer, ProblemAnswer, RelationsAnswer
from service.schemas.examples import forecast_example, infer_relations_example

CALLS: dict[str, tuple[Any, Any]] = {
    "/infer-relations": (infer_relations_example(), RelationsAnswer),
    "/forecast": (forecast_example(), ForecastAnswer),
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["dnri-push3", "p1", "x", "prior", "samples", "push"])
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def places(body: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the path of every value inside a document."""
    items = body.items() if isinstance(body, dict) else enumerate(body)
    found: list[tuple[Any, ...]] = []
    for key, value in items:
        found.append((*path, key))
        if isinstance(value, dict | list):
            found += places(value, (*path, key))
    return found


def spoilt(body: Any, path: tuple[Any, ...], junk: Any, action: str) -> Any:
    """Give the document with one value replaced, removed or doubled."""
    changed = copy.deepcopy(body)
    holder = changed
    for key in path[:-1]:
        holder = holder[key]
    if action == "remove":
        del holder[path[-1]]
    elif action == "add" and isinstance(holder, dict):
        holder[str(junk)[:20]] = junk
    elif action == "add":
        holder.append(junk)
    else:
        holder[path[-1]] = junk
    return changed


def check(answer: Any, contract: Any) -> None:
    if answer.status_code == 200:
        contract.model_validate_json(answer.content, strict=True)
    else:
        assert 400 <= answer.status_code < 500, answer.text
        ProblemAnswer.model_validate_json(answer.content)


@pytest.mark.parametrize("path", CALLS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_one_spoilt_value_gives_an_answer_or_a_refusal(
    client: TestClient, path: str, data: st.DataObject
) -> None:
    body, contract = CALLS[path]
    place = data.draw(st.sampled_from(places(body)))
    action = data.draw(st.sampled_from(["replace", "remove", "add"]))
    changed = spoilt(body, place, data.draw(JUNK), action)
    check(client.post(path, json=changed), contract)


@pytest.mark.parametrize("path", CALLS)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_bytes_that_were_cut_or_changed_give_an_answer_or_a_refusal(
    client: TestClient, path: str, data: st.DataObject
) -> None:
    body, contract = CALLS[path]
    text = bytearray(orjson.dumps(body))
    for _ in range(data.draw(st.integers(1, 4))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(text)))
    content = bytes(text[:end]) if data.draw(st.booleans()) else bytes(text)
    headers = {"Content-Type": "application/json"}
    check(client.post(path, content=content, headers=headers), contract)
