"""``prepare``: read recordings and store them as a dataset with the papers' splits."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from rich.console import Console

from training.report import describe
from trajectories.amc import CMU_FRAME_RATE, UNIT, read_recording
from trajectories.asf import read_skeleton
from trajectories.dataset import Dataset, Split
from trajectories.errors import TrajectoryError
from trajectories.velocity import BACKWARD_DIFFERENCE, with_velocities
from trajectories.windows import cut, window_names

Floats = npt.NDArray[np.floating]

DATA_VARIABLE = "RELATA_DATA"
LICENCE = (
    "CMU Graphics Lab Motion Capture Database, mocap.cs.cmu.edu: free for all uses; the data may "
    "not be resold. The database was created with funding from NSF EIA-0196217."
)


@dataclass(frozen=True)
class Protocol:
    """How a paper uses one subject: its trials, its splits by position, its windows (frames)."""

    name: str
    trials: tuple[int, ...]
    train: int
    valid: int
    window: int
    test_window: int


SUBJECTS = {35: Protocol("walk35", (*range(1, 17), *range(28, 35)), 12, 4, 50, 100)}


def prepare(
    source: Annotated[str, typer.Argument(help="Kind of recordings: cmu-mocap.")],
    out: Annotated[Path, typer.Option(help="Folder to write dataset.json and npz files to.")],
    subject: Annotated[int, typer.Option(help="Number of the subject in the database.")] = 35,
) -> None:
    """Turn the recordings under RELATA_DATA into a stored dataset."""
    if source != "cmu-mocap":
        raise typer.BadParameter(f"no recordings of kind {source!r}; choose cmu-mocap.")
    if subject not in SUBJECTS:
        known = ", ".join(map(str, SUBJECTS))
        raise typer.BadParameter(f"no protocol for subject {subject}; choose one of {known}.")
    dataset = cmu_mocap(recordings_folder(f"cmu-mocap-{subject}"), subject)
    Console().print(describe(dataset, dataset.save(out)))


def recordings_folder(name: str) -> Path:
    """Give the folder of a named public data set under ``RELATA_DATA``, which has no default."""
    root = os.environ.get(DATA_VARIABLE)
    folder = Path(root or "") / name
    if not root or not folder.is_dir():
        raise TrajectoryError(
            "data-missing",
            found=f"no folder {folder}" if root else f"no environment variable {DATA_VARIABLE}",
            expected=f"{DATA_VARIABLE} to name a folder that contains {name}/",
            fix=f"Run `{DATA_VARIABLE}=DIR python -m training fetch {name}`, then set "
            f"{DATA_VARIABLE}=DIR here too.",
        )
    return folder


def cmu_mocap(folder: Path, subject: int) -> Dataset:
    """Give dNRI's dataset of one subject: joint positions and their differences per frame.

    Splits ``train`` and ``valid`` hold the non-overlapping windows of the paper, ``test`` the
    longer ones of its evaluation; ``train_trials`` and ``valid_trials`` hold the whole trials, for
    windows with other starts and lengths.
    """
    protocol = SUBJECTS[subject]
    files = _trial_files(folder, subject, protocol)
    skeleton = read_skeleton(folder / f"{subject}.asf")
    trials = [with_velocities(read_recording(file, skeleton)) for file in files]
    whole = Split(
        tuple(trial.values[1:].astype(np.float32) for trial in trials),
        tuple(trial.name for trial in trials),
    )
    middle = protocol.train + protocol.valid
    features = trials[0].features
    return Dataset(
        name=protocol.name,
        features=features,
        entities=skeleton.joints,
        frame_rate=CMU_FRAME_RATE,
        splits={
            "train": _windows(whole, slice(0, protocol.train), protocol.window),
            "valid": _windows(whole, slice(protocol.train, middle), protocol.window),
            "test": _windows(whole, slice(middle, None), protocol.test_window),
            "train_trials": _part(whole, slice(0, protocol.train)),
            "valid_trials": _part(whole, slice(protocol.train, middle)),
        },
        units={name: f"{UNIT}/frame" if name[0] == "v" else UNIT for name in features},
        velocity=BACKWARD_DIFFERENCE,
        source=f"CMU Graphics Lab Motion Capture Database, subject {subject}, "
        f"{len(files)} trials, forward kinematics in file units (1/0.45 inch)",
        licence=LICENCE,
    )


def _trial_files(folder: Path, subject: int, protocol: Protocol) -> list[Path]:
    """Give the trials sorted by name; the split goes by position, so they must be exactly these."""
    wanted = {f"{subject}_{trial:02d}.amc" for trial in protocol.trials}
    files = sorted(folder.glob("*.amc"))
    found = {file.name for file in files}
    if found != wanted:
        missing, surplus = sorted(wanted - found), sorted(found - wanted)
        raise TrajectoryError(
            "trials",
            found=f"missing {missing or 'none'} and surplus {surplus or 'none'} in {folder}",
            expected=f"exactly the {len(wanted)} trials of the paper, whose splits go by position",
            fix=f"Run `python -m training fetch cmu-mocap-{subject}` into an empty folder.",
        )
    return files


def _part(whole: Split, part: slice) -> Split:
    return Split(whole.sequences[part], whole.names[part])


def _windows(whole: Split, part: slice, length: int) -> Split:
    chosen = _part(whole, part)
    names: Sequence[str] = window_names(chosen.names, chosen.lengths, length)
    return Split(cut(chosen.sequences, length), tuple(names))
