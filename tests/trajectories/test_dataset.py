import json
from pathlib import Path

import numpy as np
import pytest

from trajectories.dataset import Dataset, Split
from trajectories.errors import TrajectoryError


def split(lengths: tuple[int, ...], *, relations: bool, seed: int = 0) -> Split:
    stream = np.random.default_rng(seed)
    return Split(
        tuple(stream.normal(size=(frames, 3, 4)).astype(np.float32) for frames in lengths),
        tuple(f"s{index}" for index in range(len(lengths))),
        tuple(stream.integers(0, 2, size=(frames, 6)) for frames in lengths) if relations else None,
    )


def dataset(**splits: Split) -> Dataset:
    return Dataset(
        name="made",
        features=("x", "y", "vx", "vy"),
        entities=("a", "b", "c"),
        frame_rate=10.0,
        splits=splits,
        units={"x": "m"},
        relation_types=("none", "near"),
        source="made in a test",
        licence="none needed",
    )


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    made = dataset(train=split((5, 5), relations=True), test=split((4, 6), relations=True))
    return made.save(tmp_path / "made")


def test_what_was_saved_is_loaded(tmp_path: Path):
    made = dataset(
        train=split((5, 5), relations=True),
        valid=split((5, 7, 6), relations=False, seed=1),
        test=split(tuple(range(2, 14)), relations=True, seed=2),
    )
    loaded = Dataset.load(made.save(tmp_path / "deep" / "made"))
    assert loaded.fingerprint == made.fingerprint
    for field in ("name", "features", "entities", "frame_rate", "units", "velocity"):
        assert getattr(loaded, field) == getattr(made, field)
    for key, part in made.splits.items():
        assert loaded.split(key).names == part.names
        for ours, theirs in zip(part.sequences, loaded.split(key).sequences, strict=True):
            np.testing.assert_array_equal(ours, theirs)
            assert ours.dtype == theirs.dtype
    np.testing.assert_array_equal(loaded.split("train").labels(), made.split("train").labels())
    assert loaded.split("valid").relations is None


def test_the_stored_form_says_its_pair_order_and_normaliser(stored: Path):
    fields = json.loads((stored / "dataset.json").read_text())
    assert fields["pairs"]["sources"] == [0, 0, 1, 1, 2, 2]
    assert fields["pairs"]["targets"] == [1, 2, 0, 2, 0, 1]
    fitted = Dataset.load(stored).normaliser("published")
    assert fields["normaliser"]["published"] == fitted.to_json()


def test_equal_lengths_are_stacked_and_others_kept_apart(stored: Path):
    with np.load(stored / "train.npz", allow_pickle=False) as arrays:
        assert arrays["values"].shape == (2, 5, 3, 4)
        assert arrays["relations"].shape == (2, 5, 6)
    with np.load(stored / "test.npz", allow_pickle=False) as arrays:
        assert sorted(arrays.files) == ["relations_0", "relations_1", "values_0", "values_1"]


def test_changed_arrays_are_noticed(stored: Path):
    with np.load(stored / "train.npz") as arrays:
        changed = {key: arrays[key].copy() for key in arrays.files}
    changed["values"][0, 0, 0, 0] += 1
    np.savez(stored / "train.npz", **changed)
    with pytest.raises(TrajectoryError) as caught:
        Dataset.load(stored)
    assert caught.value.code == "fingerprint"


def test_pickled_arrays_are_refused(stored: Path):
    np.savez(stored / "train.npz", values=np.array([{"a": 1}], dtype=object))
    with pytest.raises(TrajectoryError, match="cannot be read"):
        Dataset.load(stored)


def test_cut_files_are_refused(stored: Path):
    whole = (stored / "train.npz").read_bytes()
    (stored / "train.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(TrajectoryError, match="cannot be read"):
        Dataset.load(stored)


def test_a_folder_without_a_dataset_says_how_to_make_one(tmp_path: Path):
    with pytest.raises(TrajectoryError, match="simulate"):
        Dataset.load(tmp_path)


def test_a_fingerprint_depends_on_names_and_numbers():
    one = dataset(train=split((5, 5), relations=True))
    other = dataset(train=split((5, 5), relations=True, seed=1))
    unlabelled = dataset(train=split((5, 5), relations=False))
    assert len({one.fingerprint, other.fingerprint, unlabelled.fingerprint}) == 3


def test_labels_must_fit_their_sequences():
    with pytest.raises(TrajectoryError, match="labels"):
        Split((np.zeros((5, 3, 4)),), ("s",), (np.zeros((5, 3), dtype=np.int64),))
    with pytest.raises(TrajectoryError, match="name"):
        Split((np.zeros((5, 3, 4)),), ())


def test_sequences_must_have_the_datasets_entities():
    with pytest.raises(TrajectoryError, match="'s0' of split 'train'"):
        Dataset("made", ("x",), ("a", "b"), 1.0, {"train": split((5,), relations=False)})


def test_uneven_sequences_are_not_stacked_and_missing_labels_not_invented():
    with pytest.raises(TrajectoryError, match=r"\[4, 6\] frames"):
        split((4, 6), relations=False).values()
    with pytest.raises(TrajectoryError, match="without relation labels"):
        split((4, 6), relations=False).labels()


def test_an_unknown_split_names_the_known_ones():
    with pytest.raises(TrajectoryError, match="train"):
        dataset(train=split((5,), relations=False)).split("dev")
