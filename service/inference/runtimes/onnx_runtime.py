"""ONNX Runtime: one session per graph, one thread, rollouts by IOBinding with two state buffers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import onnxruntime  # pyright: ignore[reportMissingTypeStubs]

from models.manifest import GraphFile, Manifest
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

ort: Any = onnxruntime  # it ships no types
Device = Literal["cpu", "cuda"]
PROVIDERS: Mapping[Device, str] = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
}
# Output of a step -> the input that it becomes in the next step.
CARRIED = {
    "next_nodes": "nodes",
    "hidden_out": "hidden",
    "cell_out": "cell",
    "memory_out": "memory",
}


class OnnxRuntime:
    """Serve one artifact directory; nothing of it is loaded from elsewhere."""

    def __init__(
        self, directory: Path, manifest: Manifest, *, device: Device = "cpu", threads: int = 1
    ) -> None:
        """Open the artifact's graphs on `device`.

        Raises:
            Unavailable: if the provider of `device` is not there; nothing replaces it silently.
        """
        self._device: Device = device
        self._sessions = {
            role: _session(directory / graph.file, device, threads)
            for role, graph in manifest.graphs.items()
        }
        self._step = manifest.graphs["step"]
        self._edge_types = manifest.edge_types
        inputs = {tensor.name: tensor.shape for tensor in self._step.inputs}
        self._hidden_width = int(inputs["hidden"][-1])
        self._memory_width = int(inputs["memory"][-1]) if "memory" in inputs else 0

    @property
    def name(self) -> str:
        """Give runtime and device as ``/readyz`` reports them."""
        return f"onnxruntime-{self._device}"

    @property
    def hidden_width(self) -> int:
        """Give the width of a pair's hidden state."""
        return self._hidden_width

    @property
    def memory_width(self) -> int:
        """Give the width of a node's decoder memory; 0 for a Markov decoder."""
        return self._memory_width

    def encode(self, window: FlatWindow) -> WindowLogits:
        """Give the posterior and prior logits ``[L, S, K]`` of whole windows."""
        posterior, prior = self._run(
            "encoder", window._asdict(), ["posterior_logits", "prior_logits"]
        )
        return WindowLogits(posterior, prior)

    def prior(self, window: FlatWindow, state: PairState) -> PriorLogits:
        """Give the prior logits ``[L, S, K]``, going on from `state`, and the state after it."""
        logits, hidden, cell = self._run(
            "prior",
            {**window._asdict(), **state._asdict()},
            ["prior_logits", "hidden_out", "cell_out"],
        )
        return PriorLogits(logits, PairState(hidden, cell))

    def rollout(self, graph: StepGraph, state: StepState) -> "OnnxRollout":
        """Start a loop of steps whose state stays on the device."""
        buffers = _StepBuffers(graph, state, self._edge_types, self._device)
        return OnnxRollout(self._sessions["step"], self._step, buffers)

    def _run(
        self, role: str, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]
    ) -> list[Floats]:
        return self._sessions[role].run(list(outputs), dict(feeds))


class OnnxRollout:
    """One graph's loop: each step reads one set of state buffers and writes the other."""

    def __init__(self, session: Any, step: GraphFile, buffers: "_StepBuffers") -> None:
        self._session = session
        self._buffers = buffers
        self._bindings = [
            _bind(session, step, buffers, read=0),
            _bind(session, step, buffers, read=1),
        ]
        self._current = 0

    def advance(self, uniforms: Floats, forced: Index, nodes: Floats | None = None) -> StepOutput:
        """Take one step from the last one's nodes, or from `nodes` when true frames are fed."""
        buffers = self._buffers
        buffers.fixed["uniforms"].write(uniforms)
        buffers.fixed["forced"].write(forced)
        if nodes is not None:
            buffers.states[self._current]["nodes"].write(nodes)
        self._session.run_with_iobinding(self._bindings[self._current])
        self._current = 1 - self._current
        return StepOutput(
            nodes=buffers.states[self._current]["nodes"].read(),
            prior_logits=buffers.answers["prior_logits"].read(),
            types=buffers.answers["types"].read(),
        )

    def state(self) -> StepState:
        """Give a copy of the state after the last step."""
        buffers = self._buffers.states[self._current]
        now = {name: buffer.read().copy() for name, buffer in buffers.items()}
        return StepState(now["nodes"], PairState(now["hidden"], now["cell"]), now.get("memory"))


class _StepBuffers:
    """The memory that one rollout works in: two states, the inputs of a step, its answers."""

    def __init__(self, graph: StepGraph, state: StepState, types: int, device: Device) -> None:
        edges = len(graph.senders)
        carried = {"nodes": state.nodes, **state.pairs._asdict()}
        if state.memory is not None:
            carried["memory"] = state.memory
        self.states = [
            {name: _Buffer(array.copy(), device) for name, array in carried.items()}
            for _ in range(2)
        ]
        self.fixed = {name: _Buffer(array, device) for name, array in graph._asdict().items()}
        self.fixed["uniforms"] = _Buffer(np.zeros(edges, np.float32), device)
        self.fixed["forced"] = _Buffer(np.zeros(edges, np.int64), device)
        self.answers = {
            "prior_logits": _Buffer(np.zeros((edges, types), np.float32), device),
            "types": _Buffer(np.zeros(edges, np.int64), device),
        }


def _bind(session: Any, step: GraphFile, buffers: _StepBuffers, *, read: int) -> Any:
    binding = session.io_binding()
    offered = buffers.fixed | buffers.states[read]
    wanted = buffers.answers | {
        output: buffers.states[1 - read][name]
        for output, name in CARRIED.items()
        if name in buffers.states[read]
    }
    for tensor in step.inputs:
        binding.bind_ortvalue_input(tensor.name, offered[tensor.name].value)
    for tensor in step.outputs:
        binding.bind_ortvalue_output(tensor.name, wanted[tensor.name].value)
    return binding


class _Buffer:
    """A fixed piece of device memory; on the CPU the array itself, elsewhere a copy of it."""

    def __init__(self, array: npt.NDArray[Any], device: Device) -> None:
        self._array = np.ascontiguousarray(array)
        self._on_host = device == "cpu"
        # On the CPU the OrtValue is a view of the array, so writing to the array is enough.
        self.value: Any = ort.OrtValue.ortvalue_from_numpy(self._array, device, 0)

    def write(self, array: npt.NDArray[Any]) -> None:
        """Overwrite the content."""
        self._array[...] = array
        if not self._on_host:
            self.value.update_inplace(self._array)

    def read(self) -> npt.NDArray[Any]:
        """Give the content; a view on the CPU."""
        return self._array if self._on_host else self.value.numpy()


def _session(path: Path, device: Device, threads: int) -> Any:
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise Unavailable(
            f"found ONNX Runtime without {provider}, expected one for device {device!r}",
            code="runtime-missing",
            fix="Install the runtime (make install GPU=1) or set RELATA_DEVICE=cpu.",
        )
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = ort.InferenceSession(str(path), options, providers=[provider])
    if session.get_providers()[0] != provider:
        raise Unavailable(
            f"found {session.get_providers()[0]} in use, expected {provider}",
            code="runtime-missing",
            fix="Check the CUDA libraries of this machine or set RELATA_DEVICE=cpu.",
        )
    return session
