import numpy as np

from service.inference.sanity import (
    company_notices,
    horizon_notices,
    input_notices,
    newcomer_notices,
    relation_notices,
)
from service.inference.scaling import scaling_for
from tests.service.networks import small_manifest, walk


def codes(notices):
    return [notice.code for notice in notices]


def doubts(values, **changes):
    manifest = small_manifest(**changes)
    scaling = scaling_for(manifest, values)
    return list(input_notices(manifest, scaling, scaling.normalised(values)))


class TestInputNotices:
    def test_are_silent_inside_the_trained_range(self):
        assert doubts(walk(6, 3)) == []

    def test_name_the_feature_its_share_and_its_range(self):
        values = walk(6, 3)
        values[:3, :, 2] = 0.5
        (notice,) = doubts(values)
        assert notice.code == "out-of-range"
        assert notice.text.startswith("vx: 50 % ")
        assert "-0.1 to 0.1 m/frame" in notice.text

    def test_do_not_ask_a_translation_free_model_where_the_window_is(self):
        far = walk(6, 3) + np.array([1e4, 0, 0, 0])
        assert doubts(far) == []
        assert codes(doubts(far, coordinate_frames="global")) == ["out-of-range"]

    def test_count_entities(self):
        assert codes(doubts(walk(4, 6) * 0.5)) == ["entity-count"]

    def test_absent_rows_are_no_values(self):
        values = walk(6, 3)
        values[2:, 0] = np.nan
        assert doubts(values) == []


class TestAbsences:
    def test_nobody_meets_anybody(self):
        values = walk(6, 2)
        assert codes(company_notices(values)) == []
        values[:3, 0] = np.nan
        assert codes(company_notices(values)) == []
        values[3:, 1] = np.nan
        assert codes(company_notices(values)) == ["no-pairs"]

    def test_somebody_appears_too_late_to_be_foretold(self):
        row = [0.0, 0.0]
        present = np.array([True, False, False])
        (notice,) = newcomer_notices([row, row, None], present)
        assert (notice.code, ": 1;" in notice.text) == ("appeared-last", True)
        assert codes(newcomer_notices([row, None, None], present)) == []


class TestHorizonNotices:
    def test_speak_up_beyond_training_and_beyond_the_bands(self):
        assert codes(horizon_notices(small_manifest(), 8)) == []
        found = codes(horizon_notices(small_manifest(), 9))
        assert found == ["horizon-beyond-trained", "bands-extended"]

    def test_say_that_bands_were_never_measured(self):
        bands = small_manifest().bands.__class__("none", (), {})
        assert codes(horizon_notices(small_manifest(bands=bands), 3)) == ["bands-unmeasured"]


class TestRelationNotices:
    def test_call_a_table_of_one_type_collapsed(self):
        table = np.full((10, 6, 3), np.nan, np.float32)
        table[:, :5] = [0.1, 0.8, 0.1]
        (notice,) = relation_notices(small_manifest(), table)
        assert notice.code == "collapse"
        assert "'push'" in notice.text

    def test_are_silent_when_two_percent_differ(self):
        table = np.zeros((10, 5, 3), np.float32)
        table[..., 0] = 1.0
        table[0, 0] = [0.0, 0.0, 1.0]
        assert list(relation_notices(small_manifest(), table)) == []

    def test_are_silent_about_nothing(self):
        assert list(relation_notices(small_manifest(), np.zeros((0, 6, 3), np.float32))) == []
