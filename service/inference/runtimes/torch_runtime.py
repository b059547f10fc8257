"""Torch: the oracle that the exported graphs are held to; the only module here that imports it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from safetensors import safe_open

from models.folded import FoldedDnri
from models.graphs import artifact_graphs
from models.manifest import WEIGHTS_FILE, Manifest
from models.registry import build
from service.errors import Unavailable
from service.inference.runtimes.protocol import (
    FlatWindow,
    Floats,
    Index,
    PairState,
    PriorLogits,
    StepGraph,
    StepOutput,
    StepState,
    WindowLogits,
)

Device = Literal["cpu", "cuda"]
Named = dict[str, torch.Tensor]


class TorchRuntime:
    """The folded network itself, behind the same arrays as the exported graphs."""

    def __init__(self, net: FoldedDnri, *, device: Device = "cpu") -> None:
        self._device = device
        self._net = net.to(device)
        self._graphs = artifact_graphs(self._net)

    @staticmethod
    def open(directory: Path, manifest: Manifest, *, device: Device = "cpu") -> "TorchRuntime":
        """Give the network of an artifact with the weights that its graphs share.

        Raises:
            Unavailable: if `device` is not there; nothing replaces it silently.
        """
        if device == "cuda" and not torch.cuda.is_available():
            raise Unavailable(
                "found torch without a CUDA device, expected one",
                code="runtime-missing",
                fix="Set RELATA_DEVICE=cpu, or run where there is a GPU.",
            )
        net = build(manifest.family, manifest.network).fold()
        net.load_state_dict(_weights(directory / WEIGHTS_FILE))
        return TorchRuntime(net, device=device)

    @property
    def name(self) -> str:
        """Give runtime and device as ``/readyz`` reports them."""
        return f"torch-{self._device}"

    @property
    def hidden_width(self) -> int:
        """Give the width of a pair's hidden state."""
        return self._net.config.lstm_hidden

    @property
    def memory_width(self) -> int:
        """Give the width of a node's decoder memory; 0 for a Markov decoder."""
        return self._net.decoder.memory_width

    def encode(self, window: FlatWindow) -> WindowLogits:
        """Give the posterior and prior logits ``[L, S, K]`` of whole windows."""
        answer = self._call("encoder", self._tensors(window._asdict()))
        return WindowLogits(_array(answer["posterior_logits"]), _array(answer["prior_logits"]))

    def prior(self, window: FlatWindow, state: PairState) -> PriorLogits:
        """Give the prior logits ``[L, S, K]``, going on from `state`, and the state after it."""
        answer = self._call("prior", self._tensors({**window._asdict(), **state._asdict()}))
        after = PairState(_array(answer["hidden_out"]), _array(answer["cell_out"]))
        return PriorLogits(_array(answer["prior_logits"]), after)

    def rollout(self, graph: StepGraph, state: StepState) -> "TorchRollout":
        """Start a loop of steps."""
        return TorchRollout(self, self._tensors(graph._asdict()), state)

    def step(self, feeds: Named) -> Named:
        """Take one step on named tensors."""
        return self._call("step", feeds)

    def _tensors(self, arrays: Mapping[str, npt.NDArray[Any]]) -> Named:
        return {
            name: torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
            for name, array in arrays.items()
        }

    def tensor(self, array: npt.NDArray[Any]) -> torch.Tensor:
        """Give a copy of an array on the device."""
        return torch.tensor(array, device=self._device)

    def _call(self, role: str, feeds: Named) -> Named:
        graph = self._graphs[role]
        signature = graph.signature()
        with torch.inference_mode():
            answers = graph(*(feeds[name] for name in signature.inputs))
        return dict(zip(signature.outputs, answers, strict=True))


class TorchRollout:
    """One graph's loop, eager."""

    def __init__(self, runtime: TorchRuntime, graph: Named, state: StepState) -> None:
        self._runtime = runtime
        self._graph = graph
        memory = {} if state.memory is None else {"memory": runtime.tensor(state.memory)}
        self._state: Named = {
            "nodes": runtime.tensor(state.nodes),
            "hidden": runtime.tensor(state.pairs.hidden),
            "cell": runtime.tensor(state.pairs.cell),
            **memory,
        }

    def advance(self, uniforms: Floats, forced: Index, nodes: Floats | None = None) -> StepOutput:
        """Take one step from the last one's nodes, or from `nodes` when true frames are fed."""
        tensor = self._runtime.tensor
        if nodes is not None:
            self._state["nodes"] = tensor(nodes)
        inputs = {"uniforms": tensor(uniforms), "forced": tensor(forced)}
        answer = self._runtime.step({**self._graph, **self._state, **inputs})
        self._state = {name: answer[_OUTPUTS[name]] for name in self._state}
        return StepOutput(
            _array(answer["next_nodes"]), _array(answer["prior_logits"]), _array(answer["types"])
        )

    def state(self) -> StepState:
        """Give a copy of the state after the last step."""
        now = {name: _array(tensor).copy() for name, tensor in self._state.items()}
        return StepState(now["nodes"], PairState(now["hidden"], now["cell"]), now.get("memory"))


_OUTPUTS = {
    "nodes": "next_nodes",
    "hidden": "hidden_out",
    "cell": "cell_out",
    "memory": "memory_out",
}


def _weights(path: Path) -> Named:
    opened: Any = safe_open(path, framework="pt")
    with opened as file:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def _array(tensor: torch.Tensor) -> npt.NDArray[Any]:
    return tensor.cpu().numpy()
