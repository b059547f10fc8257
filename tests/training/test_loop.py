from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.graph import Graph
from tests.training.tiny import Recorder, tiny_config, tiny_model, tiny_splits, tiny_trainer
from training.errors import Diverged
from training.loop import Trainer
from training.runs import RunFolder

STEPS = 3  # of one epoch: 7 sequences in batches of 2


class Killed(Exception):
    """Stands for a process that dies without saving."""


def killer(call: int) -> Callable[[int], None]:
    def act(count: int) -> None:
        if count == call:
            raise Killed

    return act


def stopper(call: int) -> Callable[[], bool]:
    calls = iter(range(1, 10_000))
    return lambda: next(calls) >= call


def undisturbed(path: Path, **changes: object) -> str:
    return tiny_trainer(path, tiny_config(**changes)).fit().weights_sha256


class TestLearning:
    def test_lowers_both_losses(self, tmp_path: Path) -> None:
        recorder = Recorder()
        config = tiny_config(epochs=8, optimiser={"learning_rate": 1e-2})
        tiny_trainer(tmp_path, config, recorder).fit()
        first, last = recorder.epochs[0], recorder.epochs[-1]
        assert last["nll"] < 0.8 * first["nll"]
        assert last["valid_nll"] < 0.8 * first["valid_nll"]

    def test_counts_every_step(self, tmp_path: Path) -> None:
        recorder = Recorder()
        trainer = tiny_trainer(tmp_path, tiny_config(), recorder)
        outcome = trainer.fit()
        assert (outcome.reason, outcome.epochs) == ("finished", 3)
        assert trainer.total_steps == trainer.done_steps == 3 * STEPS
        assert recorder.steps[-1][1] == 3 * STEPS

    def test_keeps_the_epoch_of_the_lowest_validation_error(self, tmp_path: Path) -> None:
        recorder = Recorder()
        outcome = tiny_trainer(tmp_path, tiny_config(epochs=6), recorder).fit()
        errors = [line["valid_nll"] for line in recorder.epochs]
        assert outcome.best_loss == min(errors)
        assert outcome.best_epoch == errors.index(min(errors)) + 1

    def test_the_loss_is_its_parts_put_together(self, tmp_path: Path) -> None:
        recorder = Recorder()
        tiny_trainer(tmp_path, tiny_config(epochs=1), recorder).fit()
        line = recorder.epochs[0]
        for prefix in ("", "valid_"):
            nll, learned, average = (
                line[f"{prefix}{name}"] for name in ("nll", "kl_learned", "kl_average")
            )
            assert line[f"{prefix}loss"] == pytest.approx(nll + (learned + average) / 2, rel=1e-5)

    def test_lowers_the_rate_in_steps(self, tmp_path: Path) -> None:
        recorder = Recorder()
        rule = {"learning_rate": 0.01, "decay_factor": 0.5, "decay_every": 2}
        tiny_trainer(tmp_path, tiny_config(epochs=5, optimiser=rule), recorder).fit()
        rates = [line["learning_rate"] for line in recorder.epochs]
        assert rates == [0.01, 0.01, 0.005, 0.005, 0.0025]

    def test_validates_as_often_as_asked_and_at_the_end(self, tmp_path: Path) -> None:
        recorder = Recorder()
        tiny_trainer(tmp_path, tiny_config(epochs=5, validate_every=2), recorder).fit()
        validated = [line["epoch"] for line in recorder.epochs if "valid_nll" in line]
        assert validated == [2, 4, 5]

    def test_validation_leaves_the_weights_alone(self, tmp_path: Path) -> None:
        trainer = tiny_trainer(tmp_path, tiny_config())
        network = trainer._network
        before = {name: value.clone() for name, value in network.state_dict().items()}
        trainer.validate(1)
        assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())

    def test_accumulated_batches_step_like_their_mean(self, tmp_path: Path) -> None:
        gradients: list[Tensor] = []
        for batch, accumulate in ((4, 1), (2, 2)):
            config = tiny_config(batch=batch, accumulate=accumulate)
            torch.manual_seed(1)
            network = LinearMotion()
            folder = RunFolder(tmp_path / str(batch))
            trainer = Trainer(config, folder, network, tiny_splits(), Recorder())
            trainer._step(0, 0)
            assert network.layer.weight.grad is not None
            gradients.append(network.layer.weight.grad)
        torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-5, atol=1e-3)


class LinearMotion(nn.Module):
    """A network without noise and batch statistics: relations are even, motion is linear."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def relation_logits(self, states: Tensor, graph: Graph) -> tuple[Tensor, Tensor]:
        even = torch.zeros(len(states), graph.num_edges, 2)
        return even, even

    def teacher_forced(self, states: Tensor, graph: Graph, weights: Tensor) -> Tensor:
        return self.layer(states)


class TestSeeds:
    def test_the_same_seed_gives_the_same_weights(self, tmp_path: Path) -> None:
        assert undisturbed(tmp_path / "a") == undisturbed(tmp_path / "b")

    def test_another_seed_gives_others(self, tmp_path: Path) -> None:
        assert undisturbed(tmp_path / "a") != undisturbed(tmp_path / "b", seed=2)


RESUMED = {"epochs": 3, "model": tiny_model(dropout=0.3), "checkpoint_every": 2}


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> str:
    return undisturbed(tmp_path_factory.mktemp("undisturbed"), **RESUMED)


class TestResuming:
    @pytest.mark.parametrize("call", [1, 2, 4, 5, 8, 9, 11, 14, 20])
    def test_after_a_kill_ends_with_the_same_weights(
        self, tmp_path: Path, call: int, expected: str
    ) -> None:
        config = tiny_config(**RESUMED)
        with pytest.raises(Killed):
            tiny_trainer(tmp_path, config, Recorder(killer(call))).fit()
        assert tiny_trainer(tmp_path, config).fit().weights_sha256 == expected

    @pytest.mark.parametrize("call", [1, 3, 4, 6, 9])
    def test_after_a_stop_ends_with_the_same_weights(
        self, tmp_path: Path, call: int, expected: str
    ) -> None:
        config = tiny_config(**RESUMED)
        stopped = tiny_trainer(tmp_path, config).fit(stopper(call))
        assert stopped.reason == "interrupted"
        assert tiny_trainer(tmp_path, config).fit().weights_sha256 == expected

    def test_reports_the_same_epochs_once(self, tmp_path: Path) -> None:
        config = tiny_config(epochs=4)
        with pytest.raises(Killed):
            tiny_trainer(tmp_path / "run", config, Recorder(killer(17))).fit()
        tiny_trainer(tmp_path / "run", config).fit()
        tiny_trainer(tmp_path / "other", config).fit()
        found, expected = (
            [
                {key: value for key, value in line.items() if key != "seconds"}
                for line in RunFolder(tmp_path / name).read_metrics()
            ]
            for name in ("run", "other")
        )
        assert [line["epoch"] for line in found] == [1, 2, 3, 4]
        assert found == expected

    def test_a_stop_during_validation_does_not_train_the_epoch_again(self, tmp_path: Path) -> None:
        config = tiny_config(epochs=2)
        stopped = tiny_trainer(tmp_path, config).fit(stopper(STEPS + 1))
        assert stopped.epochs == 0
        again = tiny_trainer(tmp_path, config)
        assert again.done_steps == STEPS

    def test_a_longer_run_continues_a_finished_one(self, tmp_path: Path) -> None:
        undisturbed(tmp_path / "run", epochs=2)
        found = tiny_trainer(tmp_path / "run", tiny_config(epochs=4)).fit()
        assert found.weights_sha256 == undisturbed(tmp_path / "other", epochs=4)

    def test_the_best_epoch_survives(self, tmp_path: Path) -> None:
        config = tiny_config(epochs=5)
        tiny_trainer(tmp_path / "run", config).fit(stopper(STEPS * 2))
        found = tiny_trainer(tmp_path / "run", config).fit()
        expected = tiny_trainer(tmp_path / "other", config).fit()
        assert (found.best_epoch, found.best_loss) == (expected.best_epoch, expected.best_loss)


class TestEnding:
    def test_stops_where_the_next_epoch_would_pass_the_limit(self, tmp_path: Path) -> None:
        outcome = tiny_trainer(tmp_path, tiny_config(epochs=50, max_hours=1e-9)).fit()
        assert (outcome.reason, outcome.epochs) == ("max-hours", 1)

    def test_stops_when_validation_stalls(self, tmp_path: Path) -> None:
        settings = tiny_config(
            epochs=50, early_stopping={"patience": 2}, optimiser={"learning_rate": 1e-12}
        )
        outcome = tiny_trainer(tmp_path, settings).fit()
        assert outcome.reason == "early-stopping"
        assert outcome.epochs == (outcome.best_epoch or 0) + 2

    def test_a_finished_run_resumed_trains_no_further(self, tmp_path: Path) -> None:
        first = undisturbed(tmp_path)
        recorder = Recorder()
        outcome = tiny_trainer(tmp_path, tiny_config(), recorder).fit()
        assert outcome.weights_sha256 == first
        assert recorder.steps == []


class TestDiverging:
    def test_stops_with_the_step_and_the_last_good_checkpoint(self, tmp_path: Path) -> None:
        config = tiny_config(epochs=2, validate_every=9)
        trainer = tiny_trainer(tmp_path, config)
        trainer._plan._sequences = _with_infinity(after=STEPS + 1, trainer=trainer)
        with pytest.raises(Diverged, match=r"epoch 2, step \d+; the last good .*last\.safetensors"):
            trainer.fit()
        assert tiny_trainer(tmp_path, config).done_steps == STEPS

    def test_never_saves_weights_that_are_not_finite(self, tmp_path: Path) -> None:
        trainer = tiny_trainer(tmp_path, tiny_config(epochs=1, validate_every=9))
        next(iter(trainer._network.parameters())).data.fill_(float("nan"))
        with pytest.raises(Diverged, match="a weight is not finite"):
            trainer._save()
        assert not (tmp_path / "checkpoints").exists()


class _Poisoned(list[np.ndarray]):
    """Sequences that become infinite after a number of epochs' worth of reads."""

    def __init__(self, sequences: list[np.ndarray], reads: int) -> None:
        super().__init__(sequences)
        self._left = reads

    def __getitem__(self, index: int) -> np.ndarray:  # type: ignore[override]
        self._left -= 1
        return super().__getitem__(index) * (np.float32("inf") if self._left < 0 else 1)


def _with_infinity(after: int, trainer: Trainer) -> _Poisoned:
    train, _ = tiny_splits()
    return _Poisoned(train, reads=after * trainer._config.batch)
