import dataclasses
from pathlib import Path

import pytest

from service.artifacts import LoadedArtifact
from service.errors import Unavailable
from service.inference import served
from service.inference.served import Shelf
from service.settings import Settings
from tests.service.networks import OneModel
from tests.service.small_artifacts import OPTIONS, small_artifact


@pytest.mark.parametrize("name", list(OPTIONS))
def test_a_model_is_timed_when_it_is_opened_and_opened_once(name):
    shelf = Shelf(OneModel(small_artifact(name)), Settings())
    model = shelf.open(name)
    assert model.pace > 0
    assert shelf.open(f"{name}@champion") is model


def test_an_artifact_that_the_runtime_cannot_run_is_named(tmp_path: Path):
    artifact = small_artifact("small-markov")
    for path in artifact.path.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "step.onnx").write_bytes(b"no graph")
    broken = LoadedArtifact(artifact.manifest, tmp_path)
    with pytest.raises(Unavailable) as refusal:
        Shelf(OneModel(broken), Settings()).open("small-markov")
    assert refusal.value.code == "artifact-unusable"
    assert "small-markov@1" in refusal.value.detail


def test_the_least_recently_used_model_is_let_go(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(served, "MOST_OPEN", 2)
    first = small_artifact("small-markov")
    source = OneModel(first)
    shelf = Shelf(source, Settings())
    opened = [shelf.open("small-markov")]
    for number in (2, 3):
        copy = tmp_path / str(number)
        copy.mkdir()
        for path in first.path.iterdir():
            (copy / path.name).write_bytes(path.read_bytes())
        manifest = dataclasses.replace(first.manifest, version=number)
        source.artifact = LoadedArtifact(manifest, copy)
        opened.append(shelf.open("small-markov"))
    assert shelf.open("small-markov") is opened[2]
    source.artifact = first
    assert shelf.open("small-markov") is not opened[0]
