"""The one stored form of a dataset: ``dataset.json`` beside one npz per split, never a pickle.

``prepare``, ``simulate`` and uploads write it; ``train`` and ``evaluate`` read nothing else.
Relations, where the truth is known, are labels ``[S, T, E]`` in source-major pair order.
"""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from trajectories import normaliser as normalisers
from trajectories.errors import TrajectoryError
from trajectories.features import check_features
from trajectories.pairs import source_major
from trajectories.store import read_sequences, write_json, write_sequences

Floats = npt.NDArray[np.floating]
Labels = npt.NDArray[np.integer]

FORMAT = 1
MANIFEST = "dataset.json"


@dataclass(frozen=True)
class Split:
    """Sequences that are used together.

    Attributes:
        sequences: One ``[T_s, N, D]`` array per sequence, in the units of the data.
        names: What to call each sequence.
        relations: Labels ``[T_s, E]`` per sequence, source-major, or None where unknown.
    """

    sequences: tuple[Floats, ...]
    names: tuple[str, ...]
    relations: tuple[Labels, ...] | None = None

    def __post_init__(self) -> None:
        """Refuse names or labels that do not fit the sequences."""
        labels = self.relations
        fits = len(self.names) == len(self.sequences)
        if labels is not None:
            shapes = [array.shape for array in labels]
            fits &= shapes == [
                (array.shape[0], array.shape[1] * (array.shape[1] - 1)) for array in self.sequences
            ]
        if not fits:
            raise TrajectoryError(
                "split",
                found=f"{len(self.sequences)} sequences, {len(self.names)} names and labels of "
                f"shape {[array.shape for array in labels or ()][:5]}",
                expected="one name, and labels [T, N(N-1)] or none, per sequence [T, N, D]",
                fix="Write names and labels together with the sequences they belong to.",
            )

    def __len__(self) -> int:
        """Give the number of sequences, ``S``."""
        return len(self.sequences)

    @property
    def lengths(self) -> tuple[int, ...]:
        """Give the number of frames of each sequence."""
        return tuple(len(sequence) for sequence in self.sequences)

    def values(self) -> Floats:
        """Give ``[S, T, N, D]``; the sequences must be equally long."""
        if len(set(self.lengths)) != 1:
            raise TrajectoryError(
                "lengths",
                found=f"sequences of {sorted(set(self.lengths))[:20]} frames",
                expected="sequences of one length",
                fix="Cut windows first (trajectories.windows), or read the sequences one by one.",
            )
        return np.stack(self.sequences)

    def labels(self) -> Labels:
        """Give the relation labels ``[S, T, E]``, source-major; the truth must be known."""
        if self.relations is None:
            raise TrajectoryError(
                "relations",
                found="a split without relation labels",
                expected="labels [T, E] per sequence",
                fix="Score relations only on data whose true relations are known.",
            )
        return np.stack(self.relations)


def _no_units() -> Mapping[str, str]:
    return {}


def _no_types() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Dataset:
    """Splits of one kind of data, with all that training and export must know about it.

    Attributes:
        name: Short name, as in ``push3``.
        features: The ``D`` feature names.
        entities: The ``N`` entity names.
        frame_rate: Frames per second (or per unit of the data's own time).
        splits: Sequences by split name; ``train`` fits the normalisers.
        units: Unit of each feature.
        velocity: How velocities were made: ``backward-difference``, ``given`` or ``none``.
        relation_types: Names of the label values, empty where no truth is known.
        source: Where the data come from.
        licence: Under which terms.
    """

    name: str
    features: tuple[str, ...]
    entities: tuple[str, ...]
    frame_rate: float
    splits: Mapping[str, Split]
    units: Mapping[str, str] = field(default_factory=_no_units)
    velocity: str = "given"
    relation_types: tuple[str, ...] = field(default_factory=_no_types)
    source: str = ""
    licence: str = ""

    def __post_init__(self) -> None:
        """Refuse splits whose arrays do not have the dataset's entities and features."""
        check_features(self.features)
        wanted = (len(self.entities), len(self.features))
        for key, split in self.splits.items():
            for name, sequence in zip(split.names, split.sequences, strict=True):
                if sequence.ndim != 3 or sequence.shape[1:] != wanted:
                    raise TrajectoryError(
                        "shape",
                        found=f"sequence {name!r} of split {key!r} with shape {sequence.shape}",
                        expected=f"[T, N, D] = [T, {wanted[0]}, {wanted[1]}]",
                        fix="Bring all sequences to the dataset's entities and features.",
                    )

    def split(self, key: str) -> Split:
        """Give one split by name."""
        if key not in self.splits:
            raise TrajectoryError(
                "split",
                found=f"no split {key!r} in dataset {self.name!r}",
                expected=f"one of {sorted(self.splits)}",
                fix="Ask for one of these, or prepare the dataset again.",
            )
        return self.splits[key]

    def normaliser(self, kind: str = "published") -> normalisers.Normaliser:
        """Fit the named normaliser (published, isotropic, robust) on the ``train`` split."""
        return normalisers.fit(kind, self.split("train").sequences, self.features)

    @cached_property
    def fingerprint(self) -> str:
        """Give the sha256 of everything that training sees: names, rates and all numbers."""
        digest = hashlib.sha256()
        head = [self.features, self.entities, self.frame_rate, self.velocity]
        digest.update(json.dumps(head).encode())
        for key in sorted(self.splits):
            split = self.splits[key]
            for arrays in (split.sequences, split.relations or ()):
                for array in arrays:
                    digest.update(f"{key}{array.dtype.str}{array.shape}".encode())
                    digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def save(self, path: Path | str) -> Path:
        """Write ``dataset.json`` and the npz files into a folder, and give the folder."""
        folder = Path(path)
        folder.mkdir(parents=True, exist_ok=True)
        for key, split in self.splits.items():
            write_sequences(folder / f"{key}.npz", split.sequences, self._labels(split))
        write_json(folder / MANIFEST, self._manifest())
        return folder

    @staticmethod
    def load(path: Path | str) -> "Dataset":
        """Read a dataset from its folder and check that nothing changed since it was written."""
        folder = Path(path)
        fields = _read_manifest(folder)
        splits = {key: _read_split(folder, entry) for key, entry in dict(fields["splits"]).items()}
        dataset = Dataset(
            name=fields["name"],
            features=tuple(fields["features"]),
            entities=tuple(fields["entities"]),
            frame_rate=float(fields["frame_rate"]),
            splits=splits,
            units=fields["units"],
            velocity=fields["velocity"],
            relation_types=tuple(fields["relation_types"]),
            source=fields["source"],
            licence=fields["licence"],
        )
        if dataset.fingerprint != fields["fingerprint"]:
            raise TrajectoryError(
                "fingerprint",
                found=f"arrays in {folder} with sha256 {dataset.fingerprint[:12]}…",
                expected=f"{fields['fingerprint'][:12]}… as {MANIFEST} says",
                fix="Prepare the dataset again: its files were changed or mixed up.",
            )
        return dataset

    def with_splits(self, splits: Mapping[str, Split]) -> "Dataset":
        """Give the same dataset with other splits."""
        return dataclasses.replace(self, splits=splits)

    def _labels(self, split: Split) -> Mapping[str, Sequence[npt.NDArray[Any]]]:
        return {} if split.relations is None else {"relations": split.relations}

    def _manifest(self) -> dict[str, Any]:
        sources, targets = source_major(len(self.entities))
        return {
            "format": FORMAT,
            "name": self.name,
            "features": list(self.features),
            "units": dict(self.units),
            "frame_rate": self.frame_rate,
            "entities": list(self.entities),
            "velocity": self.velocity,
            "relation_types": list(self.relation_types),
            "pairs": {"sources": sources.tolist(), "targets": targets.tolist()},
            "splits": {key: _entry(key, split) for key, split in self.splits.items()},
            "normaliser": {"published": self.normaliser("published").to_json()},
            "fingerprint": self.fingerprint,
            "source": self.source,
            "licence": self.licence,
        }


def _entry(key: str, split: Split) -> dict[str, Any]:
    return {
        "file": f"{key}.npz",
        "sequences": len(split),
        "names": list(split.names),
        "lengths": list(split.lengths),
        "relations": split.relations is not None,
    }


def _read_manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    if not path.is_file():
        raise TrajectoryError(
            "dataset",
            found=f"no {MANIFEST} in {folder}",
            expected="a folder written by `python -m training simulate` or `prepare`",
            fix="Run one of the two with --out and this folder, or correct the path.",
        )
    fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if fields.get("format") != FORMAT:
        raise TrajectoryError(
            "dataset",
            found=f"format {fields.get('format')!r} in {path}",
            expected=f"format {FORMAT}",
            fix="Prepare the dataset again with this version.",
        )
    return fields


def _read_split(folder: Path, entry: Mapping[str, Any]) -> Split:
    arrays = read_sequences(folder / str(entry["file"]), int(entry["sequences"]))
    relations = tuple(arrays["relations"]) if entry["relations"] else None
    return Split(tuple(arrays["values"]), tuple(entry["names"]), relations)
