import numpy as np
import pytest

from trajectories import pairs


def test_public_order_is_source_major():
    sources, targets = pairs.source_major(3)
    assert list(zip(sources, targets, strict=True)) == [
        (0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1),
    ]  # fmt: skip


def test_the_networks_order_is_receiver_major():
    senders, receivers = pairs.receiver_major(3)
    assert list(zip(senders, receivers, strict=True)) == [
        (1, 0), (2, 0), (0, 1), (2, 1), (0, 2), (1, 2),
    ]  # fmt: skip


@pytest.mark.parametrize("entities", [1, 2, 3, 7])
def test_each_order_is_brought_into_the_other(entities: int):
    outer = np.stack(pairs.source_major(entities))
    inner = np.stack(pairs.receiver_major(entities))
    np.testing.assert_array_equal(inner[:, pairs.to_source_major(entities)], outer)
    np.testing.assert_array_equal(outer[:, pairs.to_receiver_major(entities)], inner)


def test_one_entity_has_no_pairs():
    sources, targets = pairs.source_major(1)
    assert sources.shape == targets.shape == (0,)
    assert sources.dtype == targets.dtype == np.int64
