"""What the demo looks at: a real walk where there is one, else particles whose truth is known."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trajectories.amc import read_recording
from trajectories.asf import read_skeleton
from trajectories.errors import TrajectoryError

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
PUSH_MODEL, WALK_MODEL = "dnri-push3", "dnri-walk35"
PUSH_GIVEN, WALK_GIVEN = 10, 50
WALK_FRAMES = 90
WALK_FOLDER = "cmu-mocap-35"
WALK_TRIAL = "35_28.amc"
"""The first trial that no training has seen."""
FETCH = f"python -m training fetch {WALK_FOLDER}"

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Truth:
    """What really acted: ``types[t][pair]`` on the step t → t + 1."""

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    types: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Exhibit:
    """One recording, what to do with it, and what is known about it.

    Attributes:
        trajectory: All frames, as the API takes them.
        values: The same as ``[T, N, D]``.
        given: Frames that the forecast sees; the rest is compared with it.
        bones: Pairs of entities to join by a line in pictures.
        notice: What the reader should know about the choice.
    """

    title: str
    model: str
    trajectory: dict[str, Any]
    values: Floats
    given: int
    truth: Truth | None = None
    bones: tuple[tuple[int, int], ...] = ()
    notice: str = ""

    @property
    def horizon(self) -> int:
        """Steps that can be compared."""
        return len(self.values) - self.given

    @property
    def beginning(self) -> dict[str, Any]:
        """Give the frames that the forecast sees, as the API takes them."""
        return self.trajectory | {"values": self.trajectory["values"][: self.given]}


def choose(data: Path | None, served: frozenset[str]) -> Exhibit:
    """Give the real walk if it is there and its model is served, else the simulated particles."""
    folder = data / WALK_FOLDER if data is not None else None
    if folder is not None and folder.is_dir() and WALK_MODEL in served:
        try:
            return _walk(folder)
        except (TrajectoryError, OSError) as error:
            return push(f"The walk in {folder} cannot be read ({error}), so here are particles.")
    where = "DIR" if data is None else str(data)
    return push(
        f"No real walk is at hand. To see one: RELATA_DATA={where} {FETCH}, "
        f"then RELATA_DATA={where} make demo."
    )


def push(notice: str = "") -> Exhibit:
    """Give three simulated particles, two of which push the third, and when they really did."""
    example = json.loads((EXAMPLES / "push3.json").read_text(encoding="utf-8"))
    truth = example["truth"]
    return Exhibit(
        title="Three particles; p1 and p2 push p3 away when they come near (simulated)",
        model=example["model"],
        trajectory=example["trajectory"],
        values=np.array(example["trajectory"]["values"], np.float64),
        given=PUSH_GIVEN,
        truth=Truth(tuple(truth["sources"]), tuple(truth["targets"]), np.array(truth["types"])),
        notice=notice,
    )


def _walk(folder: Path) -> Exhibit:
    skeleton = read_skeleton(folder / f"{WALK_FOLDER.rpartition('-')[2]}.asf")
    recording = read_recording(folder / WALK_TRIAL, skeleton)
    values = recording.values[:WALK_FRAMES]
    rows = {name: row for row, name in enumerate(recording.entities)}
    bones = tuple((rows[bone.parent], rows[bone.name]) for bone in skeleton.bones)
    return Exhibit(
        title=f"A person walking: {len(rows)} joints, {WALK_TRIAL} (CMU motion capture)",
        model=WALK_MODEL,
        trajectory={
            "entities": list(recording.entities),
            "features": list(recording.features),
            "frame_rate": recording.frame_rate,
            "units": dict(recording.units),
            "values": values.tolist(),
        },
        values=values,
        given=WALK_GIVEN,
        bones=bones,
    )
