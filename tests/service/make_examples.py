"""Writes the examples that the service brings along, from our own simulator.

``python -m tests.service.make_examples`` writes them again; a test compares.
"""

import json
from pathlib import Path
from typing import Any

import service
from training.simulators import push

FOLDER = Path(service.__file__).parent / "examples"
SEED, SEQUENCE = 1, 46


def push3() -> dict[str, Any]:
    """Give one test sequence of the simulated dataset, with what really acted in it."""
    dataset = push.simulate(SEED)
    split = dataset.split("test")
    values, labels = split.sequences[SEQUENCE], split.labels()[SEQUENCE]
    return {
        "about": "Three simulated particles: p1 and p2 push p3 away when they come near it. "
        f"Sequence {SEQUENCE} of the test split of `training simulate push --seed {SEED}`.",
        "model": "dnri-push3",
        "trajectory": {
            "entities": list(dataset.entities),
            "features": ["x", "y"],
            "frame_rate": dataset.frame_rate,
            "units": {"x": dataset.units["x"], "y": dataset.units["y"]},
            "values": [[[float(str(x)) for x in row[:2]] for row in frame] for frame in values],
        },
        # The label of frame t + 1 says what acted on the step t -> t + 1.
        "truth": {
            "sources": ["p1", "p1", "p2", "p2", "p3", "p3"],
            "targets": ["p2", "p3", "p1", "p3", "p1", "p2"],
            "types": labels[1:].tolist(),
        },
    }


def text(example: dict[str, Any]) -> str:
    """Give the file's text: a frame a line."""
    frames = example["trajectory"].pop("values")
    types = example["truth"].pop("types")
    body = json.dumps(example, indent=1, ensure_ascii=False)
    for anchor, rows, name in (
        ('"units": {\n   "x": "norm",\n   "y": "norm"\n  }', frames, "values"),
        ('"p1",\n   "p2"\n  ]', types, "types"),
    ):
        lines = ",\n".join(f"   {json.dumps(row)}" for row in rows)
        head, _, tail = body.rpartition(anchor)
        body = f'{head}{anchor},\n  "{name}": [\n{lines}\n  ]{tail}'
    return body + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "push3.json").write_text(text(push3()), encoding="utf-8")
