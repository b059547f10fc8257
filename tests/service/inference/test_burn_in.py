import numpy as np
import pytest

from service.inference.burn_in import markov_states, recurrent_state, tiled
from service.inference.runtimes.protocol import DRAW, StepState
from service.inference.scaling import scaling_for
from service.inference.scenes import Scene
from tests.service.networks import small_manifest, small_model, walk, with_absences


def finish(steps):
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def scene(values: np.ndarray, **changes) -> Scene:
    scaling = scaling_for(small_manifest(), values)
    names = tuple(f"e{row}" for row in range(values.shape[1]))
    fields = {"horizon": 4, "num_samples": 3, "seed": 11, "first_frame": 2}
    return Scene(scaling.normalised(values), scaling, names, **(fields | changes))


class TestMarkovStates:
    def test_leave_the_last_frame_to_the_first_step(self):
        values = walk(7, 3)
        model = small_model()
        (state,) = finish(markov_states(model.runtime, [scene(values)], 3))
        changed = values.copy()
        changed[-1] += 0.1
        # Both scenes share their scaling, so that only the last frame differs.
        other = scene(values)
        other.values[-1] = other.scaling.normalised(changed)[-1]
        (same,) = finish(markov_states(model.runtime, [other], 3))
        assert np.array_equal(state.hidden, same.hidden)

    def test_hold_only_pairs_that_are_there_at_the_end(self):
        values = with_absences(walk(7, 4), {1: (5, 7), 3: (0, 3)})
        one = scene(values)
        (state,) = finish(markov_states(small_model().runtime, [one], 3))
        assert one.alive.tolist() == [0, 2, 3]
        assert state.hidden.shape == (6, 8)
        start = tiled(one, state, 2)
        assert start.nodes.shape == (6, 4)
        assert np.array_equal(start.pairs.cell[:6], start.pairs.cell[6:])


class TestRecurrentState:
    MODEL = small_model(decoder="recurrent")

    def step_by_step(self, one: Scene, samples: np.ndarray) -> StepState:
        """Feed the true frames of a window in which everybody is always present."""
        from service.inference.burn_in import _Store
        from service.inference.flat import complete_graph

        nodes = [np.tile(frame, (len(samples), 1)) for frame in one.values]
        everybody = np.arange(len(one.entities))
        start = _Store(self.MODEL.runtime, one, len(samples)).state(everybody, nodes[0])
        graph = complete_graph(len(everybody), len(samples))
        rollout = self.MODEL.runtime.rollout(graph, start)
        for t in range(len(nodes) - 1):
            uniforms = one.uniforms(one.columns, samples, [one.first_frame + t]).ravel()
            rollout.advance(uniforms, np.full(len(uniforms), DRAW), nodes[t])
        return rollout.state()

    def test_equals_feeding_the_frames_one_by_one(self):
        one, samples = scene(walk(6, 3)), np.array([0, 2])
        state = finish(recurrent_state(self.MODEL.runtime, one, samples))
        expected = self.step_by_step(one, samples)
        np.testing.assert_allclose(state.pairs.hidden, expected.pairs.hidden, atol=1e-6)
        np.testing.assert_allclose(state.memory, expected.memory, atol=1e-6)
        assert np.array_equal(state.nodes, np.tile(one.values[-1], (2, 1)))

    def test_samples_differ_in_what_they_drew_and_do_not_depend_on_each_other(self):
        one = scene(walk(6, 3))
        both = finish(recurrent_state(self.MODEL.runtime, one, np.array([0, 1])))
        second = finish(recurrent_state(self.MODEL.runtime, one, np.array([1])))
        assert np.abs(both.memory[:3] - both.memory[3:]).max() > 1e-4
        np.testing.assert_allclose(both.memory[3:], second.memory, atol=1e-6)

    def test_absent_entities_keep_their_memory(self):
        values = walk(8, 2)
        paused = scene(with_absences(values, {1: (3, 6)}))
        state = finish(recurrent_state(self.MODEL.runtime, paused, np.arange(1)))
        assert state.memory.shape == (2, self.MODEL.runtime.memory_width)
        assert np.abs(state.memory).min(axis=1).max() >= 0
        assert np.abs(state.memory[1]).max() > 1e-4
        never = scene(with_absences(values, {1: (0, 7)}))
        fresh = finish(recurrent_state(self.MODEL.runtime, never, np.arange(1)))
        assert not fresh.memory[1].any()
        assert np.abs(fresh.memory[0]).max() > 1e-4

    @pytest.mark.parametrize("frames", [1, 2])
    def test_short_windows_work(self, frames):
        state = finish(recurrent_state(self.MODEL.runtime, scene(walk(frames, 2)), np.arange(2)))
        assert state.nodes.shape == (4, 4)
        assert bool(state.memory.any()) == (frames > 1)
