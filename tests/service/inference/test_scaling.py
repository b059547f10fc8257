import numpy as np
import pytest

from models.manifest import Feature
from service.inference.scaling import scaling_for
from tests.service.manifests import push_manifest
from tests.service.networks import walk

FEATURES = (
    Feature("x", "position", "m", 3.0, 2.0, 1.0, 5.0),
    Feature("y", "position", "m", 3.0, 2.0, 2.0, 3.0),
    Feature("vx", "velocity", "m/frame", 0.5, 0.1, 0.4, 0.6),
    Feature("vy", "velocity", "m/frame", 0.0, 0.1, -0.1, 0.1),
)


def global_manifest():
    return push_manifest(features=FEATURES, coordinate_frames="global")


def test_applies_the_manifests_offset_and_scale_and_takes_them_back():
    scaling = scaling_for(global_manifest(), walk(4, 3))
    assert scaling.normalised(np.array([5.0, 1.0, 0.4, 0.0])).tolist() == pytest.approx(
        [1, -1, -1, 0]
    )
    values = walk(4, 3)
    np.testing.assert_allclose(scaling.restored(scaling.normalised(values)), values, atol=1e-6)


def test_keeps_the_precision_of_local_models_far_from_the_origin():
    near = walk(6, 3)
    far = near + np.array([4e6, -7e6, 0, 0])
    manifest = push_manifest(coordinate_frames="local")
    one, other = scaling_for(manifest, near), scaling_for(manifest, far)
    np.testing.assert_allclose(one.normalised(near), other.normalised(far), atol=2e-7)
    np.testing.assert_allclose(other.restored(other.normalised(far)), far, rtol=0, atol=2e-7)


def test_leaves_the_origin_to_models_that_see_it():
    for changes in ({"coordinate_frames": "global"}, {"absolute_features": True}):
        manifest = push_manifest(**changes)
        assert scaling_for(manifest, walk(4, 3) + 1.0).offset.tolist() == [0, 0, 0, 0]


def test_absent_rows_move_no_centroid_and_stay_absent():
    values = walk(5, 3)
    values[0] = np.nan
    values[1:3, 1] = np.nan
    scaling = scaling_for(push_manifest(), values)
    np.testing.assert_allclose(scaling.offset[:2], values[1, [0, 2], :2].mean(axis=0))
    assert np.isnan(scaling.normalised(values)[1:3, 1]).all()
    assert scaling_for(push_manifest(), np.full((2, 3, 4), np.nan)).offset.tolist() == [0, 0, 0, 0]


def test_later_frames_change_nothing_of_earlier_ones():
    values = walk(6, 3)
    other = values.copy()
    other[4:] += 1e4
    manifest = push_manifest(coordinate_frames="local")
    one, two = scaling_for(manifest, values), scaling_for(manifest, other)
    assert np.array_equal(one.normalised(values)[:4], two.normalised(other)[:4])


def test_the_trained_range_of_local_models_lies_around_the_middle_of_the_window():
    values = walk(6, 3)
    values[..., 0] += np.arange(6)[:, None]
    scaling = scaling_for(push_manifest(coordinate_frames="local"), values)
    middle = scaling.restored(scaling.centre[None])[0, :2]
    np.testing.assert_allclose(middle, values[..., :2].mean(axis=(0, 1)))


def test_reach_is_the_widest_of_each_kind():
    scaling = scaling_for(global_manifest(), walk(4, 3))
    assert scaling.reach.tolist() == pytest.approx([1.0, 1.0, 1.0, 1.0])
    assert scaling.centre.tolist() == pytest.approx([0.0, -0.25, 0.0, 0.0])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 11.0])
def test_within_refuses_what_is_not_finite_or_too_far(bad: float):
    scaling = scaling_for(global_manifest(), walk(4, 3))
    rows = np.zeros((2, 4), np.float32)
    rows[1, 2] = bad
    assert scaling.within(rows, 10.0).tolist() == [True, False]
