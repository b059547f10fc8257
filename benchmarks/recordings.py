"""Recordings to ask about: made up, smooth, inside the range that a model was trained on."""

from typing import Any

import numpy as np


def wandering(card: dict[str, Any], entities: int, frames: int, seed: int) -> dict[str, Any]:
    """Give a `trajectory` body of positions that drift and turn like those of the training.

    Args:
        card: a version card of ``GET /v1/models/{name}/{version}``.
        entities: N.
        frames: T.
        seed: of the made-up motion.
    """
    positions = [feature for feature in card["features"] if feature["kind"] == "position"]
    velocities = [feature for feature in card["features"] if feature["kind"] == "velocity"]
    low = np.array([feature["minimum"] for feature in positions])
    high = np.array([feature["maximum"] for feature in positions])
    draw = np.random.default_rng(seed)
    centre = low + (high - low) * draw.uniform(0.4, 0.6, (entities, len(positions)))
    reach = (high - low) * draw.uniform(0.05, 0.1, (entities, len(positions)))
    phase = draw.uniform(0, 2 * np.pi, (entities, len(positions)))
    time = np.arange(-1, frames)[:, None, None]
    values = centre + reach * np.sin(0.1 * time + phase)
    rows = values[1:]
    if velocities:
        rows = np.concatenate((rows, np.diff(values, axis=0)), -1)
    return {
        "entities": [f"e{i}" for i in range(entities)],
        "features": [feature["name"] for feature in positions + velocities],
        "frame_rate": card["frame_rate"],
        "values": np.round(rows, 5).tolist(),
    }
