"""Compares exported graphs with the network they came from, at sizes they were not traced at."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]
import torch

from models.folded import FoldedDnri
from models.graphs import ArtifactGraph, artifact_graphs
from training.errors import ExportError

ort: Any = onnxruntime  # it ships no types
# |found - wanted| <= TOLERANCE * (1 + |wanted|); probabilities without the relative part. States
# are sums over all frames before, and are judged by what they lead to: the logits.
TOLERANCE, STATE_TOLERANCE = 5e-6, 1e-5
STATES = frozenset({"hidden_out", "cell_out", "memory_out"})
# Entities and frames; a single frame and a pair that only just exists are among them.
WINDOW_SIZES = ((2, 1), (3, 7), (5, 2), (7, 3))
STEP_SIZES = ((1, 1), (2, 1), (3, 1), (6, 1))

Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True)
class Difference:
    """The largest difference of one graph output over all sizes, and how far it may go."""

    graph: str
    output: str
    largest: float
    sizes: int


def check(net: FoldedDnri, folder: Path) -> list[Difference]:
    """Run every graph beside the network; give the largest differences.

    Raises:
        ExportError: naming graph, output and size, when one differs by more than
            5e-6 + 5e-6 |value| (probabilities by more than 5e-6, states by more than twice that),
            or a relation type differs.
    """
    found: list[Difference] = []
    for name, graph in artifact_graphs(net).items():
        session = open_session(folder / f"{name}.onnx")
        sizes = STEP_SIZES if name == "step" else WINDOW_SIZES
        worst: dict[str, float] = {}
        for nodes, frames in sizes:
            inputs = graph.example(nodes, frames, seed=100 * nodes + frames)
            expected = _expected(graph, inputs)
            for output, difference in _compare(
                session, inputs, expected, f"{name} N={nodes} T={frames}"
            ):
                worst[output] = max(worst.get(output, 0.0), difference)
        found += [Difference(name, output, value, len(sizes)) for output, value in worst.items()]
    return found


def open_session(path: Path) -> Any:
    """Open a graph on one CPU thread."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def _expected(graph: ArtifactGraph, inputs: Mapping[str, torch.Tensor]) -> Arrays:
    with torch.inference_mode():
        outputs = graph(**inputs)
    names = graph.signature().outputs
    return {name: value.numpy() for name, value in zip(names, outputs, strict=True)}


def _compare(
    session: Any,
    inputs: Mapping[str, torch.Tensor],
    expected: Arrays,
    where: str,
) -> list[tuple[str, float]]:
    names = list(expected)
    outputs: list[npt.NDArray[np.generic]] = session.run(
        names, {name: value.numpy() for name, value in inputs.items()}
    )
    differences: list[tuple[str, float]] = []
    for name, found in zip(names, outputs, strict=True):
        wanted = expected[name]
        if found.shape != wanted.shape:
            raise ExportError(f"{where}: {name} has shape {found.shape}", f"{wanted.shape}")
        allowed = _allowed(name, wanted)
        differences.append(_measure(name, found, wanted, allowed, where))
        if name.endswith("logits"):
            both = _softmax(found), _softmax(wanted)
            limit = np.full(wanted.shape, TOLERANCE)
            differences.append(_measure(f"{name} as probabilities", *both, limit, where))
    return differences


def _allowed(name: str, wanted: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    if wanted.dtype.kind == "i":
        return np.zeros(wanted.shape)
    tolerance = STATE_TOLERANCE if name in STATES else TOLERANCE
    return tolerance * (1 + np.abs(wanted.astype(np.float64)))


def _measure(
    name: str,
    found: npt.NDArray[np.generic],
    wanted: npt.NDArray[np.generic],
    allowed: npt.NDArray[np.float64],
    where: str,
) -> tuple[str, float]:
    if not wanted.size:
        return name, 0.0
    difference = np.abs(np.subtract(found, wanted, dtype=np.float64))
    if not (difference <= allowed).all():
        raise ExportError(
            f"{where}: {name} differs by {difference.max():.3g} between torch and ONNX Runtime",
            f"at most {allowed.min():.3g}",
            "do not ship this artifact; find the operator that differs",
        )
    return name, float(difference.max())


def _softmax(logits: npt.NDArray[np.generic]) -> npt.NDArray[np.float64]:
    values = logits.astype(np.float64)
    powers = np.exp(values - values.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
