import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from training.simulators import push
from trajectories.dataset import Dataset

# sha256 of the float32 arrays in the authors' files (features, labels as 0/1 floats).
PUBLISHED = {
    "train": (
        "6a3a547240da7333fd1a72fc7f936eec8d3c5feb1f8282852315e7002704ef76",
        "4c3e3f2b2dffd2bc29d9c285380bb31b378b61db0b0eb22dfb2bd3bebfb627e0",
    ),
    "valid": (
        "6aa31be8b8e05d276770a0e69642de3b03fc1a44ff24aaeba6a294d97552e8bb",
        "d9df0f636a236f0f9cf99b15d38f2ba462423207e37fd11b608c397e0de619ad",
    ),
    "test": (
        "91208f69d731cfe243acf8bc040d9b755f982eab7e999dde9625266f3a720e49",
        "427e466315a019dceb790ee26e596420a880bb2397ac2cbc467b97577d101df8",
    ),
}


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return push.simulate(seed=1)


def sha256(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f4").tobytes()).hexdigest()


@pytest.mark.parametrize("key", PUBLISHED)
def test_seed_1_hashes_to_the_authors_arrays(dataset: Dataset, key: str):
    split = dataset.split(key)
    assert (sha256(split.values()), sha256(split.labels())) == PUBLISHED[key]


@pytest.mark.parametrize(
    ("key", "theirs"), [("train", "train"), ("valid", "val"), ("test", "test")]
)
def test_seed_1_is_bit_equal_to_the_authors_files(dataset: Dataset, key: str, theirs: str):
    folder = os.environ.get("RELATA_DATA")
    path = Path(folder or "") / "dnri-synth" / "dnri_synth.npz"
    if not folder or not path.is_file():
        pytest.skip("RELATA_DATA holds no dnri-synth/dnri_synth.npz: authors' files not compared")
    with np.load(path, allow_pickle=False) as published:
        np.testing.assert_array_equal(dataset.split(key).values(), published[f"{theirs}_feats"])
        np.testing.assert_array_equal(dataset.split(key).labels(), published[f"{theirs}_edges"])


def test_another_seed_gives_other_data(dataset: Dataset):
    assert push.simulate(seed=2).fingerprint != dataset.fingerprint


def test_the_label_of_the_next_frame_says_who_is_near_now(dataset: Dataset):
    split = dataset.split("test")
    positions = split.values()[..., :2].astype(np.float64)
    for pusher, pair in push.PUSHERS.items():
        apart = np.linalg.norm(positions[:, :, push.PUSHED] - positions[:, :, pusher], axis=-1)
        near = apart[:, :-1] < push.REACH
        np.testing.assert_array_equal(split.labels()[:, 1:, pair] == 1, near)


def test_velocity_is_the_backward_difference_of_positions(dataset: Dataset):
    values = dataset.split("train").values().astype(np.float64)
    moved = values[:, 1:, :, :2] - values[:, :-1, :, :2]
    np.testing.assert_allclose(values[:, 1:, :, 2:], moved, atol=2e-6)


def test_only_the_pairs_towards_the_pushed_particle_ever_act(dataset: Dataset):
    active = {pair for split in dataset.splits.values() for pair in np.nonzero(split.labels())[2]}
    assert active == set(push.PUSHERS.values())
