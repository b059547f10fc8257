"""Small runs that were really trained, evaluated and exported: one per kind of network.

An export takes seconds, so the tests of exporting share these two.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import yaml

from models.dnri import Dnri
from models.folded import FoldedDnri
from models.manifest import Manifest
from training import export
from training.__main__ import main
from training.runs import load_run
from training.runtime_parity import Difference
from trajectories.dataset import Dataset, Split

FRAMES, BURN_IN = 9, 4
SIZES = {"family": "dnri", "hidden": 48, "lstm_hidden": 8, "head_hidden": 8}
GRAPHS = ("encoder.onnx", "prior.onnx", "step.onnx")


@dataclass(frozen=True)
class Kind:
    """One kind of network and the data that it is trained on."""

    dimensions: int
    entities: tuple[str, ...]
    relation_types: tuple[str, ...]
    normaliser: str
    model: dict[str, Any]


KINDS = {
    "local-markov": Kind(
        dimensions=2,
        entities=("a", "b", "c"),
        relation_types=("none", "follows"),
        normaliser="isotropic",
        model={"decoder": "markov", "frames": "local", "kinematics": "integrated"},
    ),
    "global-recurrent": Kind(
        dimensions=3,
        entities=("a", "b", "c", "d"),
        relation_types=(),
        normaliser="published",
        model={"decoder": "recurrent", "edge_types": 3, "skip_first": False},
    ),
}


@dataclass(frozen=True)
class Shipped:
    """A run and the artifact made of it."""

    kind: Kind
    run: Path
    artifact: Path
    differences: list[Difference]

    @property
    def report(self) -> dict[str, Any]:
        return json.loads((self.run / "evaluation.json").read_text("utf-8"))

    @property
    def manifest(self) -> Manifest:
        return Manifest.from_json((self.artifact / "manifest.json").read_text("utf-8"))

    def trained(self) -> Dnri:
        network = load_run(self.run).network
        assert isinstance(network, Dnri)
        return network

    def net(self) -> FoldedDnri:
        return self.trained().fold()

    def copied(self, folder: Path) -> Path:
        """Copy the artifact, for a test that changes it."""
        shutil.copytree(self.artifact, folder)
        return folder


def walks(kind: Kind) -> Dataset:
    """Give random walks with a drift, whose labels, where there are any, are random."""
    stream, count = np.random.default_rng(2), len(kind.entities)
    positions = ("x", "y", "z")[: kind.dimensions]
    features = (*positions, *(f"v{name}" for name in positions))

    def split(sequences: int) -> Split:
        shape = (sequences, FRAMES, count, kind.dimensions)
        steps = stream.normal(scale=0.2, size=shape) + 0.1
        values = np.concatenate([steps.cumsum(axis=1), steps], axis=-1).astype(np.float32)
        labels = stream.integers(0, 2, size=(sequences, FRAMES, count * (count - 1)))
        names = tuple(map(str, range(sequences)))
        return Split(tuple(values), names, tuple(labels) if kind.relation_types else None)

    splits = {
        name: split(sequences) for name, sequences in (("train", 4), ("valid", 3), ("test", 3))
    }
    units = {name: "m" if name in positions else "m/frame" for name in features}
    return Dataset(
        "walks",
        features,
        kind.entities,
        10.0,
        splits,
        units=units,
        velocity="backward-difference",
        relation_types=kind.relation_types,
        source="made here",
        licence="none needed",
    )


def trained_run(folder: Path, kind: Kind) -> Path:
    """Train for two epochs and evaluate."""
    walks(kind).save(folder / "data")
    experiment = {
        "name": "walks",
        "data": {"dataset": str(folder / "data")},
        "normaliser": kind.normaliser,
        "model": SIZES | kind.model,
        "batch": 2,
        "epochs": 2,
    }
    config, run = folder / "walks.yaml", folder / "run"
    config.write_text(yaml.safe_dump(experiment), encoding="utf-8")
    assert main(["train", str(config), "--run", str(run)]) == 0
    assert main(["evaluate", str(run), "--paths", "10", "--burn-in", str(BURN_IN)]) == 0
    return run


def ship(folder: Path, name: str) -> Shipped:
    """Train, evaluate and export one kind."""
    run = trained_run(folder, KINDS[name])
    artifact, differences = export.export_run(run, folder / "artifacts")
    return Shipped(KINDS[name], run, artifact, differences)


@contextmanager
def graphs_of(artifact: Path) -> Iterator[None]:
    """Take the graphs of a finished artifact instead of translating the network again."""

    def take(net: FoldedDnri, folder: Path) -> None:
        del net
        for graph in GRAPHS:
            shutil.copyfile(artifact / graph, folder / graph)

    with mock.patch.object(export, "write_graphs", take):
        yield
