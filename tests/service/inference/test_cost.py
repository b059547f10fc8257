import numpy as np
import pytest

from service.inference.cost import (
    CALL_SECONDS,
    MOST_CORRECTION,
    ROW_SECONDS,
    Cost,
    Ledger,
    Speedometer,
)
from service.inference.scaling import scaling_for
from service.inference.scenes import Scene
from service.inference.works import RelationWork, forecast_cost, relation_cost
from tests.service.networks import small_manifest, small_model, walk, with_absences

COST = Cost(rows=1000, calls=10)


class TestSpeedometer:
    def test_starts_with_the_assumed_speed_or_the_pace_that_was_found(self):
        assumed = 1000 * ROW_SECONDS + 10 * CALL_SECONDS
        assert Speedometer().seconds("k", COST) == pytest.approx(assumed)
        assert Speedometer().seconds("k", COST, pace=3.0) == pytest.approx(3 * assumed)

    def test_comes_to_the_truth_by_measurement(self):
        speed = Speedometer()
        for _ in range(60):
            speed.learn("k", speed.seconds("k", COST), 0.1)
        assert speed.seconds("k", COST) == pytest.approx(0.1, rel=0.01)
        assert speed.seconds("other", COST) == pytest.approx(COST.raw_seconds)

    def test_one_freak_measurement_moves_it_little(self):
        speed = Speedometer()
        before = speed.seconds("k", COST)
        speed.learn("k", before, 1e6)
        assert speed.seconds("k", COST) < 2 * before

    def test_never_leaves_its_bounds(self):
        speed = Speedometer()
        for _ in range(200):
            speed.learn("k", 1e-9, 1e9)
        assert speed.seconds("k", COST) == pytest.approx(MOST_CORRECTION * COST.raw_seconds)
        assert Speedometer().seconds("k", COST, pace=1e9) <= MOST_CORRECTION * COST.raw_seconds


class TestLedger:
    def test_learns_from_unions_and_from_work_that_took_too_long(self):
        speed = Speedometer()
        ledger = Ledger(speed)
        work = RelationWork(small_model(), "prior", np.zeros((1, 2, 4), np.float32), 2, seconds=1.0)
        before = speed.seconds(work.kind, COST)
        ledger.abandoned([work], busy_s=0.5)
        assert speed.seconds(work.kind, COST) == before
        ledger.abandoned([work], busy_s=4.0)
        slower = speed.seconds(work.kind, COST)
        assert slower > before
        ledger.finished([work, work], [0.0, 0.0], busy_s=1.0)
        assert speed.seconds(work.kind, COST) < slower


class TestCounting:
    def test_relations_count_the_pairs_that_are_present_together(self):
        values = with_absences(walk(10, 3), {2: (0, 5)}).astype(np.float32)
        assert relation_cost(values).rows == 5 * 2 + 5 * 6

    def test_forecasts_count_burn_in_once_or_per_sample(self):
        values = walk(11, 3)
        scaling = scaling_for(small_manifest(), values)
        scene = Scene(values.astype(np.float32), scaling, ("a", "b", "c"), 0, 7, 4, 1)
        assert forecast_cost(scene, is_recurrent=False).rows == 60 + 4 * 6 * 7
        assert forecast_cost(scene, is_recurrent=True).rows == 4 * 60 + 4 * 6 * 7
