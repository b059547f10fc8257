"""A forecast from start to end: burn-in, then sample paths in chunks, resumable at every slice."""

from collections.abc import Generator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from service.inference.burn_in import markov_states, recurrent_state, tiled
from service.inference.causal import ROWS_PER_CALL
from service.inference.rollouts import Part, Paths, UnionRollout
from service.inference.runtimes.protocol import Index, PairState, Runtime, StepState
from service.inference.scenes import Scene

Arrays = Mapping[str, npt.NDArray[np.generic]]


class Share(NamedTuple):
    """Some samples of one scene that are rolled out together."""

    paths: Paths
    samples: Index


class ForecastRun:
    """The rollouts of scenes of one horizon: a union when small, each alone in chunks when large.

    Whoever runs it walks through `slices`; between two slices it may stop for good, or take
    `checkpoint` and later go on in another process with the identical result.
    """

    def __init__(self, runtime: Runtime, scenes: Sequence[Scene], edge_types: int) -> None:
        self.paths = [Paths(scene, edge_types) for scene in scenes]
        self._runtime = runtime
        self._edge_types = edge_types
        self._chunks = _chunks(self.paths)
        self._at = 0
        self._rollout: UnionRollout | None = None
        self._shared_past: list[PairState] | None = None

    def slices(self) -> Generator[None, None, None]:
        """Work through all chunks, yielding after every slice of the work."""
        while self._at < len(self._chunks):
            if self._rollout is None:
                parts = yield from self._parts(self._chunks[self._at])
                self._rollout = UnionRollout(self._runtime, parts)
            while not self._rollout.is_done:
                self._rollout.advance()
                yield
            self._rollout.finish()
            self._rollout = None
            self._at += 1

    @property
    def total(self) -> int:
        """Give the sample steps of the whole run, ``S·H`` of all scenes."""
        return sum(paths.scene.num_samples * paths.scene.horizon for paths in self.paths)

    @property
    def done(self) -> int:
        """Give the sample steps taken so far."""
        finished = sum(_sample_steps(chunk) for chunk in self._chunks[: self._at])
        if self._rollout is None:
            return finished
        copies = sum(len(part.samples) for part in self._rollout.parts)
        return finished + copies * self._rollout.step

    @property
    def finished_samples(self) -> int:
        """Give how many samples of the first scene are complete."""
        return sum(
            len(share.samples)
            for chunk in self._chunks[: self._at]
            for share in chunk
            if share.paths is self.paths[0]
        )

    def checkpoint(self) -> dict[str, npt.NDArray[np.generic]]:
        """Give all that a successor needs; only for a run of one scene, between two slices."""
        paths = self.paths[0]
        arrays: dict[str, npt.NDArray[np.generic]] = {
            "fingerprint": _fingerprint(paths),
            "position": np.array(
                [self._at, self._rollout.step if self._rollout else 0, paths.reached]
            ),
            "values": paths.values[: self._begun_samples()].copy(),
            "relations": paths.relations.copy(),
        }
        if self._rollout is not None:
            state = self._rollout.state()
            arrays |= {"nodes": state.nodes, "hidden": state.pairs.hidden, "cell": state.pairs.cell}
            arrays |= {"union_relations": self._rollout.relations[0].copy()}
            arrays |= {} if state.memory is None else {"memory": state.memory}
        return arrays

    def restore(self, arrays: Arrays) -> None:
        """Go on from a checkpoint of the same request and model.

        Raises:
            ValueError: if it belongs to another request or to other sizes.
        """
        paths = self.paths[0]
        if not np.array_equal(arrays["fingerprint"], _fingerprint(paths)):
            raise ValueError(
                "checkpoint: found one of another request, expected this request's own"
            )
        position = np.asarray(arrays["position"], np.int64)
        self._at, step, paths.reached = (int(number) for number in position)
        paths.values[: len(arrays["values"])] = arrays["values"]
        paths.relations[:] = arrays["relations"]
        if "nodes" in arrays:
            state = _stored_state(arrays)
            parts = [Part(share.paths, share.samples, state) for share in self._chunks[self._at]]
            self._rollout = UnionRollout(self._runtime, parts, step=step, state=state)
            self._rollout.relations[0][:] = arrays["union_relations"]

    def _begun_samples(self) -> int:
        begun = self._chunks[: self._at + (self._rollout is not None)]
        return sum(len(share.samples) for chunk in begun for share in chunk)

    def _parts(self, chunk: Sequence[Share]) -> Generator[None, None, list[Part]]:
        if self._runtime.memory_width:
            parts: list[Part] = []
            for paths, samples in chunk:
                start = yield from recurrent_state(self._runtime, paths.scene, samples)
                parts.append(Part(paths, samples, start))
            return parts
        if self._shared_past is None:
            scenes = [paths.scene for paths in self.paths]
            self._shared_past = yield from markov_states(self._runtime, scenes, self._edge_types)
        past = {id(p): state for p, state in zip(self.paths, self._shared_past, strict=True)}
        return [
            Part(paths, samples, tiled(paths.scene, past[id(paths)], len(samples)))
            for paths, samples in chunk
        ]


def step_rows(scene: Scene) -> int:
    """Give the rows of one step of all samples of a scene."""
    return scene.rows_per_sample * scene.num_samples


def samples_per_chunk(scene: Scene) -> int:
    """Give how many samples of a scene are rolled out at once; chunks come out even."""
    chunks = -(-step_rows(scene) // ROWS_PER_CALL)
    return -(-scene.num_samples // min(chunks, scene.num_samples))


def _chunks(all_paths: Sequence[Paths]) -> list[list[Share]]:
    if sum(step_rows(paths.scene) for paths in all_paths) <= ROWS_PER_CALL:
        return [[Share(paths, np.arange(paths.scene.num_samples)) for paths in all_paths]]
    chunks: list[list[Share]] = []
    for paths in all_paths:
        size, samples = samples_per_chunk(paths.scene), paths.scene.num_samples
        starts = range(0, samples, size)
        chunks += [[Share(paths, np.arange(at, min(at + size, samples)))] for at in starts]
    return chunks


def _sample_steps(chunk: Sequence[Share]) -> int:
    return sum(len(share.samples) * share.paths.scene.horizon for share in chunk)


def _fingerprint(paths: Paths) -> npt.NDArray[np.uint64]:
    """Give numbers that differ between requests whose checkpoints must not be mixed up."""
    scene = paths.scene
    sizes = [*paths.values.shape, *paths.relations.shape, scene.seed, scene.last_frame]
    return np.array([*sizes, int(np.nan_to_num(scene.values).view(np.uint32).sum())], np.uint64)


def _stored_state(arrays: Arrays) -> StepState:
    stored = {
        name: np.asarray(arrays[name], np.float32)
        for name in ("nodes", "hidden", "cell", "memory")
        if name in arrays
    }
    pairs = PairState(stored["hidden"], stored["cell"])
    return StepState(stored["nodes"], pairs, stored.get("memory"))
