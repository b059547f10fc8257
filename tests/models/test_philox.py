"""Philox against its published vectors, and the independence that batching relies on."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.philox import draws, entity_words, pair_keys, philox, uniforms

PI = (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344, 0xA4093822, 0x299F31D0)
KNOWN = [
    ((0, 0, 0, 0, 0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((0xFFFFFFFF,) * 6, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (PI, (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1)),
]
names = st.text(min_size=1, max_size=8)


@pytest.mark.parametrize(("given_words", "wanted"), KNOWN)
def test_agrees_with_the_published_known_answers(given_words, wanted):
    words = np.array(given_words, dtype=np.uint32)
    assert philox(words[:4], words[4:]).tolist() == list(wanted)


def test_is_the_same_for_one_counter_and_for_many():
    words = np.array([given_words for given_words, _ in KNOWN], dtype=np.uint32)
    wanted = [list(answer) for _, answer in KNOWN]
    assert philox(words[:, :4], words[:, 4:]).tolist() == wanted


def test_hashes_ids_to_the_same_words_in_another_process():
    code = "from models.philox import entity_words; print(entity_words(['p1', 'ü']).tolist())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == str(entity_words(["p1", "ü"]).tolist())


def test_draws_stay_in_the_unit_interval_and_look_uniform():
    ids = [f"e{index}" for index in range(40)]
    sources = [a for a in ids for b in ids if a != b]
    targets = [b for a in ids for b in ids if a != b]
    sample = uniforms(7, range(64), 3, sources, targets)
    assert sample.dtype == np.float32
    assert sample.min() >= 0.0
    assert sample.max() < 1.0
    counts, _ = np.histogram(sample, bins=64, range=(0, 1))
    expected = sample.size / 64
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 120  # 63 degrees of freedom: 1e-5 of random tables exceed it
    assert abs(np.corrcoef(sample[0], sample[1])[0, 1]) < 0.1


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    ids=st.lists(names, min_size=2, max_size=5, unique=True),
    others=st.lists(names, max_size=4),
    step=st.integers(0, 2**32 - 1),
)
def test_depends_on_nobody_else_who_is_present(seed, ids, others, step):
    alone = uniforms(seed, [0, 5], step, ids[:1], ids[1:2])
    sources = [*others, ids[0], *others]
    targets = [*reversed(others), ids[1], *others]
    among = uniforms(seed, [9, 0, 5], step, sources, targets)
    assert np.array_equal(among[1:, len(others)], alone[:, 0])


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**64 - 1),
    steps=st.lists(st.integers(0, 5000), min_size=1, max_size=6),
    split=st.integers(0, 6),
)
def test_is_the_same_for_all_steps_at_once_and_for_each_alone(seed, steps, split):
    words = entity_words(["a", "b", "c"])
    keys = pair_keys(seed, words[[0, 1]], words[[1, 2]])
    samples = np.arange(7)
    together = draws(keys, samples, steps)
    for index, step in enumerate(steps):
        assert np.array_equal(together[index], uniforms(seed, samples, step, "ab", "bc"))
    halves = np.concatenate(
        (draws(keys, samples[:split], steps), draws(keys, samples[split:], steps)), 1
    )
    assert np.array_equal(together, halves)


def test_changes_with_seed_sample_step_and_direction():
    base = uniforms(1, [0], 0, ["a"], ["b"])
    others = [
        uniforms(2, [0], 0, ["a"], ["b"]),
        uniforms(1 + 2**32, [0], 0, ["a"], ["b"]),
        uniforms(1, [1], 0, ["a"], ["b"]),
        uniforms(1, [0], 1, ["a"], ["b"]),
        uniforms(1, [0], 2**32, ["a"], ["b"]),
        uniforms(1, [0], 0, ["b"], ["a"]),
    ]
    assert all(not np.array_equal(base, other) for other in others)


def test_gives_an_empty_table_for_no_pairs():
    assert uniforms(1, [0, 1], 0, [], []).shape == (2, 0)


@pytest.mark.parametrize("seed", [-1, 2**64])
def test_refuses_a_seed_of_more_than_64_bits(seed):
    with pytest.raises(ValueError, match="seed"):
        uniforms(seed, [0], 0, ["a"], ["b"])
