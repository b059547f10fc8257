"""What a reader should doubt: each warning says what was found and what training covered."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from models.manifest import Manifest
from service.inference.runtimes.protocol import Floats
from service.inference.scaling import Scaling
from service.relations.tables import Notice

TOLERANCE = 1.05
"""Trained ranges that a value may lie in without a warning."""
COLLAPSE = 0.98


def input_notices(manifest: Manifest, scaling: Scaling, values: Floats) -> Iterator[Notice]:
    """Doubt the given window ``[T, N, D]`` (normalised, NaN: absent)."""
    yield from _count_notices(manifest, values.shape[1])
    rows = values[~np.isnan(values[..., 0])]
    outside = np.abs(rows - scaling.centre) > TOLERANCE * scaling.reach
    for column, feature in enumerate(manifest.features):
        share = float(outside[:, column].mean()) if len(rows) else 0.0
        if share:
            yield Notice(
                "out-of-range",
                f"{feature.name}: {_percent(share)} of the values lie outside what the model was "
                f"trained on, {feature.minimum:g} to {feature.maximum:g} {feature.unit}",
            )


def company_notices(values: Floats) -> Iterator[Notice]:
    """Doubt a window ``[T, N, D]`` (NaN: absent) in which nobody meets anybody."""
    present = ~np.isnan(values[..., 0])
    if not (present.sum(axis=1) > 1).any():
        yield Notice(
            "no-pairs",
            "no two entities are present in the same frame (one whose velocity is derived counts "
            "from its second frame on): there are no relations to tell",
        )


def newcomer_notices(given: Sequence[object], present: npt.NDArray[np.bool_]) -> Iterator[Notice]:
    """Doubt a last frame whose rows were ``given`` but are not all ``present``: ``[N]`` each."""
    found = sum(row is not None for row in given) - int(present.sum())
    if found > 0:
        yield Notice(
            "appeared-last",
            f"entities that appear only in the last given frame: {found}; their velocities cannot "
            "be derived yet, so they are taken as absent",
        )


def horizon_notices(manifest: Manifest, horizon: int) -> Iterator[Notice]:
    """Doubt a forecast that is longer than those the model was trained or measured on."""
    if horizon > manifest.trained.horizon:
        yield Notice(
            "horizon-beyond-trained",
            f"{horizon} steps were asked for, the model was trained on {manifest.trained.horizon}",
        )
    measured = len(manifest.bands.residual_variance)
    if not measured:
        yield Notice("bands-unmeasured", "the model has no measured bands: no quantiles are given")
    elif horizon > measured:
        yield Notice(
            "bands-extended",
            f"bands were measured for {measured} steps; beyond them their last growth goes on",
        )


def relation_notices(
    manifest: Manifest, probabilities: npt.NDArray[np.floating]
) -> Iterator[Notice]:
    """Doubt relations ``[F, E, K]`` (NaN: absent) that are all of one type."""
    rows = probabilities[~np.isnan(probabilities[..., 0])]
    if not len(rows) or manifest.edge_types < 2:
        return
    shares = np.bincount(rows.argmax(axis=-1), minlength=manifest.edge_types) / len(rows)
    most = int(shares.argmax())
    if shares[most] > COLLAPSE:
        yield Notice(
            "collapse",
            f"{_percent(float(shares[most]))} of all relations are most likely "
            f"{manifest.relation_types[most]!r}: this window tells the types hardly apart",
        )


def _count_notices(manifest: Manifest, entities: int) -> Iterator[Notice]:
    low, high = manifest.trained.min_entities, manifest.trained.max_entities
    if not low <= entities <= high:
        trained = f"{low}" if low == high else f"{low} to {high}"
        yield Notice(
            "entity-count",
            f"{entities} entities were sent, the model was trained on {trained}",
        )


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
