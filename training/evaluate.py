"""``evaluate``: measure the best checkpoint of a run and write ``evaluation.json`` beside it."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import numpy.typing as npt
import torch
import typer
from rich.console import Console

from models.dnri import Dnri
from models.folded import FoldedDnri
from training import forecast_metrics, metrics
from training.allocator import keep_freed_memory
from training.errors import ConfigError
from training.evaluation_progress import Counter
from training.material import Material
from training.protocols import calibration_windows, evaluation_windows, protocol_for
from training.report import evaluation_tables
from training.rollouts import Floats, Plan, relation_probabilities, roll_out
from training.runs import RunFolder, TrainedRun, load_run
from trajectories.features import has_velocities
from trajectories.store import write_json

Doubles = npt.NDArray[np.float64]

FORMAT = 1
FILE = "evaluation.json"
LEVELS = (0.5, 0.9)
MIXTURE = "relation draws per path plus Gaussian residuals"
# Request seeds of the rollouts: windows of one rollout count up from these.
TEST_SEED, CALIBRATION_SEED = 1_000_000, 2_000_000


def evaluate(
    run: Annotated[Path, typer.Argument(help="Run folder with config.yaml and checkpoints.")],
    paths: Annotated[int, typer.Option(help="Independent rollouts per window, at least 10.")] = 32,
    burn_in: Annotated[
        list[int] | None, typer.Option(help="Frames given; repeat it for several protocols.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Which weights: best or last.")] = "best",
) -> None:
    """Score relations, forecasts and bands of a finished run against baselines."""
    if paths < 10:
        raise ConfigError(f"--paths {paths}", "at least 10: fewer draws say little about the mean")
    if checkpoint not in ("best", "last"):
        raise ConfigError(f"--checkpoint {checkpoint!r}", "best or last")
    trained = load_run(run, checkpoint)
    keep_freed_memory()
    torch.set_num_threads(trained.config.threads)
    console = Console()
    result = evaluate_run(trained, paths, tuple(burn_in or ()), console)
    write_json(run / FILE, {"checkpoint": checkpoint, **result})
    for table in evaluation_tables(result):
        console.print(table)


def evaluate_run(
    trained: TrainedRun, paths: int, burn_ins: tuple[int, ...], console: Console
) -> dict[str, Any]:
    """Give everything that ``evaluation.json`` holds, as plain values."""
    started = time.monotonic()
    protocol = protocol_for(trained.material.dataset)
    network = cast("Dnri", trained.network).fold()
    evaluation = Evaluation(network, trained.material, paths, burn_ins or protocol.burn_ins)
    with Counter(trained.folder.progress, console, evaluation.window_steps) as counter:
        residuals = evaluation.residual_variance(counter)
        forecasts = [evaluation.forecast(given, residuals, counter) for given in evaluation.given]
    dataset, config = trained.material.dataset, trained.config
    return {
        "format": FORMAT,
        "experiment": config.name,
        "seed": config.seed,
        "training": training_facts(trained.folder, config.epochs),
        "normaliser": config.normaliser,
        "dataset": {"name": dataset.name, "fingerprint": dataset.fingerprint},
        "features": list(dataset.features),
        "units": "mse: published units (training extremes of each kind of feature are -1 and 1), "
        "averaged over windows, entities and all features; distances and variances: data units",
        "paths": paths,
        "steps": list(protocol.steps),
        "relations": evaluation.relations(),
        "forecasts": forecasts,
        "bands": evaluation.bands(residuals, forecasts[0]),
        "seconds": round(time.monotonic() - started, 1),
    }


def training_facts(folder: RunFolder, planned: int) -> dict[str, Any]:
    """Give how long a run was trained and which epoch its best weights are from."""
    standing = json.loads((folder.checkpoints / "last.json").read_text(encoding="utf-8"))
    return {
        "epochs": standing["epoch"],
        "planned_epochs": planned,
        "best_epoch": standing["best_epoch"],
        "best_valid_loss": standing["best_loss"],
        "hours": round(standing["seconds"] / 3600, 3),
    }


@dataclass(frozen=True)
class Evaluation:
    """One network measured under one protocol.

    Attributes:
        network: The folded view of its weights.
        material: The dataset and the scaling of the network's inputs.
        paths: Independent rollouts per window.
        given: Burn-ins in frames; the first is that of the bands.
    """

    network: FoldedDnri
    material: Material
    paths: int
    given: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse burn-ins that leave nothing to give or to predict."""
        frames = evaluation_windows(self.material.dataset).shape[1]
        for burn_in in self.given:
            if not 1 <= burn_in < frames:
                raise ConfigError(f"a burn-in of {burn_in}", f"1 to {frames - 1} frames")

    @property
    def window_steps(self) -> int:
        """Count the steps of all windows that the rollouts will take."""
        test, valid = (evaluation_windows(self.material.dataset), self._calibration())
        total = sum(len(test) * (test.shape[1] - burn_in) for burn_in in self.given)
        return total + len(valid) * (valid.shape[1] - self.given[0])

    def relations(self) -> dict[str, Any]:
        """Score both estimators on ``valid`` and ``test`` where labels exist; count edge usage."""
        report: dict[str, Any] = {}
        for key in ("valid", "test"):
            split = self.material.dataset.split(key)
            stated = relation_probabilities(self.network, self._scaled(split.values()))
            report[key] = {
                name: {"usage": metrics.edge_usage(probabilities)}
                | (
                    {}
                    if split.relations is None
                    else metrics.relation_report(probabilities, split.labels())
                )
                for name, probabilities in stated.items()
            }
            if split.relations is not None:
                report[key]["references"] = {
                    scoring: metrics.trivial_references(split.labels(), scoring)
                    for scoring in metrics.SCORINGS
                }
        return report

    def residual_variance(self, counter: Counter) -> Doubles:
        """Give ``[H, D]`` in squared data units, from validation rollouts at the first burn-in."""
        windows = self._calibration()
        paths = self._roll_out(windows, self.given[0], CALIBRATION_SEED, counter)
        true = windows[:, self.given[0] :].astype(np.float64)
        return forecast_metrics.residual_variance(paths, true)

    def forecast(self, burn_in: int, residuals: Doubles, counter: Counter) -> dict[str, Any]:
        """Score test rollouts at every step, baselines beside them."""
        dataset = self.material.dataset
        windows = evaluation_windows(dataset)
        paths = self._roll_out(windows, burn_in, TEST_SEED, counter)
        true, last = (
            part.astype(np.float64) for part in (windows[:, burn_in:], windows[:, burn_in - 1])
        )
        horizon = true.shape[1]
        guesses = {
            "mean_of_paths": paths.mean(axis=1),
            "last_value": forecast_metrics.last_value(last, horizon),
        }
        if has_velocities(dataset.features):
            guesses["constant_velocity"] = forecast_metrics.constant_velocity(
                last, horizon, dataset.features
            )
        return {
            "split": "test",
            "burn_in": burn_in,
            "windows": len(windows),
            "paths": self.paths,
            "mse": self._errors(paths, guesses, true),
            "distance": {
                name: forecast_metrics.position_error_by_step(
                    guess, true, dataset.features
                ).tolist()
                for name, guess in guesses.items()
            },
            "coverage": _coverage(paths, true, residuals[:horizon]),
        }

    def bands(self, residuals: Doubles, forecast: dict[str, Any]) -> dict[str, Any]:
        """Give the residual variances and the coverage of the bands, measured on test."""
        return {
            "method": MIXTURE,
            "burn_in": self.given[0],
            "calibration_windows": len(self._calibration()),
            "residual_variance": residuals.tolist(),
            "coverage": {
                level: sum(steps) / len(steps) for level, steps in forecast["coverage"].items()
            },
        }

    def _errors(
        self, paths: Doubles, guesses: dict[str, Doubles], true: Doubles
    ) -> dict[str, list[float]]:
        """Give errors ``[H]`` in published units: of single paths, their spread, and of guesses."""
        published = self.material.dataset.normaliser("published")
        target = published.apply(true)
        draws = np.stack(
            [
                forecast_metrics.mse_by_step(published.apply(paths[:, path]), target)
                for path in range(self.paths)
            ]
        )
        errors = {"single_path": draws.mean(0), "single_path_sd": draws.std(0, ddof=1)}
        errors |= {
            name: forecast_metrics.mse_by_step(published.apply(guess), target)
            for name, guess in guesses.items()
        }
        return {name: steps.tolist() for name, steps in errors.items()}

    def _roll_out(
        self, windows: npt.NDArray[np.floating], burn_in: int, seed: int, counter: Counter
    ) -> Doubles:
        """Give paths ``[W, S, H, N, D]`` in data units."""
        plan = Plan(
            entities=self.material.dataset.entities,
            burn_in=burn_in,
            horizon=windows.shape[1] - burn_in,
            paths=self.paths,
            seed=seed,
        )
        futures = roll_out(self.network, self._scaled(windows), plan, counter.advance)
        return self.material.normaliser.invert(futures.paths)

    def _scaled(self, windows: npt.NDArray[np.floating]) -> Floats:
        return self.material.normaliser.apply(windows).astype(np.float32)

    def _calibration(self) -> npt.NDArray[np.floating]:
        return calibration_windows(self.material.dataset)


def _coverage(paths: Doubles, true: Doubles, residuals: Doubles) -> dict[str, list[float]]:
    return {
        str(level): forecast_metrics.coverage_by_step(paths, true, residuals, level).tolist()
        for level in LEVELS
    }
