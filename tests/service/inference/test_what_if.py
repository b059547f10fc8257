import pytest

from service.errors import InvalidRequest
from service.inference.what_if import forced_rows
from service.schemas.requests import ForcedRelation
from tests.service.networks import small_manifest

ENTITIES = ("a", "b", "c")
SPAN = (10, 14)


def rows(*relations: dict):
    forced = [ForcedRelation(**relation) for relation in relations]
    return forced_rows(forced, small_manifest(), ENTITIES, frozenset({"c"}), SPAN)


def test_nothing_forced_is_no_rule():
    assert rows() is None


def test_names_and_numbers_of_types_become_rules_in_forecast_steps():
    rules = rows(
        {"source": "a", "target": "b", "type": "pull", "frames": [11, 12]},
        {"source": "b", "target": "a", "type": 0},
    )
    assert rules.source.tolist() == [0, 1]
    assert rules.target.tolist() == [1, 0]
    assert rules.type.tolist() == [2, 0]
    assert rules.first.tolist() == [1, 0]
    assert rules.last.tolist() == [2, 4]


@pytest.mark.parametrize(
    ("change", "code", "member"),
    [
        ({"source": "z"}, "unknown-entity", "source"),
        ({"target": "z"}, "unknown-entity", "target"),
        ({"target": "c"}, "absent-entity", "target"),
        ({"target": "a"}, "self-relation", "target"),
        ({"type": "shove"}, "unknown-relation-type", "type"),
        ({"type": 3}, "unknown-relation-type", "type"),
        ({"frames": [12, 11]}, "forced-frames", "frames"),
        ({"frames": [0, 9]}, "forced-frames", "frames"),
        ({"frames": [15, 20]}, "forced-frames", "frames"),
    ],
)
def test_what_is_not_there_is_refused_by_name(change, code, member):
    good = {"source": "a", "target": "b", "type": "push"}
    with pytest.raises(InvalidRequest) as refusal:
        rows(good, good | change)
    assert refusal.value.code == code
    assert refusal.value.pointer == f"/relations/1/{member}"
    assert refusal.value.fix
