import json
from pathlib import Path

import numpy as np

from service.demo import recordings
from service.demo.recordings import PUSH_MODEL, WALK_MODEL
from tests.service import make_examples

BOTH = frozenset({PUSH_MODEL, WALK_MODEL})


def test_the_bundled_example_is_what_our_own_simulator_gives() -> None:
    written = (make_examples.FOLDER / "push3.json").read_text(encoding="utf-8")
    assert written == make_examples.text(make_examples.push3())


def test_the_particles_come_with_their_truth() -> None:
    exhibit = recordings.push()
    assert exhibit.truth is not None
    assert exhibit.values.shape == (50, 3, 2)
    assert exhibit.truth.types.shape == (49, 6)
    pushing = {
        (source, target)
        for source, target, acting in zip(
            exhibit.truth.sources,
            exhibit.truth.targets,
            exhibit.truth.types.any(axis=0),
            strict=True,
        )
        if acting
    }
    assert pushing == {("p1", "p3"), ("p2", "p3")}


def test_the_truth_of_a_frame_is_what_acts_on_its_next_step() -> None:
    exhibit = recordings.push()
    assert exhibit.truth is not None
    turning = np.abs(np.diff(exhibit.values[:, 2], n=2, axis=0)).max(axis=-1) > 1e-5
    acted = exhibit.truth.types.any(axis=1)
    assert (turning == acted[1:]).all()


def test_the_forecast_sees_only_the_beginning() -> None:
    exhibit = recordings.push()
    assert len(exhibit.beginning["values"]) == exhibit.given
    assert exhibit.horizon == 50 - exhibit.given


def test_without_recordings_particles_are_shown_and_the_way_to_real_ones_is_told(
    tmp_path: Path,
) -> None:
    for data in (None, tmp_path):
        exhibit = recordings.choose(data, BOTH)
        assert exhibit.model == PUSH_MODEL
        assert "training fetch cmu-mocap-35" in exhibit.notice


def test_a_walk_that_cannot_be_read_is_said_to_be_so(tmp_path: Path) -> None:
    folder = tmp_path / recordings.WALK_FOLDER
    folder.mkdir()
    (folder / "35.asf").write_text("rubbish")
    exhibit = recordings.choose(tmp_path, BOTH)
    assert exhibit.model == PUSH_MODEL
    assert "cannot be read" in exhibit.notice


def test_a_real_walk_is_shown_where_there_is_one(recordings_of: Path) -> None:
    exhibit = recordings.choose(recordings_of, BOTH)
    assert exhibit.model == WALK_MODEL
    assert exhibit.values.shape == (recordings.WALK_FRAMES, 31, 3)
    assert len(exhibit.trajectory["entities"]) == 31
    assert len(exhibit.bones) == 30
    json.dumps(exhibit.beginning)


def test_a_walk_without_its_model_is_not_shown(recordings_of: Path) -> None:
    assert recordings.choose(recordings_of, frozenset({PUSH_MODEL})).model == PUSH_MODEL
