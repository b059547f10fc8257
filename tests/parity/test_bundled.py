"""The service, fed the test data of a bundled model, finds the errors that its evaluation measured.

Training and service share no code between the stored frames and the answer but the networks' graphs
and the draws: normalisation, burn-in, pair order, rollout and averaging are each written twice.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from service.artifacts import ArtifactStore
from service.inference.pipeline import OfflineRunner
from service.relations.forecasts import ForecastTable
from service.schemas.requests import ForecastRequest
from service.settings import Settings
from training.evaluate import TEST_SEED
from training.simulators.push import simulate

ARTIFACTS = Path(__file__).resolve().parent.parent.parent / "artifacts"
MODEL = "dnri-push3"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> ArtifactStore:
    return ArtifactStore(tmp_path_factory.mktemp("writable"), ARTIFACTS)


def forecast(runner: OfflineRunner, request: ForecastRequest) -> ForecastTable:
    return runner.forecast(request, resume=None, on_chunk=lambda _: None, should_stop=lambda: False)


@pytest.mark.slow
def test_forecasts_of_push_have_the_errors_on_the_card(store: ArtifactStore) -> None:
    artifact = store.open(MODEL)
    measured = artifact.manifest.metrics["test_mse_after_10"]
    paths = json.loads((artifact.path / "metrics.json").read_text("utf-8"))["paths"]
    data = simulate(1)
    scale = data.normaliser("published").scale
    runner = OfflineRunner(store, Settings())
    errors, baselines = [], []
    for window, values in enumerate(data.split("test").sequences):
        request = ForecastRequest(
            model=MODEL,
            horizon=25,
            num_samples=paths,
            seed=TEST_SEED + window,
            outputs=["mean", "baseline"],
            trajectory={
                "entities": list(data.entities),
                "features": list(data.features),
                "frame_rate": data.frame_rate,
                "values": values[:10].astype(float).tolist(),
            },
        )
        table = forecast(runner, request)
        future = values[10:35]
        errors.append(np.square((table.mean - future) / scale).mean(axis=(1, 2)))
        moved = table.baseline["constant_velocity"]
        baselines.append(np.square((moved - future) / scale).mean(axis=(1, 2)))
    for step in (1, 15, 25):
        found = np.mean(errors, axis=0)[step - 1]
        assert found == pytest.approx(measured["mean_of_paths"][str(step)], rel=1e-3)
        moved = np.mean(baselines, axis=0)[step - 1]
        assert moved == pytest.approx(measured["constant_velocity"][str(step)], rel=1e-6)
