import dataclasses

import numpy as np
import pytest

from models.philox import uniforms
from service.inference import forecasting, rollouts
from service.inference.forecasting import ForecastRun
from service.inference.rollouts import Paths
from service.inference.runtimes.protocol import Runtime
from service.inference.scaling import scaling_for
from service.inference.scenes import ForcedRows, Scene
from tests.service.networks import small_manifest, small_model, walk, with_absences

MARKOV = small_model().runtime
RECURRENT = small_model(decoder="recurrent").runtime
BOTH = pytest.mark.parametrize("runtime", [MARKOV, RECURRENT], ids=["markov", "recurrent"])


def scene(values: np.ndarray | None = None, names: str = "abcde", **changes) -> Scene:
    values = walk(6, 3) if values is None else values
    scaling = scaling_for(small_manifest(), values)
    fields = {"horizon": 5, "num_samples": 4, "seed": 3, "first_frame": 0}
    entities = tuple(names[: values.shape[1]])
    return Scene(scaling.normalised(values), scaling, entities, **(fields | changes))


def run(runtime: Runtime, *scenes: Scene) -> list[Paths]:
    forecast = ForecastRun(runtime, scenes, 3)
    for _ in forecast.slices():
        pass
    return forecast.paths


@BOTH
class TestRollouts:
    def test_the_same_seed_gives_the_same_bits(self, runtime):
        one, other = run(runtime, scene())[0], run(runtime, scene())[0]
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.relations, other.relations)
        assert not np.array_equal(one.values, run(runtime, scene(seed=4))[0].values)

    def test_chunks_of_samples_change_nothing(self, runtime, monkeypatch):
        (together,) = run(runtime, scene(num_samples=5))
        monkeypatch.setattr(forecasting, "ROWS_PER_CALL", 12)
        (chunked,) = run(runtime, scene(num_samples=5))
        np.testing.assert_allclose(chunked.values, together.values, atol=1e-5)
        np.testing.assert_allclose(chunked.relations, together.relations, atol=1e-5)

    def test_slices_change_no_bit(self, runtime, monkeypatch):
        (together,) = run(runtime, scene())
        monkeypatch.setattr(rollouts, "ROWS_PER_SLICE", 1)
        (sliced,) = run(runtime, scene())
        assert np.array_equal(sliced.values, together.values)
        assert np.array_equal(sliced.relations, together.relations)

    def test_a_union_gives_each_scene_what_it_gets_alone(self, runtime):
        several = [
            scene(),
            scene(walk(4, 2, seed=5), seed=8, num_samples=2),
            scene(with_absences(walk(7, 4, seed=6), {0: (2, 4), 3: (5, 7)}), seed=9),
        ]
        for one, other in zip(run(runtime, *several), several, strict=True):
            (alone,) = run(runtime, other)
            np.testing.assert_allclose(one.values, alone.values, atol=1e-5)
            np.testing.assert_allclose(one.relations, alone.relations, atol=1e-5)

    def test_the_order_of_entities_changes_only_the_order_of_the_answer(self, runtime):
        values, order = walk(6, 3), [2, 0, 1]
        (one,) = run(runtime, scene(values))
        turned = dataclasses.replace(
            scene(values), values=scene(values).values[:, order], entities=tuple("cab")
        )
        (other,) = run(runtime, turned)
        np.testing.assert_allclose(other.values, one.values[:, :, order], atol=1e-5)

    def test_an_entity_that_has_left_is_not_foretold(self, runtime):
        gone = scene(with_absences(walk(6, 4), {1: (4, 6)}))
        (paths,) = run(runtime, gone)
        assert gone.alive.tolist() == [0, 2, 3]
        assert paths.values.shape == (4, 5, 3, 4)
        assert paths.relations.shape == (5, 6, 3)

    def test_one_entity_that_is_left_moves_alone(self, runtime):
        alone = scene(with_absences(walk(6, 3), {1: (4, 6), 2: (1, 6)}))
        (paths,) = run(runtime, alone)
        assert paths.values.shape == (4, 5, 1, 4)
        assert np.isfinite(paths.values).all()
        # Only a decoder with a memory still knows which relations its path once drew.
        assert np.array_equal(paths.values[0], paths.values[1]) == (runtime is MARKOV)

    def test_relations_are_distributions(self, runtime):
        (paths,) = run(runtime, scene())
        np.testing.assert_allclose(paths.relations.sum(-1), 4, atol=1e-5)

    @pytest.mark.parametrize("stop_after", [1, 3, 7])
    def test_a_successor_gives_the_identical_result(self, runtime, stop_after, monkeypatch):
        monkeypatch.setattr(forecasting, "ROWS_PER_CALL", 12)
        monkeypatch.setattr(rollouts, "ROWS_PER_SLICE", 24)
        (undisturbed,) = run(runtime, scene(num_samples=6))
        first = ForecastRun(runtime, [scene(num_samples=6)], 3)
        for _ in zip(first.slices(), range(stop_after), strict=False):
            kept = first.checkpoint()
        done = first.done
        second = ForecastRun(runtime, [scene(num_samples=6)], 3)
        second.restore(kept)
        assert second.done <= done
        for _ in second.slices():
            pass
        assert np.array_equal(second.paths[0].values, undisturbed.values)
        assert np.array_equal(second.paths[0].relations, undisturbed.relations)


class Recorder:
    """A runtime that remembers every step it took."""

    def __init__(self, runtime: Runtime) -> None:
        self.inner = runtime
        self.steps: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def __getattr__(self, name: str):
        return getattr(self.inner, name)

    def rollout(self, graph, state):
        rollout, steps = self.inner.rollout(graph, state), self.steps
        advance = rollout.advance

        def recording(draws, forced, nodes=None):
            output = advance(draws, forced, nodes)
            steps.append((draws.copy(), output.prior_logits.copy(), output.types.copy()))
            return output

        rollout.advance = recording
        return rollout


def recorded(*scenes: Scene) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    recorder = Recorder(MARKOV)
    run(recorder, *scenes)
    return recorder.steps


class TestDraws:
    def test_are_keyed_by_seed_sample_frame_and_ids(self):
        one = scene(num_samples=3, first_frame=7)
        sources, targets = ([one.entities[row] for row in rows] for rows in one.pairs)
        for step, (draws, _, _) in enumerate(recorded(one)):
            expected = uniforms(3, range(3), 12 + step, sources, targets)
            assert np.array_equal(draws.reshape(3, 6), expected)

    def test_choose_types_by_inverse_cdf(self):
        for draws, logits, types in recorded(scene()):
            edges = np.cumsum(rollouts.softmax(logits), axis=-1)[:, :-1]
            clear = np.abs(draws[:, None] - edges).min(axis=-1) > 1e-5
            assert clear.any()
            expected = (draws[:, None] >= edges).sum(axis=-1)
            assert np.array_equal(types[clear], expected[clear])

    def test_are_bit_equal_alone_and_in_a_union_and_choose_the_same_types(self):
        one, other = scene(), scene(walk(4, 2, seed=5), seed=8)
        alone, among = recorded(other), recorded(one, other)
        for (draws, logits, types), (all_draws, _, all_types) in zip(alone, among, strict=True):
            assert np.array_equal(all_draws[-len(draws) :], draws)
            edges = np.cumsum(rollouts.softmax(logits), axis=-1)[:, :-1]
            flipped = all_types[-len(types) :] != types
            close = np.abs(draws[:, None] - edges).min(axis=-1) < 1e-5
            assert not (flipped & ~close).any()


class TestForced:
    def rules(self, *rows) -> ForcedRows:
        return ForcedRows(*np.array(rows, np.int64).T)

    def test_act_on_their_pair_and_steps_only(self):
        forced = scene(forced=self.rules((0, 1, 2, 1, 2), (2, 0, 1, 2, 9)))
        pairs = list(zip(*forced.pairs, strict=True))
        for step in range(5):
            expected = [-1] * 6
            if 1 <= step <= 2:
                expected[pairs.index((0, 1))] = 2
            if step >= 2:
                expected[pairs.index((2, 0))] = 1
            assert forced.forced_at(step).tolist() == expected

    def test_the_later_rule_holds(self):
        forced = scene(forced=self.rules((0, 1, 2, 0, 4), (0, 1, 1, 3, 3)))
        pair = list(zip(*forced.pairs, strict=True)).index((0, 1))
        assert [forced.forced_at(step)[pair] for step in range(5)] == [2, 2, 2, 1, 2]

    def test_change_the_target_from_the_next_step_on_and_nothing_before(self):
        (free,) = run(MARKOV, scene(num_samples=8))
        rules = [(source, 1, 2, 2, 4) for source in (0, 2)]
        (set_,) = run(MARKOV, scene(num_samples=8, forced=self.rules(*rules)))
        assert np.array_equal(set_.values[:, :2], free.values[:, :2])
        assert np.abs(set_.values[:, 2, 1] - free.values[:, 2, 1]).max() > 1e-6
        assert np.array_equal(set_.values[:, 2, [0, 2]], free.values[:, 2, [0, 2]])

    def test_all_pairs_forced_leave_nothing_to_chance(self):
        pairs = [(s, t, 1, 0, 9) for s in range(3) for t in range(3) if s != t]
        (paths,) = run(MARKOV, scene(forced=self.rules(*pairs)))
        assert np.array_equal(paths.values, np.broadcast_to(paths.values[:1], paths.values.shape))


class TestDivergence:
    def diverging(self) -> Scene:
        """Give a scene whose velocities leave ten times the trained range within some steps."""
        values = walk(4, 2)
        values[..., 2:] = 0.98
        return scene(values, horizon=60)

    def test_ends_at_the_first_step_outside_for_all_paths(self):
        (paths,) = run(MARKOV, self.diverging())
        assert 0 < paths.reached < 60
        inside = paths.scene.scaling.within(paths.values[:, : paths.reached], 10.0)
        assert inside.all()
        assert not paths.scene.scaling.within(paths.values[:, paths.reached], 10.0).all()

    def test_does_not_touch_the_others_of_its_union(self):
        calm = scene(horizon=60, seed=1)
        _, beside = run(MARKOV, self.diverging(), calm)
        (alone,) = run(MARKOV, calm)
        assert beside.reached == alone.reached == 60
        np.testing.assert_allclose(beside.values, alone.values, atol=1e-5)


class TestCheckpoint:
    def test_of_another_request_is_refused(self):
        first = ForecastRun(MARKOV, [scene()], 3)
        next(first.slices())
        for other in (scene(seed=4), scene(walk(6, 3, seed=2)), scene(num_samples=5)):
            with pytest.raises(ValueError, match="another request"):
                ForecastRun(MARKOV, [other], 3).restore(first.checkpoint())

    def test_progress_reaches_its_total(self, monkeypatch):
        monkeypatch.setattr(rollouts, "ROWS_PER_SLICE", 24)
        forecast = ForecastRun(MARKOV, [scene()], 3)
        found = [forecast.done for _ in forecast.slices()]
        assert found == sorted(found)
        assert forecast.done == forecast.total == 20
