"""A run folder: what training leaves behind, and how the later verbs read it back."""

import fcntl
import json
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from training.checkpoints import load_network, write_atomically
from training.config import TrainConfig, parse_config
from training.errors import ConfigError, RunError
from training.material import Material, build_network, load_material
from training.yaml_text import parse_yaml

# What may differ between a run's config.yaml and the one it is resumed with: none of these changes
# what an epoch computes.
FREE_ON_RESUME = frozenset({"epochs", "max_hours", "checkpoint_every", "early_stopping"})


@dataclass(frozen=True)
class RunFolder:
    """The paths inside a run folder, and the small files among them."""

    path: Path

    @property
    def config(self) -> Path:
        """The experiment, with every field written out."""
        return self.path / "config.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON line per finished epoch."""
        return self.path / "metrics.jsonl"

    @property
    def progress(self) -> Path:
        """What is being done right now, replaced whole."""
        return self.path / "progress.json"

    @property
    def result(self) -> Path:
        """How the run ended: present once it has."""
        return self.path / "result.json"

    @property
    def checkpoints(self) -> Path:
        """Folder of ``last`` and ``best``."""
        return self.path / "checkpoints"

    def begin(self, config: TrainConfig) -> None:
        """Make the folder for a new run."""
        if self.config.exists():
            raise RunError(
                f"{self.path} already holds a run", "a new folder", "add --resume to continue it"
            )
        self.path.mkdir(parents=True, exist_ok=True)
        write_atomically(self.config, config.to_yaml().encode())
        self.metrics.write_text("", encoding="utf-8")

    def resume(self, config: TrainConfig) -> bool:
        """Check that a config continues this run; say whether there is a checkpoint."""
        stored = self.read_config()
        free = {name: getattr(config, name) for name in FREE_ON_RESUME}
        if stored.model_copy(update=free) != config:
            changed = [
                name
                for name in TrainConfig.model_fields
                if name not in FREE_ON_RESUME and getattr(stored, name) != getattr(config, name)
            ]
            raise ConfigError(
                f"{self.path} was trained with another {', '.join(changed)}",
                "the same experiment",
                f"resume with {self.config}, or start a new run folder",
            )
        write_atomically(self.config, config.to_yaml().encode())
        self.result.unlink(missing_ok=True)
        if (self.checkpoints / "last.safetensors").exists():
            return True
        self.forget_after(0)
        return False

    @contextmanager
    def held(self) -> Generator[None]:
        """Keep other processes from training in this folder; a kill lets go of it too."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RunError(
                    f"another process is training in {self.path}", "a folder of its own"
                ) from error
            yield

    def read_config(self) -> TrainConfig:
        """Read the experiment this folder was trained with."""
        if not self.config.is_file():
            raise RunError(
                f"no run in {self.path}", "a folder with config.yaml", "train without --resume"
            )
        return parse_config(parse_yaml(self.config.read_text("utf-8")), origin=str(self.config))

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add one epoch's line."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, allow_nan=False) + "\n")

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read the lines of all finished epochs."""
        lines = self.metrics.read_text("utf-8").splitlines() if self.metrics.exists() else []
        return [line for line in map(_parsed, lines) if line is not None]

    def forget_after(self, epoch: int) -> None:
        """Drop lines of epochs that the last checkpoint does not hold; they are run again."""
        kept = [line for line in self.read_metrics() if line["epoch"] <= epoch]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        write_atomically(self.metrics, text.encode())


def _parsed(line: str) -> dict[str, Any] | None:
    """Read one line; the last one may be torn where a process was killed."""
    try:
        return json.loads(line)
    except json.JSONDecodeError:
        return None


@dataclass(frozen=True)
class TrainedRun:
    """A run read back: its experiment, its data and its network in evaluation mode."""

    folder: RunFolder
    config: TrainConfig
    material: Material
    network: nn.Module


def load_run(path: Path, which: str = "best") -> TrainedRun:
    """Read a run folder with the weights of its ``best`` or ``last`` checkpoint."""
    folder = RunFolder(path)
    config = folder.read_config()
    material = load_material(config)
    network = build_network(config, material)
    load_network(folder.checkpoints, network, which)
    return TrainedRun(folder, config, material, network.eval())
