"""What-if: relations that the caller sets, turned into rules for the rollouts."""

from collections.abc import Sequence

import numpy as np

from models.manifest import Manifest
from service.errors import Finding, InvalidRequest
from service.inference.scenes import ForcedRows
from service.schemas.requests import ForcedRelation

Rule = tuple[int, int, int, int, int]
MOST_NAMED = 20


def forced_rows(
    relations: Sequence[ForcedRelation],
    manifest: Manifest,
    entities: Sequence[str],
    absent: frozenset[str],
    frames: tuple[int, int],
) -> ForcedRows | None:
    """Give the rules of a forecast; where two speak of the same pair and frame the later one holds.

    Args:
        relations: what the caller sent.
        manifest: knows the relation types.
        entities: the N ids.
        absent: ids of those not present in the last given frame.
        frames: first and last frame, in the caller's numbers, whose relations the forecast uses.

    Raises:
        InvalidRequest: with a finding for each relation that names something that is not there.
    """
    if not relations:
        return None
    place = {entity: row for row, entity in enumerate(entities)}
    rules, findings = list[Rule](), list[Finding]()
    for index, relation in enumerate(relations):
        finding = _finding(relation, manifest, place, absent, frames)
        if finding is None:
            rules.append(_rule(relation, manifest, place, frames))
        else:
            code, detail, member, fix = finding
            findings.append(Finding(code, detail, f"/relations/{index}/{member}", fix))
    if findings:
        raise InvalidRequest.from_findings(findings[:MOST_NAMED])
    return ForcedRows(*np.array(rules, np.int64).T)


def _rule(
    relation: ForcedRelation, manifest: Manifest, place: dict[str, int], frames: tuple[int, int]
) -> Rule:
    first, last = relation.frames or frames
    kind = relation.type
    number = kind if isinstance(kind, int) else manifest.relation_types.index(kind)
    source, target = place[relation.source], place[relation.target]
    return source, target, number, first - frames[0], last - frames[0]


def _finding(
    relation: ForcedRelation,
    manifest: Manifest,
    place: dict[str, int],
    absent: frozenset[str],
    frames: tuple[int, int],
) -> tuple[str, str, str, str] | None:
    for member, entity in (("source", relation.source), ("target", relation.target)):
        if entity not in place:
            fix = "Name entities as in `trajectory.entities`."
            return "unknown-entity", "found an entity that is not in the trajectory", member, fix
        if entity in absent:
            fix = "Force relations between entities present in the last given frame."
            return "absent-entity", "the entity is absent in the last given frame", member, fix
    if relation.source == relation.target:
        fix = "Relations are between two entities."
        return "self-relation", "found the source as its own target", "target", fix
    return _type_finding(relation, manifest) or _frames_finding(relation, frames)


def _type_finding(relation: ForcedRelation, manifest: Manifest) -> tuple[str, str, str, str] | None:
    kind, names = relation.type, manifest.relation_types
    known = kind < len(names) if isinstance(kind, int) else kind in names
    if known:
        return None
    expected = ", ".join(f"{name!r} ({index})" for index, name in enumerate(names))
    detail = f"found a relation type that the model does not have; expected one of {expected}"
    return "unknown-relation-type", detail, "type", "Use a name or an index of the model's types."


def _frames_finding(
    relation: ForcedRelation, frames: tuple[int, int]
) -> tuple[str, str, str, str] | None:
    if relation.frames is None:
        return None
    first, last = relation.frames
    if first <= last and first <= frames[1] and last >= frames[0]:
        return None
    detail = (
        f"found frames {first} to {last}, expected a span that meets {frames[0]} to {frames[1]}"
    )
    fix = "The first forecast step acts at the last given frame; both ends are included."
    return "forced-frames", detail, "frames", fix
