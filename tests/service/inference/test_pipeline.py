"""Requests to tables, through the real engine and real exported graphs."""

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import numpy as np
import orjson
import pytest

from service.errors import InvalidRequest, NotFound, Unavailable
from service.inference import forecasting, questions, rollouts
from service.inference.pipeline import Checkpoint, Interrupted, OfflineRunner, Pipeline
from service.inference.quantiles import mixture_quantiles
from service.relations.forecasts import ForecastTable
from service.relations.tables import RelationTable
from service.schemas.requests import ForecastRequest, InferRelationsRequest
from service.settings import Settings
from tests.service.networks import OneModel, walk, with_absences
from tests.service.small_artifacts import OPTIONS, small_artifact
from trajectories.pairs import source_major

SETTINGS = Settings(drain_s=5.0)
FEATURES = ["x", "y", "vx", "vy"]


def listed(values: np.ndarray) -> list[list[list[float] | None]]:
    return [[None if np.isnan(row).any() else row.tolist() for row in frame] for frame in values]


def trajectory(values: np.ndarray, **changes: Any) -> dict[str, Any]:
    names = [f"p{row}" for row in range(values.shape[1])]
    fields = {
        "entities": names,
        "features": FEATURES[: values.shape[2]],
        "frame_rate": 2.0,
        "values": listed(values),
    }
    return fields | changes


def ask_relations(values: np.ndarray, **changes: Any) -> InferRelationsRequest:
    inner = {key: changes.pop(key) for key in ("start_frame", "units") if key in changes}
    fields = {"model": "small-markov", "trajectory": trajectory(values, **inner)}
    return InferRelationsRequest(**(fields | changes))


def ask_forecast(values: np.ndarray, **changes: Any) -> ForecastRequest:
    inner = {key: changes.pop(key) for key in ("start_frame", "units") if key in changes}
    fields = {
        "model": "small-markov",
        "trajectory": trajectory(values, **inner),
        "horizon": 4,
        "num_samples": 6,
        "seed": 5,
    }
    return ForecastRequest(**(fields | changes))


@pytest.fixture(scope="module")
def engine() -> Iterator[Pipeline]:
    running = Pipeline(OneModel(small_artifact("small-markov")), SETTINGS)
    yield running
    running.close()


def relate(engine: Pipeline, request: InferRelationsRequest) -> RelationTable:
    return asyncio.run(engine.infer_relations(request))


def foretell(engine: Pipeline, request: ForecastRequest) -> ForecastTable:
    return asyncio.run(engine.forecast(request))


def wire(table: ForecastTable | RelationTable) -> Any:
    return orjson.loads(orjson.dumps(table.to_wire(), option=orjson.OPT_SERIALIZE_NUMPY))


VALUES = walk(8, 3)
GAPS = with_absences(walk(8, 4), {1: (2, 5), 3: (6, 8)})


class TestInferRelations:
    def test_posterior_leaves_the_last_frame_out(self, engine):
        table = relate(engine, ask_relations(VALUES))
        assert table.estimator == "posterior"
        assert table.frames.tolist() == list(range(7))
        np.testing.assert_allclose(table.probabilities.sum(-1), 1, atol=1e-5)
        changed = VALUES.copy()
        changed[-1] += 0.2
        again = relate(engine, ask_relations(changed))
        np.testing.assert_allclose(again.probabilities, table.probabilities, atol=1e-6)

    def test_prior_has_a_row_for_every_frame_and_sees_no_later_one(self, engine):
        table = relate(engine, ask_relations(VALUES, estimator="prior", start_frame=10))
        assert table.frames.tolist() == list(range(10, 18))
        shorter = relate(engine, ask_relations(VALUES[:5], estimator="prior"))
        np.testing.assert_allclose(table.probabilities[:5], shorter.probabilities, atol=1e-5)

    def test_later_frames_do_not_even_round_an_earlier_prior(self, engine):
        other = VALUES.copy()
        other[5:] += 1e4
        tables = [relate(engine, ask_relations(v, estimator="prior")) for v in (VALUES, other)]
        assert np.array_equal(tables[0].probabilities[:5], tables[1].probabilities[:5])

    def test_derived_velocities_use_up_the_first_frame(self, engine):
        whole = walk(9, 3)
        derived = relate(engine, ask_relations(whole[..., :2], estimator="prior"))
        given = relate(engine, ask_relations(whole[1:], estimator="prior", start_frame=1))
        assert derived.frames.tolist() == given.frames.tolist() == list(range(1, 9))
        np.testing.assert_allclose(derived.probabilities, given.probabilities, atol=1e-5)
        posterior = relate(engine, ask_relations(whole[..., :2]))
        assert posterior.frames.tolist() == list(range(1, 8))

    @pytest.mark.parametrize("estimator", ["prior", "posterior"])
    def test_absent_pairs_are_null(self, engine, estimator):
        table = relate(engine, ask_relations(GAPS, estimator=estimator))
        present = ~np.isnan(GAPS[..., 0])
        sources, targets = source_major(4)
        together = present[:, sources] & present[:, targets]
        found = ~np.isnan(table.probabilities).any(-1)
        assert np.array_equal(found, together[: len(found)])
        assert wire(table)["probabilities"][3][0] is None

    def test_derived_velocities_make_a_pair_null_where_one_reappears(self, engine):
        positions = with_absences(walk(9, 3), {1: (3, 5)})[..., :2]
        table = relate(engine, ask_relations(positions, estimator="prior"))
        column = 0  # p0 to p1
        absent = np.isnan(table.probabilities[:, column]).any(-1)
        assert table.frames[absent].tolist() == [3, 4, 5]

    def test_pairs_are_named_source_first(self, engine):
        table = relate(engine, ask_relations(VALUES))
        assert list(table.sources) == ["p0", "p0", "p1", "p1", "p2", "p2"]
        assert list(table.targets) == ["p1", "p2", "p0", "p2", "p0", "p1"]

    def test_turning_the_order_of_entities_turns_the_columns(self, engine):
        order = [2, 0, 1]
        names = [f"p{row}" for row in order]
        table = relate(engine, ask_relations(VALUES))
        request = ask_relations(VALUES[:, order])
        turned = request.model_copy(
            update={"trajectory": request.trajectory.model_copy(update={"entities": names})}
        )
        other = relate(engine, turned)
        places = {pair: i for i, pair in enumerate(zip(other.sources, other.targets, strict=True))}
        columns = [places[pair] for pair in zip(table.sources, table.targets, strict=True)]
        np.testing.assert_allclose(other.probabilities[:, columns], table.probabilities, atol=1e-5)

    def test_nobody_ever_together_gives_null_rows_only(self, engine):
        apart = with_absences(walk(4, 2), {0: (0, 2), 1: (2, 4)})
        table = relate(engine, ask_relations(apart))
        assert np.isnan(table.probabilities).all()
        assert table.probabilities.shape == (3, 2, 3)

    def test_where_the_window_is_does_not_matter_to_a_local_model(self, engine):
        far = VALUES + np.array([3e5, -4e5, 0, 0])
        near = relate(engine, ask_relations(VALUES)).probabilities
        np.testing.assert_allclose(
            relate(engine, ask_relations(far)).probabilities, near, atol=1e-5
        )

    def test_a_window_too_large_to_see_its_future_names_the_way_out(self, engine, monkeypatch):
        monkeypatch.setattr(questions, "ENCODER_ROWS", 10)
        with pytest.raises(InvalidRequest) as refusal:
            relate(engine, ask_relations(VALUES))
        assert refusal.value.code == "cost-over-limit"
        assert "prior" in refusal.value.fix
        assert relate(engine, ask_relations(VALUES, estimator="prior")).frames.size == 8


class TestForecast:
    def test_says_what_happens_next_with_all_its_parts(self, engine):
        outputs = ["mean", "quantiles", "samples", "relations", "baseline"]
        body = wire(foretell(engine, ask_forecast(VALUES, outputs=outputs, start_frame=3)))
        assert body["frames"] == [11, 12, 13, 14]
        assert body["relations"]["frames"] == [10, 11, 12, 13]
        assert body["relations"]["estimator"] == "prior"
        assert np.shape(body["mean"]) == (4, 3, 4)
        assert np.shape(body["samples"]) == (6, 4, 3, 4)
        np.testing.assert_allclose(np.mean(body["samples"], axis=0), body["mean"], atol=1e-9)
        assert list(body["quantiles"]) == ["0.05", "0.5", "0.95"]
        assert body["bands"] == {"method": "residual-variance", "coverage": {"0.9": 0.88}}
        assert list(body["baseline"]) == ["constant_velocity"]
        assert body["seed"] == 5
        low, middle, high = (np.array(values) for values in body["quantiles"].values())
        assert (low < middle).all()
        assert (middle < high).all()

    def test_the_same_request_twice_is_bit_equal_and_another_seed_is_not(self, engine):
        one, other = (foretell(engine, ask_forecast(VALUES)) for _ in range(2))
        assert orjson.dumps(wire(one)) == orjson.dumps(wire(other))
        assert not np.array_equal(foretell(engine, ask_forecast(VALUES, seed=6)).mean, one.mean)

    def test_without_a_seed_draws_one_and_says_which(self, engine):
        table = foretell(engine, ask_forecast(VALUES, seed=None))
        again = foretell(engine, ask_forecast(VALUES, seed=table.seed))
        assert np.array_equal(table.mean, again.mean)

    def test_answers_the_features_and_units_that_were_sent(self, engine):
        metres = foretell(engine, ask_forecast(VALUES[..., :2]))
        feet = foretell(
            engine, ask_forecast(VALUES[..., :2] / 0.3048, units={"x": "ft", "y": "ft"})
        )
        assert metres.mean.shape == (4, 3, 2)
        assert list(feet.features) == ["x", "y"]
        np.testing.assert_allclose(feet.mean * 0.3048, metres.mean, atol=1e-5)
        for level, values in feet.quantiles.items():
            np.testing.assert_allclose(values * 0.3048, metres.quantiles[level], atol=1e-5)
        one, other = (table.baseline["constant_velocity"] for table in (feet, metres))
        np.testing.assert_allclose(one * 0.3048, other, atol=1e-9)

    def test_turning_and_moving_the_input_of_a_local_model_turns_and_moves_the_forecast(
        self, engine
    ):
        cos, sin = np.cos(0.7), np.sin(0.7)
        turn = np.array([[cos, sin], [-sin, cos]])
        moved = np.concatenate((VALUES[..., :2] @ turn, VALUES[..., 2:] @ turn), axis=-1)
        moved[..., :2] += [2e3, -1e3]
        one, other = (foretell(engine, ask_forecast(values)) for values in (VALUES, moved))
        np.testing.assert_allclose(
            other.relations.probabilities, one.relations.probabilities, atol=1e-4
        )
        expected = one.mean[..., :2] @ turn + [2e3, -1e3]
        np.testing.assert_allclose(other.mean[..., :2], expected, rtol=0, atol=1e-4)

    def test_quantiles_are_those_of_the_predictive_mixture(self, engine):
        table = foretell(engine, ask_forecast(VALUES, outputs=["samples", "quantiles"]))
        variance = np.array(small_artifact("small-markov").manifest.bands.residual_variance)[:4]
        expected = mixture_quantiles(table.samples, variance, [0.05, 0.5, 0.95])
        for found, values in zip(table.quantiles.values(), expected, strict=True):
            np.testing.assert_allclose(found, values, atol=1e-6)

    def test_entities_absent_at_the_end_are_null(self, engine):
        table = foretell(engine, ask_forecast(GAPS, outputs=["mean", "samples", "relations"]))
        assert np.isnan(table.mean[:, 3]).all()
        assert np.isfinite(table.mean[:, :3]).all()
        body = wire(table)
        assert body["mean"][0][3] is None
        assert body["samples"][0][0][3] is None
        gone = [i for i, pair in enumerate(zip(*source_major(4), strict=True)) if 3 in pair]
        assert all(body["relations"]["probabilities"][0][pair] is None for pair in gone)

    def test_an_entity_that_appears_last_is_absent_with_a_word_of_warning(self, engine):
        positions = with_absences(walk(9, 3), {1: (3, 8)})[..., :2]
        table = foretell(engine, ask_forecast(positions))
        assert np.isnan(table.mean[:, 1]).all()
        assert "appeared-last" in {notice.code for notice in table.warnings}

    def test_nobody_at_the_end_is_refused(self, engine):
        with pytest.raises(InvalidRequest) as refusal:
            foretell(engine, ask_forecast(with_absences(VALUES, {n: (7, 8) for n in range(3)})))
        assert refusal.value.code == "nobody-present"

    def test_the_first_relations_are_those_of_the_prior_at_the_last_frame(self, engine):
        table = foretell(engine, ask_forecast(VALUES))
        prior = relate(engine, ask_relations(VALUES, estimator="prior"))
        assert table.relations.frames[0] == prior.frames[-1]
        np.testing.assert_allclose(
            table.relations.probabilities[0], prior.probabilities[-1], atol=1e-5
        )

    def test_forced_relations_act_and_are_reported_as_certain(self, engine):
        rule = {"source": "p0", "target": "p1", "type": "pull", "frames": [8, 9]}
        free, forced = (
            foretell(engine, ask_forecast(VALUES, relations=rules)) for rules in (None, [rule])
        )
        column = 0
        assert forced.relations.probabilities[1:3, column].tolist() == [[0, 0, 1], [0, 0, 1]]
        before, after = free.relations.probabilities, forced.relations.probabilities
        np.testing.assert_allclose(after[0], before[0], atol=1e-6)
        assert np.array_equal(forced.mean[0], free.mean[0])
        assert not np.array_equal(forced.mean[1, 1], free.mean[1, 1])

    def test_a_path_that_runs_away_ends_the_answer_without_a_nan(self, engine):
        fast = VALUES.copy()
        fast[..., 2:] = 0.98
        table = foretell(engine, ask_forecast(fast, horizon=80))
        steps = len(table.frames)
        assert 0 < steps < 80
        assert table.truncated_at == 8 + steps
        assert table.mean.shape == (steps, 3, 4)
        assert len(table.relations.frames) == steps
        body = wire(table)
        assert body["truncated_at"] == 8 + steps
        assert "truncated" in {warning["code"] for warning in body["warnings"]}
        assert "NaN" not in orjson.dumps(body).decode()

    def test_doubts_are_told(self, engine):
        table = foretell(engine, ask_forecast(walk(6, 6) * 0.5, horizon=9))
        codes = {notice.code for notice in table.warnings}
        assert codes >= {"entity-count", "horizon-beyond-trained", "bands-extended"}

    def test_outputs_that_were_not_asked_for_are_not_computed(self, engine):
        table = foretell(engine, ask_forecast(VALUES, outputs=["mean"]))
        assert table.samples is None
        assert table.quantiles == {}


class TestTogether:
    def test_answers_in_a_crowd_equal_those_alone(self, engine):
        requests = [
            ask_forecast(walk(5 + n % 3, 2 + n % 3, seed=n), seed=n, num_samples=2 + n)
            for n in range(8)
        ]
        alone = [foretell(engine, request) for request in requests]

        async def crowd() -> list[ForecastTable]:
            return await asyncio.gather(*(engine.forecast(request) for request in requests))

        for one, other in zip(asyncio.run(crowd()), alone, strict=True):
            np.testing.assert_allclose(one.mean, other.mean, atol=1e-5)
            np.testing.assert_allclose(
                one.relations.probabilities, other.relations.probabilities, atol=1e-5
            )

    @pytest.mark.parametrize("estimator", ["prior", "posterior"])
    def test_relations_in_a_crowd_equal_those_alone(self, engine, estimator):
        requests = [
            ask_relations(walk(3 + n, 2 + n % 3, seed=n), estimator=estimator) for n in range(6)
        ]
        alone = [relate(engine, request) for request in requests]

        async def crowd() -> list[RelationTable]:
            return await asyncio.gather(*(engine.infer_relations(request) for request in requests))

        for one, other in zip(asyncio.run(crowd()), alone, strict=True):
            np.testing.assert_allclose(one.probabilities, other.probabilities, atol=1e-5)

    def test_a_bad_request_hurts_nobody_beside_it(self, engine):
        async def crowd() -> list[Any]:
            asks: list[Awaitable[Any]] = [
                engine.forecast(ask_forecast(VALUES)),
                engine.forecast(ask_forecast(VALUES, model="other")),
                engine.infer_relations(ask_relations(VALUES)),
            ]
            return await asyncio.gather(*asks, return_exceptions=True)

        good, missing, table = asyncio.run(crowd())
        assert isinstance(good, ForecastTable)
        assert isinstance(missing, NotFound)
        assert isinstance(table, RelationTable)


class TestCost:
    def test_work_that_nobody_would_wait_for_is_refused_with_the_way_out(self):
        hurried = Pipeline(
            OneModel(small_artifact("small-markov")), Settings(request_timeout_s=0.01)
        )
        try:
            with pytest.raises(InvalidRequest) as refusal:
                foretell(hurried, ask_forecast(VALUES, horizon=900, num_samples=200))
            assert refusal.value.code == "cost-over-limit"
            assert "job" in refusal.value.fix
        finally:
            hurried.close()

    def test_paths_that_would_not_fit_in_memory_are_refused(self, engine, monkeypatch):
        monkeypatch.setattr(questions, "PATH_VALUES", 100)
        with pytest.raises(InvalidRequest) as refusal:
            foretell(engine, ask_forecast(VALUES))
        assert refusal.value.code == "cost-over-limit"

    def test_a_closed_engine_refuses_and_says_to_come_back(self):
        closed = Pipeline(OneModel(small_artifact("small-markov")), SETTINGS)
        closed.close()
        with pytest.raises(Unavailable) as refusal:
            foretell(closed, ask_forecast(VALUES))
        assert refusal.value.code == "draining"
        assert not closed.is_alive


def test_a_new_version_of_a_model_is_served_when_its_name_means_it():
    first = small_artifact("small-markov")
    source = OneModel(first)
    running = Pipeline(source, SETTINGS)
    try:
        before = relate(running, ask_relations(VALUES))
        newer = dataclasses.replace(first.manifest, version=2)
        source.artifact = dataclasses.replace(first, manifest=newer)
        after = relate(running, ask_relations(VALUES))
        assert (before.model.version, after.model.version) == (1, 2)
    finally:
        running.close()


def nothing(_: Checkpoint) -> None:
    pass


def never() -> bool:
    return False


class Worker(OfflineRunner):
    """A runner of one of the small artifacts."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.source = OneModel(small_artifact(name))
        super().__init__(self.source, SETTINGS)


class TestOfflineRunner:
    @pytest.fixture(params=list(OPTIONS))
    def runner(self, request) -> Worker:
        return Worker(request.param)

    def request(self, runner: Worker, **changes: Any) -> ForecastRequest:
        return ask_forecast(GAPS, model=runner.name, **changes)

    def forecast(
        self,
        runner: Worker,
        request: ForecastRequest,
        on_chunk: Callable[[Checkpoint], None] = nothing,
        should_stop: Callable[[], bool] = never,
        resume: Any = None,
    ) -> ForecastTable:
        return runner.forecast(request, resume=resume, on_chunk=on_chunk, should_stop=should_stop)

    def test_gives_the_numbers_of_the_synchronous_call(self, runner):
        request = self.request(runner)
        synchronous = Pipeline(runner.source, SETTINGS)
        try:
            expected = foretell(synchronous, request)
        finally:
            synchronous.close()
        found = self.forecast(runner, request)
        assert orjson.dumps(wire(found)) == orjson.dumps(wire(expected))

    def test_a_successor_of_a_killed_worker_gives_the_identical_body(self, runner, monkeypatch):
        monkeypatch.setattr(forecasting, "ROWS_PER_CALL", 12)
        monkeypatch.setattr(rollouts, "ROWS_PER_SLICE", 12)
        request = self.request(runner, outputs=["mean", "samples", "quantiles", "relations"])
        undisturbed = orjson.dumps(wire(self.forecast(runner, request)))
        kept: list[dict[str, np.ndarray]] = []
        self.forecast(runner, request, on_chunk=lambda at: kept.append(at.arrays()))
        assert len(kept) > 6
        for arrays in kept[:: len(kept) // 4]:
            assert orjson.dumps(wire(self.forecast(runner, request, resume=arrays))) == undisturbed

    def test_progress_never_goes_back(self, runner):
        seen: list[Checkpoint] = []
        self.forecast(runner, self.request(runner), on_chunk=seen.append)
        # Checkpoints show where their run stands when they are looked at: note it at once.
        numbers = [(at.phase, at.done, at.total) for at in seen]
        assert numbers == sorted(numbers)
        assert numbers[-1] == ("rollout", 24, 24)

    def test_stops_when_told_and_keeps_the_finished_paths(self, runner, monkeypatch):
        monkeypatch.setattr(forecasting, "ROWS_PER_CALL", 6)
        request = self.request(runner, outputs=["mean", "samples"])
        whole = self.forecast(runner, request)
        done: list[int] = []

        def note(at: Checkpoint) -> None:
            done.append(at.done)

        with pytest.raises(Interrupted) as stop:
            self.forecast(runner, request, note, lambda: done[-1] >= 12)
        partial = stop.value.partial
        assert partial is not None
        finished = len(partial.samples)
        assert 0 < finished < 6
        assert np.array_equal(partial.samples[:, :, :3], whole.samples[:finished, :, :3])
        assert partial.warnings[-1].code == "stopped-early"
        again = self.forecast(runner, request, resume=stop.value.checkpoint.arrays())
        assert np.array_equal(again.mean, whole.mean, equal_nan=True)

    def test_refuses_the_checkpoint_of_another_request(self, runner):
        kept: list[Checkpoint] = []
        self.forecast(runner, self.request(runner), on_chunk=kept.append)
        with pytest.raises(ValueError, match="another request"):
            self.forecast(runner, self.request(runner, seed=9), resume=kept[0].arrays())

    @pytest.mark.parametrize("estimator", ["prior", "posterior"])
    def test_infers_relations_like_the_synchronous_call(self, runner, estimator):
        request = ask_relations(GAPS, model=runner.name, estimator=estimator)
        synchronous = Pipeline(runner.source, SETTINGS)
        try:
            expected = relate(synchronous, request)
        finally:
            synchronous.close()
        found = runner.infer_relations(request, on_chunk=nothing, should_stop=never)
        assert np.array_equal(found.probabilities, expected.probabilities, equal_nan=True)
        with pytest.raises(Interrupted):
            runner.infer_relations(request, on_chunk=nothing, should_stop=lambda: True)


def test_the_runtime_is_told_as_readyz_reports_it(engine):
    assert engine.runtime == "onnxruntime-cpu"
    assert engine.is_alive
