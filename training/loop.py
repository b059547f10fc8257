"""The training loop: teacher-forced epochs, validation, checkpoints, and clean stops.

Source: Graber & Schwing 2020 and their public training script (Adam, relaxed posterior samples at
temperature 0.5, true frames as decoder input, model of lowest validation NLL).
Deviation: every random draw follows from (seed, epoch, step), so that seeds differ in order and
noise too, and a resumed run repeats an undisturbed one bit for bit; gradients of accumulated
batches are averaged, not summed, which Adam does not notice.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from training.batches import EpochPlan, Sequences, validation_batches
from training.checkpoints import Standing, load_last, save_best, save_last, weights_sha256
from training.config import ObjectiveConfig, TrainConfig
from training.errors import Diverged
from training.objective import Terms, total
from training.randomness import Purpose, seed_torch
from training.runs import RunFolder
from training.teacher import Teacher

INTERRUPTED = "interrupted"


class Listener(Protocol):
    """Who wants to know how training goes."""

    def at_step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        """Hear of a finished batch; ``losses`` is empty while a step is unfinished."""
        ...

    def at_epoch(self, line: dict[str, Any]) -> None:
        """Hear of a finished epoch and its metrics."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended.

    Attributes:
        reason: ``finished``, ``max-hours``, ``early-stopping`` or ``interrupted``.
        epochs: Epochs finished.
        best_epoch: Epoch of the lowest validation loss, from 1.
        best_loss: That loss.
        hours: Time spent, over all resumes.
        weights_sha256: Fingerprint of the weights after the last step.
    """

    reason: str
    epochs: int
    best_epoch: int | None
    best_loss: float | None
    hours: float
    weights_sha256: str


class Trainer:
    """Trains one network in one run folder."""

    def __init__(
        self,
        config: TrainConfig,
        folder: RunFolder,
        network: nn.Module,
        splits: tuple[Sequences, Sequences],
        listener: Listener,
    ) -> None:
        train, self._valid = splits
        self._config = config
        self._folder = folder
        self._network = network
        self._teacher = Teacher(network, config)
        self._listener = listener
        self._plan = EpochPlan(train, config)
        self._optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate(0))
        self._standing = Standing(seed=config.seed)
        self._since = time.perf_counter()

    @property
    def total_steps(self) -> int:
        """Optimiser steps of the whole run."""
        return self._plan.steps * self._config.epochs

    @property
    def done_steps(self) -> int:
        """Optimiser steps finished so far."""
        return self._standing.epoch * self._plan.steps + self._standing.step

    def resume(self) -> None:
        """Go back to the last checkpoint of the run folder."""
        self._standing = load_last(self._folder.checkpoints, self._network, self._optimiser)
        self._folder.forget_after(self._standing.epoch)

    def fit(self, should_stop: Callable[[], bool] = lambda: False) -> Outcome:
        """Train until the last epoch, the time limit, a stalled validation loss, or a stop."""
        self._since = time.perf_counter()
        reason = self._reason_to_end()
        while reason is None:
            if not self._epoch(should_stop):
                self._save()
                return self._outcome(INTERRUPTED)
            reason = self._reason_to_end()
        return self._outcome(reason)

    def _reason_to_end(self) -> str | None:
        config, standing = self._config, self._standing
        if standing.epoch >= config.epochs:
            return "finished"
        patience = config.early_stopping.patience if config.early_stopping else None
        if patience and standing.epoch - (standing.best_epoch or 0) >= patience:
            return "early-stopping"
        if config.max_hours and standing.epoch:
            next_end = standing.seconds * (standing.epoch + 1) / standing.epoch
            if next_end > config.max_hours * 3600:
                return "max-hours"
        return None

    def _outcome(self, reason: str) -> Outcome:
        standing = self._standing
        return Outcome(
            reason=reason,
            epochs=standing.epoch,
            best_epoch=standing.best_epoch,
            best_loss=standing.best_loss,
            hours=(standing.seconds + standing.epoch_seconds) / 3600,
            weights_sha256=weights_sha256(self._network),
        )

    def _epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Run the rest of the current epoch; say whether it was finished."""
        config, standing = self._config, self._standing
        for group in self._optimiser.param_groups:
            group["lr"] = config.learning_rate(standing.epoch)
        self._network.train()
        while standing.step < self._plan.steps:
            losses = self._step(standing.epoch, standing.step)
            standing.step += 1
            for name, value in losses.items():
                standing.sums[name] = standing.sums.get(name, 0.0) + value
            self._listener.at_step("training", self.done_steps, losses)
            if should_stop():
                return False
            if config.checkpoint_every and standing.step % config.checkpoint_every == 0:
                self._save()
        return self._end_epoch(should_stop)

    def _end_epoch(self, should_stop: Callable[[], bool]) -> bool:
        """Validate, report and save; say whether nothing asked to stop meanwhile."""
        config, standing = self._config, self._standing
        epoch, done = standing.epoch + 1, self.done_steps
        line: dict[str, Any] = {"epoch": epoch}
        line |= {name: value / self._plan.steps for name, value in standing.sums.items()}
        line["learning_rate"] = config.learning_rate(standing.epoch)
        if epoch % config.validate_every == 0 or epoch == config.epochs:
            measured = self.validate(epoch, should_stop)
            if measured is None:
                return False
            line |= measured | {"best": self._is_best(epoch, measured)}
        self._charge_time()
        line["seconds"] = round(standing.epoch_seconds, 3)
        standing.seconds += standing.epoch_seconds
        standing.epoch, standing.step = epoch, 0
        standing.sums, standing.epoch_seconds = {}, 0.0
        self._folder.append_metrics(line)
        self._save()
        self._listener.at_step("training", done, {})
        self._listener.at_epoch(line)
        return True

    def _is_best(self, epoch: int, measured: Mapping[str, float]) -> bool:
        """Say whether no earlier epoch was better, and keep the weights if so."""
        standing, loss = self._standing, measured[f"valid_{self._config.selection}"]
        if standing.best_loss is not None and loss >= standing.best_loss:
            return False
        standing.best_loss, standing.best_epoch = loss, epoch
        save_best(self._folder.checkpoints, self._network, epoch, loss)
        return True

    def validate(
        self, epoch: int, should_stop: Callable[[], bool] = lambda: False
    ) -> dict[str, float] | None:
        """Give the mean losses of the validation split, or None where something asked to stop."""
        self._network.eval()
        parts: list[Terms] = []
        with torch.no_grad():
            for index, batch in enumerate(validation_batches(self._valid, self._config)):
                parts.append(self._teacher.examine(batch, epoch, index))
                self._listener.at_step("validating", self.done_steps, {})
                if should_stop():
                    return None
        terms = Terms(*(torch.cat(part) for part in zip(*parts, strict=True)))
        losses = self._finite("validation", terms.mean(), self._config.objective.in_the_end())
        return {f"valid_{name}": value for name, value in losses.items()}

    def _step(self, epoch: int, step: int) -> dict[str, float]:
        """Take one optimiser step; give its mean losses."""
        config, objective = self._config, self._config.objective.at(epoch)
        seed_torch(config.seed, Purpose.DROPOUT, epoch, step)
        self._optimiser.zero_grad(set_to_none=True)
        reports: list[dict[str, float]] = []
        for index, batch in enumerate(self._plan.step_batches(epoch, step)):
            terms = self._teacher.teach(batch, epoch, step, index).mean()
            reports.append(self._finite("training", terms, objective))
            loss: Any = total(terms, objective) / config.accumulate
            loss.backward()
            self._listener.at_step("training", self.done_steps, {})
        if config.optimiser.clip_norm:
            nn.utils.clip_grad_norm_(self._network.parameters(), config.optimiser.clip_norm)
        self._optimiser.step()
        return _mean(reports)

    def _finite(self, phase: str, terms: Terms, objective: ObjectiveConfig) -> dict[str, float]:
        """Give the losses as numbers, or stop where one of them left the finite range."""
        values = Terms(*(part.detach() for part in terms))
        losses = {"loss": float(total(values, objective))}
        losses |= {name: float(value) for name, value in values._asdict().items()}
        wrong = [name for name, value in losses.items() if not math.isfinite(value)]
        if wrong:
            raise self._diverged(f"{phase} {wrong[0]} is {losses[wrong[0]]}")
        return losses

    def _save(self) -> None:
        if not all(_is_finite(value) for value in self._network.state_dict().values()):
            raise self._diverged("a weight is not finite")
        self._charge_time()
        save_last(self._folder.checkpoints, self._network, self._optimiser, self._standing)

    def _charge_time(self) -> None:
        now = time.perf_counter()
        self._standing.epoch_seconds += now - self._since
        self._since = now

    def _diverged(self, what: str) -> Diverged:
        standing = self._standing
        last = self._folder.checkpoints / "last.safetensors"
        kept = f"the last good checkpoint is {last}" if last.exists() else "nothing was saved yet"
        return Diverged(
            f"{what} in epoch {standing.epoch + 1}, step {standing.step + 1}; {kept}",
            "finite losses and weights",
            "lower optimiser.learning_rate, or set optimiser.clip_norm",
        )


def _is_finite(value: Tensor) -> bool:
    return bool(torch.isfinite(value).all())


def _mean(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(one[name] for one in reports) / len(reports) for name in reports[0]}
