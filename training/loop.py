"""The training loop: teacher-forced epochs, validation, checkpoints, and clean stops.

Source: Graber & Schwing 2020 and their public training script (Adam, relaxed posterior samples at
temperature 0.5, true frames as decoder input, model of lowest validation NLL).
Deviation: every random draw follows from (seed, epoch, step), so that seeds differ in order and
noise too, and a resumed run repeats an undisturbed one bit for bit; gradients of accumulated
batches are averaged, not summed, which Adam does not notice.
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from models.graph import fully_connected
from models.sampling import gumbel_softmax
from training.batches import Batch, EpochPlan, Sequences, validation_batches
from training.checkpoints import Standing, load_last, save_best, save_last, weights_sha256
from training.config import TrainConfig
from training.errors import Diverged
from training.objective import (
    Terms,
    harden,
    kl_average_per_sample,
    kl_learned_per_sample,
    nll_per_sample,
    total,
)
from training.randomness import Purpose, seed_torch, uniforms
from training.runs import RunFolder


class Listener(Protocol):
    """Who wants to know how training goes."""

    def at_step(self, phase: str, done: int, losses: dict[str, float]) -> None:
        """Hear of a finished step."""
        ...

    def at_epoch(self, line: dict[str, Any]) -> None:
        """Hear of a finished epoch and its metrics."""
        ...


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    reason: str
    """``finished``, ``max-hours``, ``early-stopping`` or ``interrupted``."""
    epochs: int
    best_epoch: int | None
    best_nll: float | None
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
        self._listener = listener
        self._nodes = train[0].shape[1]
        self._edge_types = int(network.config.edge_types)  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]
        self._plan = EpochPlan(train, config)
        self._optimiser = torch.optim.Adam(network.parameters(), lr=config.learning_rate(0))
        self._standing = Standing(seed=config.seed)

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
        reason = self._reason_to_end()
        while reason is None:
            if not self._epoch(should_stop):
                return self._outcome("interrupted")
            reason = self._reason_to_end()
        return self._outcome(reason)

    def _reason_to_end(self) -> str | None:
        config, standing = self._config, self._standing
        if standing.epoch >= config.epochs:
            return "finished"
        patience = config.early_stopping.patience if config.early_stopping else None
        if patience and standing.epoch - (standing.best_epoch or 0) >= patience:
            return "early-stopping"
        mean = standing.seconds / standing.epoch if standing.epoch else 0.0
        if config.max_hours and standing.seconds + mean > config.max_hours * 3600 and standing.epoch:
            return "max-hours"
        return None

    def _outcome(self, reason: str) -> Outcome:
        standing = self._standing
        return Outcome(
            reason=reason,
            epochs=standing.epoch,
            best_epoch=standing.best_epoch,
            best_nll=standing.best_nll,
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
            with self._clock():
                terms = self._step(standing.epoch, standing.step)
            standing.step += 1
            for name, value in terms.items():
                standing.sums[name] = standing.sums.get(name, 0.0) + value
            self._listener.at_step("training", self.done_steps, terms)
            if should_stop():
                self._save()
                return False
            every = config.checkpoint_every
            if every and standing.step % every == 0 and standing.step < self._plan.steps:
                self._save()
        self._end_epoch()
        return True

    def _end_epoch(self) -> None:
        config, standing = self._config, self._standing
        epoch = standing.epoch + 1
        line: dict[str, Any] = {"epoch": epoch}
        line |= {name: value / self._plan.steps for name, value in standing.sums.items()}
        line["learning_rate"] = config.learning_rate(standing.epoch)
        if epoch % config.validate_every == 0 or epoch == config.epochs:
            with self._clock():
                line |= self._validate(epoch)
        line["seconds"] = round(standing.epoch_seconds, 3)
        standing.seconds += standing.epoch_seconds
        standing.epoch, standing.step = epoch, 0
        standing.sums, standing.epoch_seconds = {}, 0.0
        self._folder.append_metrics(line)
        self._save()
        self._listener.at_epoch(line)

    def _validate(self, epoch: int) -> dict[str, Any]:
        standing = self._standing
        measured = self.validate(epoch)
        if not all(math.isfinite(value) for value in measured.values()):
            raise self._diverged("validation loss", measured)
        nll = measured["valid_nll"]
        better = standing.best_nll is None or nll < standing.best_nll
        if better:
            standing.best_nll, standing.best_epoch = nll, epoch
            save_best(self._folder.checkpoints, self._network, epoch, nll)
        return {**measured, "best": better}

    def validate(self, epoch: int) -> dict[str, float]:
        """Give the mean losses of the validation split: hard posterior samples, true frames."""
        self._network.eval()
        parts: list[Terms] = []
        with torch.no_grad():
            for index, batch in enumerate(validation_batches(self._valid, self._config)):
                noise = (self._config.seed, Purpose.VALIDATION, epoch, index)
                parts.append(self._terms(batch, noise, hard=True))
                self._listener.at_step("validating", self.done_steps, {})
        terms = Terms(*(torch.cat(part) for part in zip(*parts, strict=True)))
        return {f"valid_{name}": value for name, value in self._report(terms.mean()).items()}

    def _step(self, epoch: int, step: int) -> dict[str, float]:
        """Take one optimiser step; give its mean losses."""
        config = self._config
        seed_torch(config.seed, Purpose.DROPOUT, epoch, step)
        self._optimiser.zero_grad(set_to_none=True)
        reports: list[dict[str, float]] = []
        for index, batch in enumerate(self._plan.step_batches(epoch, step)):
            noise = (config.seed, Purpose.NOISE, epoch, step, index)
            terms = self._terms(batch, noise, hard=False).mean()
            loss: Any = total(terms, config.objective) / config.accumulate
            reports.append(self._report(terms))
            if not math.isfinite(reports[-1]["loss"]):
                raise self._diverged("training loss", reports[-1])
            loss.backward()
        if config.optimiser.clip_norm:
            nn.utils.clip_grad_norm_(self._network.parameters(), config.optimiser.clip_norm)
        self._optimiser.step()
        return _mean(reports)

    def _terms(self, batch: Batch, noise: Sequence[int], *, hard: bool) -> Terms:
        """Give the loss terms per sample of one batch."""
        network: Any = self._network
        objective = self._config.objective
        graph = fully_connected(self._nodes, copies=batch.samples)
        given, wanted = batch.frames[:-1], batch.frames[1:]
        posterior, prior = network.relation_logits(given, graph)
        seed, purpose, *counters = noise
        drawn = uniforms(posterior.shape, seed, Purpose(purpose), *counters)
        weights = gumbel_softmax(posterior, drawn, objective.tau)
        predicted: Tensor = network.teacher_forced(
            given, graph, harden(weights) if hard else weights
        )
        usage = objective.no_edge_prior
        return Terms(
            nll_per_sample(predicted, wanted, objective.variance, batch.samples),
            kl_learned_per_sample(posterior, prior, batch.samples),
            kl_average_per_sample(posterior, usage, batch.samples)
            if usage is not None
            else predicted.new_zeros(batch.samples),
        )

    def _report(self, terms: Terms) -> dict[str, float]:
        values = Terms(*(part.detach() for part in terms))
        loss = total(values, self._config.objective)
        return {"loss": float(loss)} | {name: float(v) for name, v in values._asdict().items()}

    def _save(self) -> None:
        save_last(self._folder.checkpoints, self._network, self._optimiser, self._standing)

    @contextmanager
    def _clock(self) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._standing.epoch_seconds += time.perf_counter() - started

    def _diverged(self, what: str, values: dict[str, float]) -> Diverged:
        standing = self._standing
        last = self._folder.checkpoints / "last.safetensors"
        kept = f"the last good checkpoint is {last}" if last.exists() else "no checkpoint was written"
        return Diverged(
            f"{what} is {values} in epoch {standing.epoch + 1}, step {standing.step + 1}; {kept}",
            "finite losses",
            "lower optimiser.learning_rate, or set optimiser.clip_norm",
        )


def _mean(reports: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: sum(one[name] for one in reports) / len(reports) for name in reports[0]}
