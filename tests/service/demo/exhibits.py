"""Answers of a service that knows the truth, for the tables and pictures of the demo."""

from typing import Any

import numpy as np

from service.demo.recordings import Exhibit


def true_relations(exhibit: Exhibit, doubt: float = 0.1) -> dict[str, Any]:
    """Give relations as they really were, each with a little doubt."""
    truth = exhibit.truth
    assert truth is not None
    acting = np.where(truth.types > 0, 1 - doubt, doubt)
    return {
        "relation_types": ["none", "push"],
        "none_type": 0,
        "frames": list(range(len(acting))),
        "sources": list(truth.sources),
        "targets": list(truth.targets),
        "probabilities": np.stack([1 - acting, acting], axis=-1).tolist(),
    }


def perfect_forecast(exhibit: Exhibit, spread: float = 0.05) -> dict[str, Any]:
    """Give what really happened as a forecast, with a band around it and a straight rival."""
    future = exhibit.values[exhibit.given :]
    last, before = exhibit.values[exhibit.given - 1], exhibit.values[exhibit.given - 2]
    steps = np.arange(1, len(future) + 1)[:, None, None]
    return {
        "model": {"name": exhibit.model, "version": 1, "family": "dnri"},
        "features": exhibit.trajectory["features"],
        "mean": future.tolist(),
        "quantiles": {
            "0.05": (future - spread).tolist(),
            "0.95": (future + spread).tolist(),
        },
        "bands": {"method": "test", "coverage": {"0.9": 0.91}},
        "baseline": {"constant_velocity": (last + steps * (last - before)).tolist()},
    }
