"""What a run is made of: the dataset, its normaliser, the normalised splits and the network."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from models import registry
from training.config import DataConfig, ModelConfig, TrainConfig
from training.errors import ConfigError, DataError
from training.randomness import Purpose, seed_torch
from training.simulators import push
from trajectories.dataset import Dataset
from trajectories.features import position_columns, velocity_columns
from trajectories.normaliser import Normaliser

SIMULATORS = {"push": push.simulate}


@dataclass(frozen=True)
class Material:
    """A dataset and the scaling that its training split gave."""

    dataset: Dataset
    normaliser: Normaliser

    @property
    def nodes(self) -> int:
        """N, the entities of every sequence."""
        return len(self.dataset.entities)

    def sequences(self, split: str) -> list[npt.NDArray[np.float32]]:
        """Give a split as normalised float32 sequences [T, N, D]."""
        given = self.dataset.split(split)
        scaled: list[npt.NDArray[np.float32]] = []
        for name, values in zip(given.names, given.sequences, strict=True):
            array = self.normaliser.apply(values).astype(np.float32)
            if not np.isfinite(array).all():
                raise DataError(
                    f"sequence {name!r} of split {split!r} has absent or non-finite values",
                    "every entity in every frame",
                    "cut the sequence to frames in which all entities are present",
                )
            scaled.append(array)
        return scaled


def load_material(config: TrainConfig) -> Material:
    """Read or simulate the data of an experiment and fit its normaliser."""
    dataset = load_dataset(config.data)
    return Material(dataset, dataset.normaliser(config.normaliser))


def load_dataset(data: DataConfig) -> Dataset:
    """Give the dataset that an experiment names."""
    if data.simulate is not None:
        return SIMULATORS[data.simulate](data.seed)
    folder = Path(data.dataset or ".")
    if not (folder / "dataset.json").is_file():
        raise DataError(
            f"no dataset in {folder}",
            "a folder with dataset.json",
            "make it with `python -m training prepare` or `simulate`, or set data.dataset",
        )
    return Dataset.load(folder)


def build_network(config: TrainConfig, material: Material) -> nn.Module:
    """Build the experiment's network with weights drawn from its seed."""
    seed_torch(config.seed, Purpose.WEIGHTS)
    options = complete_options(config.model, material)
    try:
        return registry.build(config.model.family, options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"model: {error}") from error


def complete_options(model: ModelConfig, material: Material) -> dict[str, Any]:
    """Add to a model's options what only the data know: its features and how they are scaled."""
    return {**known_from_data(material), **model.options}


def known_from_data(material: Material) -> dict[str, Any]:
    """Give the network options that follow from the dataset and its normaliser."""
    features = material.dataset.features
    positions, velocities = position_columns(features), velocity_columns(features)
    known: dict[str, Any] = {"features": len(features)}
    if positions and velocities:
        offset, scale = material.normaliser.offset, material.normaliser.scale
        known["velocity_ratio"] = float(scale[velocities[0]] / scale[positions[0]])
        known["velocity_shift"] = float(offset[velocities[0]] / scale[positions[0]])
    return known
