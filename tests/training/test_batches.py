import numpy as np
import numpy.typing as npt
import pytest

from training.batches import EpochPlan, items_of, pack, validation_batches
from training.config import TrainConfig, WindowConfig, parse_config
from training.errors import DataError

NODES, FEATURES = 2, 4


def sequences(*lengths: int) -> list[npt.NDArray[np.float32]]:
    """Give sequences whose values say where they come from: 1000 * sequence + frame."""
    return [
        np.broadcast_to(
            (1000 * index + np.arange(length, dtype=np.float32))[:, None, None],
            (length, NODES, FEATURES),
        )
        for index, length in enumerate(lengths)
    ]


def config(**changes: object) -> TrainConfig:
    base = {"name": "tiny", "data": {"simulate": "push"}, "batch": 2, "epochs": 3}
    return parse_config({**base, **changes}, "test")


def firsts(plan: EpochPlan, epoch: int) -> list[float]:
    """Give the first value of every window of an epoch, in the order they are trained on."""
    batches = [batch for step in range(plan.steps) for batch in plan.step_batches(epoch, step)]
    return [float(value) for batch in batches for value in batch.frames[0, ::NODES, 0]]


class TestEpochs:
    def test_show_every_sequence_once_but_for_an_incomplete_group(self) -> None:
        plan = EpochPlan(sequences(*[10] * 7), config())
        shown = firsts(plan, 0)
        assert plan.steps == 3
        assert len(set(shown)) == len(shown) == 6
        assert set(shown) < {1000.0 * index for index in range(7)}

    def test_come_in_another_order_every_epoch_and_seed(self) -> None:
        plan = EpochPlan(sequences(*[10] * 12), config())
        other = EpochPlan(sequences(*[10] * 12), config(seed=2))
        assert firsts(plan, 0) != firsts(plan, 1)
        assert firsts(plan, 0) != firsts(other, 0)

    def test_are_found_from_their_number_alone(self) -> None:
        plan, again = (EpochPlan(sequences(*[10] * 12), config()) for _ in range(2))
        firsts(plan, 0)
        assert firsts(plan, 5) == firsts(again, 5)

    def test_split_a_step_into_batches_to_accumulate(self) -> None:
        plan = EpochPlan(sequences(*[10] * 9), config(batch=2, accumulate=2))
        batches = plan.step_batches(0, 0)
        assert plan.steps == 2
        assert [batch.samples for batch in batches] == [2, 2]


class TestWindows:
    def test_without_cutting_are_whole_sequences(self) -> None:
        assert [item.length for item in items_of(sequences(7, 9), None, fixed=False)] == [7, 9]

    def test_back_to_back_follow_the_published_rule(self) -> None:
        window = WindowConfig(length=10)
        items = items_of(sequences(31, 30, 10, 9), window, fixed=False)
        starts = [(item.sequence, item.first, item.last) for item in items]
        assert starts == [(0, 0, 0), (0, 10, 10), (0, 20, 20), (1, 0, 0), (1, 10, 10), (2, 0, 0)]

    def test_with_random_starts_come_from_every_block(self) -> None:
        window = WindowConfig(length=10, starts="random")
        items = items_of(sequences(25), window, fixed=False)
        assert [(item.first, item.last) for item in items] == [(0, 9), (10, 15), (15, 15)]

    def test_with_random_starts_move_every_epoch_and_stay_inside(self) -> None:
        settings = config(batch=1, window={"length": 10, "starts": "random"})
        plan = EpochPlan(sequences(200), settings)
        seen = [set(firsts(plan, epoch)) for epoch in range(3)]
        assert seen[0] != seen[1]
        assert all(0 <= start <= 190 for starts in seen for start in starts)
        batch = plan.step_batches(0, 0)[0]
        assert (batch.frames[1:, 0, 0] - batch.frames[:-1, 0, 0]).tolist() == [1.0] * 9


class TestPacking:
    def test_puts_time_first_and_samples_side_by_side(self) -> None:
        windows = [np.full((5, NODES, FEATURES), value, np.float32) for value in (1, 2, 3)]
        batch = pack(windows)
        assert batch.frames.shape == (5, 3 * NODES, FEATURES)
        assert batch.frames[0, :, 0].tolist() == [1, 1, 2, 2, 3, 3]
        assert (batch.samples, batch.nodes) == (3, NODES)


class TestValidation:
    def test_shows_every_window_once_in_order(self) -> None:
        settings = config(validation_batch=2)
        batches = list(validation_batches(sequences(10, 10, 10, 8), settings))
        assert [batch.samples for batch in batches] == [2, 1, 1]
        starts = [float(batch.frames[0, 0, 0]) for batch in batches]
        assert starts == [0.0, 2000.0, 3000.0]

    def test_does_not_move_random_starts(self) -> None:
        settings = config(window={"length": 10, "starts": "random"}, validation_batch=1)
        batches = list(validation_batches(sequences(35), settings))
        assert [float(batch.frames[0, 0, 0]) for batch in batches] == [0.0, 10.0, 20.0]


class TestDataThatCannotBeTrainedOn:
    def test_is_smaller_than_a_batch(self) -> None:
        with pytest.raises(DataError, match=r"3 windows.*batch × accumulate = 2 × 2"):
            EpochPlan(sequences(10, 10, 10), config(accumulate=2))

    def test_has_several_lengths(self) -> None:
        with pytest.raises(DataError, match=r"8 to 10 frames.*window\.length"):
            EpochPlan(sequences(10, 8), config())

    def test_may_have_several_lengths_one_at_a_time(self) -> None:
        assert EpochPlan(sequences(10, 8), config(batch=1)).steps == 2
