"""Scores of relations: who acts on whom, how well found and how honestly stated. Arrays only.

Two alignments. A model's relation at frame ``t`` acts on the step ``t → t + 1``. ``published``
compares it with ``label[t]``, as dNRI's code does; ``aligned`` with the label of the same step,
which the push data store one frame later.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]
Flags = npt.NDArray[np.bool_]

Scoring = Literal["published", "aligned"]
SCORINGS: tuple[Scoring, ...] = ("published", "aligned")
_EPSILON = 1e-6  # as the published F1


@dataclass(frozen=True)
class EdgeScore:
    """How well asserted relations meet the true ones, micro-averaged over everything.

    Attributes:
        f1: ``2 P R / (P + R + 1e-6)``, as dNRI's code has it.
        precision: Share of the asserted that are true; 0 when nothing is asserted.
        recall: Share of the true that are asserted.
        accuracy: Share of all decisions that are right.
        asserted: Share of all decisions that assert a relation.
        base_rate: Share of labels that are a relation.
    """

    f1: float
    precision: float
    recall: float
    accuracy: float
    asserted: float
    base_rate: float


@dataclass(frozen=True)
class Bin:
    """One bin of a reliability table: what was stated and how often it came true."""

    low: float
    high: float
    count: int
    stated: float | None
    observed: float | None


@dataclass(frozen=True)
class Reliability:
    """Whether stated probabilities of a relation come true.

    Attributes:
        brier: Mean squared difference of the probability and the outcome.
        ece: Expected calibration error: mean gap of the bins, weighted by their counts.
        base_rate: Share of labels that are a relation.
        asserted_stated: Mean probability where it is above one half; None where it never is.
        asserted_observed: How often those came true.
        bins: The reliability table.
    """

    brier: float
    ece: float
    base_rate: float
    asserted_stated: float | None
    asserted_observed: float | None
    bins: tuple[Bin, ...]


def true_relations(labels: Labels, scoring: Scoring) -> Flags:
    """Give which relations the frames ``0 … T−2`` are compared with: ``[S, T−1, E]``.

    Args:
        labels: ``[S, T, E]``; any value but 0 is a relation.
        scoring: Which alignment.
    """
    return (labels[:, :-1] if scoring == "published" else labels[:, 1:]) != 0


def edge_score(asserted: Flags, true: Flags) -> EdgeScore:
    """Score equal-shaped decisions; class "relation" is the positive one."""
    if asserted.shape != true.shape:
        raise ValueError(f"found decisions {asserted.shape}, expected {true.shape} as the labels")
    hits = float(np.count_nonzero(asserted & true))
    precision = hits / max(int(np.count_nonzero(asserted)), 1)
    recall = hits / max(int(np.count_nonzero(true)), 1)
    return EdgeScore(
        f1=2 * precision * recall / (precision + recall + _EPSILON),
        precision=precision,
        recall=recall,
        accuracy=1.0 - float(np.mean(asserted ^ true)),
        asserted=float(np.mean(asserted)),
        base_rate=float(np.mean(true)),
    )


def asserts_relation(probabilities: Floats) -> Flags:
    """Give where the most probable type ``[..., K]`` is not type 0, "none"."""
    return probabilities.argmax(axis=-1) != 0


def reliability(relation: Floats, true: Flags, bins: int = 10) -> Reliability:
    """Compare probabilities of a relation with what came true, in bins of equal width."""
    stated, observed = relation.astype(np.float64).ravel(), true.ravel().astype(np.float64)
    places = np.minimum((stated * bins).astype(np.int64), bins - 1)
    counts = np.bincount(places, minlength=bins)
    sums = np.bincount(places, weights=stated, minlength=bins)
    hits = np.bincount(places, weights=observed, minlength=bins)
    asserted = stated > 0.5
    return Reliability(
        brier=float(np.mean((stated - observed) ** 2)),
        ece=float(np.abs(sums - hits).sum() / len(stated)),
        base_rate=float(observed.mean()),
        asserted_stated=float(stated[asserted].mean()) if asserted.any() else None,
        asserted_observed=float(observed[asserted].mean()) if asserted.any() else None,
        bins=tuple(
            Bin(
                low=index / bins,
                high=(index + 1) / bins,
                count=int(count),
                stated=float(total / count) if count else None,
                observed=float(hit / count) if count else None,
            )
            for index, (count, total, hit) in enumerate(zip(counts, sums, hits, strict=True))
        ),
    )


def trivial_references(labels: Labels, scoring: Scoring) -> Mapping[str, float]:
    """Give the F1 of what needs no model, over the frames ``0 … T−2`` of ``labels [S, T, E]``.

    ``all``: every pair always. ``ever_active_pairs``: always the pairs that act anywhere in the
    data. ``static_oracle``: per sequence, always the pairs that ever act in it. ``perfect``: the
    relation of every step known, which the published scoring still compares one frame late.
    """
    true = true_relations(labels, scoring)
    active = labels != 0
    guesses = {
        "all": np.ones_like(true),
        "ever_active_pairs": np.broadcast_to(active.any(axis=(0, 1)), true.shape),
        "static_oracle": np.broadcast_to(active.any(axis=1, keepdims=True), true.shape),
        "perfect": active[:, 1:],
    }
    return {name: edge_score(guess, true).f1 for name, guess in guesses.items()}


def edge_usage(probabilities: Floats) -> dict[str, list[float]]:
    """Give per type ``[K]`` its mean probability and how often it is the most probable."""
    types = probabilities.shape[-1]
    winners = np.bincount(probabilities.argmax(-1).ravel(), minlength=types)
    means = probabilities.reshape(-1, types).mean(axis=0, dtype=np.float64)
    return {"mean": means.tolist(), "most_probable": (winners / winners.sum()).tolist()}


def relation_report(probabilities: Floats, labels: Labels) -> dict[str, object]:
    """Give every score of one estimator on one split, as plain values.

    Args:
        probabilities: ``[S, T−1, E, K]``, source-major as the labels; type 0 counts as none.
        labels: ``[S, T, E]``.
    """
    decided, relation = asserts_relation(probabilities), 1.0 - probabilities[..., 0]
    scores = {name: edge_score(decided, true_relations(labels, name)) for name in SCORINGS}
    aligned = reliability(relation, true_relations(labels, "aligned"))
    return {
        **{name: asdict(score) for name, score in scores.items()},
        "reliability": asdict(aligned),
        "by_pair": by_pair(relation, decided, true_relations(labels, "aligned")),
    }


def by_pair(relation: Floats, asserted: Flags, true: Flags) -> dict[str, list[float]]:
    """Give per ordered pair ``[E]`` what is stated, asserted and true, averaged over frames.

    It tells a model that finds the right pairs at the wrong time from one that uses a wrong pair.
    """
    parts = {"stated": relation, "asserted": asserted, "true": true}
    return {
        name: values.mean(axis=(0, 1), dtype=np.float64).tolist() for name, values in parts.items()
    }
