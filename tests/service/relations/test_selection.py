from typing import Any

import numpy as np
import pytest

from service.errors import InvalidRequest
from service.relations.selection import apply, frames_after
from service.relations.tables import ModelRef, RelationTable
from service.schemas.requests import Select


def table(surety: Any, none_type: int | None = 0) -> RelationTable:
    """Give a table of two types from 1 − p_none, ``[F, E]``."""
    p = np.asarray(surety, np.float32)
    return RelationTable(
        model=ModelRef("m", 1, "dnri"),
        estimator="prior",
        static=False,
        relation_types=["none", "push"],
        none_type=none_type,
        frames=np.arange(10, 10 + len(p)),
        sources=[f"s{index}" for index in range(p.shape[1])],
        targets=[f"t{index}" for index in range(p.shape[1])],
        probabilities=np.stack([1 - p, p], axis=-1),
    )


SURETY = [[0.9, 0.1, 0.2], [0.1, 0.6, 0.2], [0.1, 0.1, np.nan]]


def test_nothing_named_gives_everything() -> None:
    full = table(SURETY)
    assert apply(full, None) is full
    assert apply(full, Select()).frames.tolist() == [10, 11, 12]


@pytest.mark.parametrize(
    ("select", "frames"),
    [
        (Select(last=1), [12]),
        (Select(last=9), [10, 11, 12]),
        (Select(every=2), [10, 12]),
        (Select(every=2, last=1), [12]),
        (Select(every=9), [10]),
    ],
)
def test_frames_are_thinned_then_the_last_are_kept(select: Select, frames: list[int]) -> None:
    assert apply(table(SURETY), select).frames.tolist() == frames
    assert frames_after(select, 3) == len(frames)


@pytest.mark.parametrize(
    ("select", "pairs"),
    [
        (Select(threshold=0.5), ["s0", "s1"]),
        (Select(threshold=0.0), ["s0", "s1", "s2"]),
        (Select(threshold=0.95), []),
        (Select(top_k=1), ["s0", "s1"]),
        (Select(top_k=99), ["s0", "s1", "s2"]),
        (Select(last=1, top_k=1), ["s0"]),
        (Select(top_k=2, threshold=0.15), ["s0", "s1", "s2"]),
    ],
)
def test_pairs_are_kept_that_pass_in_any_frame_left(select: Select, pairs: list[str]) -> None:
    found = apply(table(SURETY), select)
    assert found.sources == pairs
    assert found.targets == [pair.replace("s", "t") for pair in pairs]
    assert found.probabilities.shape[1] == len(pairs)


def test_a_pair_that_is_absent_throughout_never_passes() -> None:
    found = apply(table([[np.nan, 0.0]]), Select(threshold=0.0))
    assert found.sources == ["s1"]


def test_a_model_without_a_type_for_none_cannot_rank() -> None:
    assert apply(table(SURETY, None), Select(last=1)).frames.tolist() == [12]
    with pytest.raises(InvalidRequest) as caught:
        apply(table(SURETY, None), Select(top_k=1))
    assert caught.value.code == "no-none-type"


def test_a_table_whose_parts_do_not_fit_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="probabilities: found"):
        RelationTable(
            ModelRef("m", 1, "f"), "prior", False, ["a"], None, np.arange(2), ["s"], ["t"],
            np.zeros((1, 1, 1), np.float32),
        )  # fmt: skip
