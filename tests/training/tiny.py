"""A network, data and settings so small that an epoch takes milliseconds."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from training.config import TrainConfig, parse_config
from training.loop import Trainer
from training.material import Material, build_network, load_material
from training.runs import RunFolder

SETTINGS: dict[str, Any] = {
    "name": "tiny",
    "data": {"simulate": "push"},
    "model": {
        "family": "dnri",
        "decoder": "markov",
        "hidden": 4,
        "lstm_hidden": 2,
        "head_hidden": 3,
    },
    "objective": {"add_uniform_prior": True, "no_edge_prior": 0.9},
    "batch": 2,
    "epochs": 3,
}
FRAMES, SEQUENCES = 8, 7


def tiny_config(**changes: Any) -> TrainConfig:
    return parse_config({**SETTINGS, **changes}, "tiny")


def tiny_model(**changes: Any) -> dict[str, Any]:
    return {**SETTINGS["model"], **changes}


@cache
def tiny_material() -> Material:
    return load_material(tiny_config())


def tiny_network(config: TrainConfig) -> nn.Module:
    return build_network(config, tiny_material())


class Recorder:
    """Remembers what training reports, and may act at a given call."""

    def __init__(self, act: Callable[[int], None] = lambda _: None) -> None:
        self.steps: list[tuple[str, int]] = []
        self.epochs: list[dict[str, Any]] = []
        self._act = act

    def at_step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        self.steps.append((phase, done))
        self._act(len(self.steps))

    def at_epoch(self, line: dict[str, Any]) -> None:
        self.epochs.append(line)


def tiny_splits() -> tuple[list[npt.NDArray[np.float32]], list[npt.NDArray[np.float32]]]:
    material = tiny_material()
    train, valid = (material.sequences(split)[:SEQUENCES] for split in ("train", "valid"))
    return [values[:FRAMES] for values in train], [values[:FRAMES] for values in valid]


def tiny_trainer(path: Path, config: TrainConfig, recorder: Recorder | None = None) -> Trainer:
    """Give a trainer that goes on where the run folder stands, or starts it."""
    folder = RunFolder(path)
    trainer = Trainer(config, folder, tiny_network(config), tiny_splits(), recorder or Recorder())
    if folder.config.exists():
        if folder.resume(config):
            trainer.resume()
    else:
        folder.begin(config)
    return trainer
