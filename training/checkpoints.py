"""Checkpoints: complete or absent, never half written, and never pickled.

``last.safetensors`` holds network and optimiser; where training stands (epoch, step, sums, best
so far) travels in the same file's header, so the two cannot disagree. ``last.json`` repeats that
part for people, with the time spent. ``best.safetensors`` holds the network alone. Both weight
files of two runs that trained alike are equal byte for byte.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from training.errors import CheckpointError

_NETWORK = "network/"
_OPTIMISER = "optimiser/"
_STATE = "state"
_TIMES = ("seconds", "epoch_seconds")


@dataclass
class Standing:
    """Where a run stands: everything that resuming needs besides weights and optimiser."""

    epoch: int = 0
    """Epochs finished."""
    step: int = 0
    """Optimiser steps finished inside the next epoch."""
    sums: dict[str, float] = field(default_factory=dict[str, float])
    """Sums of that epoch's losses so far."""
    best_loss: float | None = None
    best_epoch: int | None = None
    seconds: float = 0.0
    """Time spent so far, over all resumes."""
    epoch_seconds: float = 0.0
    """The part of it spent in the unfinished epoch."""
    seed: int = 0
    """Start of all random streams; with epoch and step it determines every later draw."""


def write_quickly(path: Path, content: bytes) -> None:
    """Replace a file so that readers see the old or the new content, whole; a crash may lose it."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace a file so that readers and crashes see the old or the new content, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def save_last(
    folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer, standing: Standing
) -> None:
    """Store everything that continuing needs."""
    tensors = {f"{_NETWORK}{name}": value for name, value in network.state_dict().items()}
    for name, parameter in network.named_parameters():
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"{_OPTIMISER}{name}/{key}"] = value
    fields = asdict(standing)
    times = {name: fields.pop(name) for name in _TIMES}
    header = {_STATE: json.dumps(fields)}
    write_atomically(folder / "last.safetensors", _serialise(tensors, header))
    write_quickly(folder / "last.json", json.dumps(fields | times, indent=2).encode())


def load_last(folder: Path, network: nn.Module, optimiser: torch.optim.Optimizer) -> Standing:
    """Bring network and optimiser back to the last checkpoint; give where training stands."""
    path = folder / "last.safetensors"
    tensors, header = _read(path)
    if _STATE not in header:
        raise CheckpointError(f"{path} does not say where training stands", "a run's own file")
    load_weights(network, _under(tensors, _NETWORK), path)
    slots = _under(tensors, _OPTIMISER)
    for name, parameter in network.named_parameters():
        own = _under(slots, f"{name}/")
        if own:
            optimiser.state[parameter] = own
    return Standing(**json.loads(header[_STATE]) | _times(folder / "last.json"))


def _times(path: Path) -> dict[str, float]:
    """Read the time spent; it changes no number, so a lost or torn file counts as none."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return {name: float(fields[name]) for name in _TIMES}
    except (OSError, ValueError, KeyError):
        return {}


def save_best(folder: Path, network: nn.Module, epoch: int, nll: float) -> None:
    """Store the network alone, with the epoch (from 1) and validation loss it was chosen by."""
    header = {_STATE: json.dumps({"epoch": epoch, "validation_nll": nll})}
    write_atomically(folder / "best.safetensors", _serialise(network.state_dict(), header))


def load_network(folder: Path, network: nn.Module, which: str = "best") -> None:
    """Load the weights of the ``best`` or ``last`` checkpoint into a network."""
    path = folder / f"{which}.safetensors"
    tensors, _ = _read(path)
    load_weights(network, tensors if which == "best" else _under(tensors, _NETWORK), path)


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], origin: Path) -> None:
    """Copy tensors into a network after checking that they belong to it."""
    own = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    for name in sorted(own.keys() | found.keys()):
        if own.get(name) != found.get(name):
            raise CheckpointError(
                f"{origin} belongs to another network: {name!r} is {found.get(name, 'absent')}",
                str(own.get(name, "no such weight")),
                "use the config.yaml beside it, or start a new run folder",
            )
    network.load_state_dict(dict(tensors))


def weights_sha256(network: nn.Module) -> str:
    """Give one fingerprint of all weights and running statistics."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(f"{name}:{value.dtype}:{tuple(value.shape)}:".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def _serialise(tensors: Mapping[str, Tensor], header: dict[str, str]) -> bytes:
    return save({name: value.detach().contiguous() for name, value in tensors.items()}, header)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    try:
        with cast("Any", safe_open(path, framework="pt")) as file:
            names: list[str] = list(file.keys())
            header: dict[str, str] = file.metadata() or {}
            return {name: cast("Tensor", file.get_tensor(name)) for name in names}, header
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {path}", "a run with a finished epoch") from error
    except SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}", "a safetensors file") from error


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name.removeprefix(prefix): value
        for name, value in tensors.items()
        if name.startswith(prefix)
    }
