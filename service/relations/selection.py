"""Bounds an answer: fewer frames, and only the pairs that matter."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from service.errors import InvalidRequest
from service.relations.tables import RelationTable
from service.schemas.requests import Select


def apply(table: RelationTable, select: Select | None) -> RelationTable:
    """Give the part of a table that was asked for.

    ``every`` thins the frames, ``last`` keeps the last of those; then only the pairs stay that pass
    ``top_k`` and ``threshold`` in one of these frames.

    Raises:
        InvalidRequest: if pairs are to be ranked by 1 − p_none and the model has no type for none.
    """
    if select is None:
        return table
    kept = _frames(len(table.frames), select)
    thinned = dataclasses.replace(
        table, frames=table.frames[kept], probabilities=table.probabilities[kept]
    )
    if select.top_k is None and select.threshold is None:
        return thinned
    return _with_pairs(thinned, np.flatnonzero(_passes(thinned, select).any(axis=0)))


def frames_after(select: Select | None, frames: int) -> int:
    """Give how many of so many frames an answer will hold."""
    return frames if select is None else len(_frames(frames, select))


def _frames(frames: int, select: Select) -> NDArray[np.int64]:
    kept = np.arange(0, frames, select.every or 1)
    return kept[-select.last :] if select.last else kept


def _passes(table: RelationTable, select: Select) -> NDArray[np.bool_]:
    """Say for each frame and pair ``[F, E]`` whether it is wanted; an absent pair never is."""
    if table.none_type is None:
        raise InvalidRequest(
            "found a selection by 1 − p_none for a model without a type for none",
            code="no-none-type",
            pointer="/select",
            fix="Use `last` and `every`, and rank the pairs by the type that you mean.",
        )
    surety = 1 - table.probabilities[:, :, table.none_type]
    passes = ~np.isnan(surety)
    if select.threshold is not None:
        passes &= surety >= select.threshold
    if select.top_k is not None and select.top_k < surety.shape[1]:
        order = np.argsort(-np.nan_to_num(surety, nan=-1.0), axis=1, kind="stable")
        ranked = np.zeros_like(passes)
        np.put_along_axis(ranked, order[:, : select.top_k], values=True, axis=1)
        passes &= ranked
    return passes


def _with_pairs(table: RelationTable, pairs: NDArray[np.int64]) -> RelationTable:
    return dataclasses.replace(
        table,
        sources=[table.sources[pair] for pair in pairs],
        targets=[table.targets[pair] for pair in pairs],
        probabilities=table.probabilities[:, pairs],
    )
