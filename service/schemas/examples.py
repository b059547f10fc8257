"""Example bodies: shown in the API docs, offered by the page, and sent by the tests."""

from typing import Any

MODEL = "dnri-push3"
FRAMES = 12


def example_trajectory(frames: int = FRAMES) -> dict[str, Any]:
    """Give three particles on straight lines, two of them closing in on each other."""
    values = [
        [
            [round(-0.8 + 0.05 * t, 3), round(0.1 + 0.01 * t, 3)],
            [round(0.7 - 0.04 * t, 3), 0.2],
            [0.1, round(-0.9 + 0.02 * t, 3)],
        ]
        for t in range(frames)
    ]
    return {
        "entities": ["p1", "p2", "p3"],
        "features": ["x", "y"],
        "frame_rate": 1.0,
        "values": values,
    }


def infer_relations_example() -> dict[str, Any]:
    """Give a body of `POST /infer-relations`."""
    return {"model": MODEL, "estimator": "posterior", "trajectory": example_trajectory()}


def forecast_example() -> dict[str, Any]:
    """Give a body of `POST /forecast`."""
    return {
        "model": MODEL,
        "trajectory": example_trajectory(),
        "horizon": 10,
        "num_samples": 32,
        "seed": 7,
        "quantiles": [0.05, 0.5, 0.95],
    }


def relations_answer_example() -> dict[str, Any]:
    """Give the shape of an answer, with one frame of the three particles."""
    return {
        "model": {"name": MODEL, "version": 1, "family": "dnri"},
        "estimator": "posterior",
        "static": False,
        "relation_types": ["none", "push"],
        "none_type": 0,
        "frames": [1],
        "sources": ["p1", "p1", "p2", "p2", "p3", "p3"],
        "targets": ["p2", "p3", "p1", "p3", "p1", "p2"],
        "probabilities": [
            [[0.04, 0.96], [0.99, 0.01], [0.05, 0.95], [0.99, 0.01], [0.98, 0.02], [0.99, 0.01]]
        ],
        "warnings": [],
    }


def forecast_answer_example() -> dict[str, Any]:
    """Give the shape of an answer, with one step of the three particles."""
    row = [[-0.19, 0.22], [0.21, 0.2], [0.1, -0.66]]
    relations = relations_answer_example() | {"estimator": "prior", "frames": [11]}
    return {
        "model": {"name": MODEL, "version": 1, "family": "dnri"},
        "seed": 7,
        "frames": [12],
        "entities": ["p1", "p2", "p3"],
        "features": ["x", "y"],
        "mean": [row],
        "quantiles": {"0.05": [row], "0.5": [row], "0.95": [row]},
        "bands": {"method": "paths plus residual variance", "coverage": {"0.9": 0.9}},
        "relations": relations,
        "baseline": {"constant_velocity": [row]},
        "warnings": [],
    }
