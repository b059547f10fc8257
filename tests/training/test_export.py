"""From a run folder to an artifact that the service accepts, or a refusal and nothing at all."""

import dataclasses
import hashlib
import json
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from models.graph import fully_connected
from models.manifest import Manifest
from models.registry import build
from service.artifacts import ArtifactStore
from service.artifacts.verification import verify
from tests.training.shipped import BURN_IN, FRAMES, Shipped, graphs_of
from training import export
from training.__main__ import main
from training.errors import ExportError, RunError
from training.runs import load_run

pytestmark = pytest.mark.slow


@pytest.fixture
def run(local_markov: Shipped, tmp_path: Path) -> Path:
    """A copy of the run, for a test that changes it."""
    return shutil.copytree(local_markov.run, tmp_path / "run")


def exported(shipped: Shipped, to: Path, **options: Any) -> Path:
    with graphs_of(shipped.artifact):
        return export.export_run(shipped.run, to, **options)[0]


def remark(run: Path, **changes: Any) -> None:
    path = run / "evaluation.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), "utf-8")


class TestArtifact:
    def test_the_service_verifies_and_opens_it(self, shipped: Shipped, tmp_path: Path) -> None:
        loaded = verify(shipped.artifact)
        assert loaded.manifest == shipped.manifest
        store = ArtifactStore(tmp_path, shipped.artifact.parents[1])
        assert store.refusals() == {}
        assert store.open("dnri-walks").path == shipped.artifact

    def test_the_manifest_survives_a_round_trip(self, shipped: Shipped) -> None:
        text = (shipped.artifact / "manifest.json").read_text("utf-8")
        assert Manifest.from_json(text).to_json() == text

    def test_its_weights_and_settings_give_the_trained_networks_answers(
        self, shipped: Shipped
    ) -> None:
        manifest, trained = shipped.manifest, shipped.trained()
        served = build(manifest.family, manifest.network).fold()
        served.load_state_dict(load_file(shipped.artifact / "weights.safetensors"))
        states = 2 * torch.rand((5, 6, len(manifest.features))) - 1
        graph = fully_connected(3, copies=2)
        with torch.inference_mode():
            found = served.relation_logits(states, graph)
            wanted = trained.relation_logits(states, graph)
        torch.testing.assert_close(found.posterior, wanted.posterior, rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(found.prior, wanted.prior, rtol=1e-5, atol=1e-5)

    def test_every_file_is_listed_with_its_digest_and_readable_by_others(
        self, shipped: Shipped
    ) -> None:
        listed = dict(shipped.manifest.files)
        for path in shipped.artifact.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o644
            if path.name != "manifest.json":
                digest, content = listed.pop(path.name), path.read_bytes()
                assert digest.bytes == len(content)
                assert digest.sha256 == hashlib.sha256(content).hexdigest()
        assert listed == {}

    def test_it_carries_the_evaluation_and_the_curves(self, shipped: Shipped) -> None:
        assert json.loads((shipped.artifact / "metrics.json").read_text("utf-8")) == shipped.report
        curves = (shipped.artifact / "curves.csv").read_bytes()
        assert curves == (shipped.run / "curves.csv").read_bytes()

    def test_nothing_but_the_version_is_left_behind(self, shipped: Shipped) -> None:
        names = [path.name for path in shipped.artifact.parents[1].rglob("*") if path.is_dir()]
        assert names == ["dnri-walks", "1"]


class TestManifest:
    def test_states_the_training_datas_scaling_and_range(self, shipped: Shipped) -> None:
        material = load_run(shipped.run).material
        values = material.dataset.split("train").values()
        for column, feature in enumerate(shipped.manifest.features):
            assert feature.offset == material.normaliser.offset[column]
            assert feature.scale == material.normaliser.scale[column]
            assert feature.minimum == values[..., column].min()
            assert feature.maximum == values[..., column].max()
        assert shipped.manifest.feature_names == material.dataset.features

    def test_tells_positions_from_velocities(self, shipped: Shipped) -> None:
        for feature in shipped.manifest.features:
            moving = feature.name.startswith("v")
            assert feature.kind == ("velocity" if moving else "position")
            assert feature.unit == ("m/frame" if moving else "m")
        assert shipped.manifest.derives_velocities

    def test_names_relation_types_only_where_the_data_do(
        self, local_markov: Shipped, global_recurrent: Shipped
    ) -> None:
        assert local_markov.manifest.relation_types == ("none", "follows")
        assert local_markov.manifest.none_type == 0
        assert global_recurrent.manifest.relation_types == ("type-0", "type-1", "type-2")
        assert global_recurrent.manifest.none_type is None

    def test_states_what_was_trained(self, shipped: Shipped) -> None:
        manifest, entities = shipped.manifest, len(shipped.kind.entities)
        assert dataclasses.asdict(manifest.trained) == {
            "window": FRAMES,
            "horizon": FRAMES - BURN_IN,
            "min_entities": entities,
            "max_entities": entities,
            "burn_in": BURN_IN,
        }
        assert manifest.frame_rate == 10.0
        assert manifest.coordinate_frames == shipped.kind.model.get("frames", "global")
        assert manifest.absolute_features is (manifest.coordinate_frames == "global")
        fingerprint = load_run(shipped.run).material.dataset.fingerprint
        assert manifest.provenance.data_fingerprint == fingerprint
        assert manifest.provenance.experiment == "walks"

    def test_states_the_measured_bands_and_errors(self, shipped: Shipped) -> None:
        manifest, report = shipped.manifest, shipped.report
        found = np.asarray(manifest.bands.residual_variance)
        assert np.array_equal(found, report["bands"]["residual_variance"])
        assert manifest.bands.coverage["0.9"] == round(report["bands"]["coverage"]["0.9"], 4)
        (forecast,) = report["forecasts"]
        headline = manifest.metrics[f"test_mse_after_{BURN_IN}"]
        for row in ("mean_of_paths", "constant_velocity"):
            assert headline[row]["1"] == forecast["mse"][row][0]
        aligned = report["relations"]["test"]["prior"].get("aligned")
        assert manifest.metrics.get("test_f1_prior") == (aligned and aligned["f1"])

    def test_lists_a_memory_only_where_the_decoder_has_one(
        self, local_markov: Shipped, global_recurrent: Shipped
    ) -> None:
        def inputs(shipped: Shipped) -> dict[str, Any]:
            return {tensor.name: tensor.shape for tensor in shipped.manifest.graphs["step"].inputs}

        assert "memory" not in inputs(local_markov)
        assert inputs(global_recurrent)["memory"] == ("nodes", 48)


class TestVersions:
    def test_count_up_from_the_highest(self, local_markov: Shipped, tmp_path: Path) -> None:
        (tmp_path / "dnri-walks" / "7").mkdir(parents=True)
        (tmp_path / "dnri-walks" / "aliases").mkdir()
        for version in ("8", "9"):
            path = exported(local_markov, tmp_path)
            assert path == tmp_path / "dnri-walks" / version
            assert verify(path).manifest.version == int(version)

    def test_a_number_may_be_asked_for_once(self, local_markov: Shipped, tmp_path: Path) -> None:
        first = exported(local_markov, tmp_path, name="other", version=3)
        before = (first / "manifest.json").read_bytes()
        with pytest.raises(ExportError, match=r"other/3 exists.*never change"):
            exported(local_markov, tmp_path, name="other", version=3)
        assert (first / "manifest.json").read_bytes() == before
        assert exported(local_markov, tmp_path, name="other").name == "4"

    def test_an_export_that_was_overtaken_leaves_the_other_alone(
        self, local_markov: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        theirs = tmp_path / "dnri-walks" / "1" / "manifest.json"

        def overtaken(*arguments: Any) -> None:
            write(*arguments)
            theirs.parent.mkdir(parents=True)
            theirs.write_text("theirs")

        write = export.write_card
        monkeypatch.setattr(export, "write_card", overtaken)
        with pytest.raises(ExportError, match="exists"):
            exported(local_markov, tmp_path)
        assert theirs.read_text() == "theirs"
        assert [path.name for path in tmp_path.iterdir()] == ["dnri-walks"]

    @pytest.mark.parametrize("name", ["Upper", "../up", ""])
    def test_an_impossible_name_is_refused(
        self, local_markov: Shipped, tmp_path: Path, name: str
    ) -> None:
        with pytest.raises(ExportError, match="a name like"):
            exported(local_markov, tmp_path, name=name)
        assert not any(tmp_path.iterdir())


class TestRefusals:
    def test_a_run_that_was_not_evaluated(self, run: Path, tmp_path: Path) -> None:
        (run / "evaluation.json").unlink()
        with pytest.raises(RunError, match=rf"no evaluation\.json.*training evaluate {run}"):
            export.export_run(run, tmp_path / "to")
        assert not (tmp_path / "to").exists()

    def test_an_evaluation_of_other_weights(self, run: Path, tmp_path: Path) -> None:
        with pytest.raises(RunError, match=r"measured the best weights.*--checkpoint last"):
            export.export_run(run, tmp_path / "to", checkpoint="last")

    def test_an_evaluation_from_before_a_better_epoch(self, run: Path, tmp_path: Path) -> None:
        facts = json.loads((run / "evaluation.json").read_text("utf-8"))["training"]
        remark(run, training=facts | {"best_epoch": 99})
        with pytest.raises(RunError, match=r"weights of epoch 99.*those of epoch [12];"):
            export.export_run(run, tmp_path / "to")

    def test_graphs_that_disagree_with_the_network(
        self, local_markov: Shipped, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def damaged(net: torch.nn.Module, folder: Path) -> None:
            write(net, folder)  # pyright: ignore[reportArgumentType]
            weights = load_file(folder / "weights.safetensors")
            weights["prior_head.layers.2.bias"] += 1e-3
            save_file(weights, folder / "weights.safetensors")

        write = export.write_weights
        monkeypatch.setattr(export, "write_weights", damaged)
        with pytest.raises(ExportError, match=r"prior_logits differs by 0\.001"):
            exported(local_markov, tmp_path / "to")
        assert not any((tmp_path / "to").iterdir())


class TestCommand:
    def test_prints_the_differences_and_the_place(
        self, local_markov: Shipped, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        words = ["export", str(local_markov.run), "--to", str(tmp_path), "--name", "mine"]
        with graphs_of(local_markov.artifact):
            assert main(words) == 0
        printed = capsys.readouterr().out
        assert "posterior_logits as probabilities" in printed
        assert f"Wrote {tmp_path / 'mine' / '1'}" in printed

    def test_a_refusal_is_one_line(
        self, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        (run / "evaluation.json").unlink()
        assert main(["export", str(run), "--to", str(tmp_path / "to")]) == 1
        errors = capsys.readouterr().err
        assert errors.startswith("error: no evaluation.json")
        assert errors.count("\n") == 1
