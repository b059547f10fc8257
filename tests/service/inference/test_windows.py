from typing import Any

import numpy as np
import pytest

from models.manifest import Feature
from service.errors import InvalidRequest
from service.inference.windows import to_recording
from service.schemas.fields import Trajectory
from tests.service.manifests import PUSH_FEATURES, push_manifest


def trajectory(**changes: Any) -> Trajectory:
    fields: dict[str, Any] = {
        "entities": ["a", "b"],
        "features": ["x", "y"],
        "frame_rate": 2.0,
        "values": [[[0.0, 0.0], [1.0, 1.0]], [[0.5, 0.0], [1.0, 2.0]], [[1.5, 0.0], None]],
    }
    return Trajectory(**(fields | changes))


def refusal(**changes: Any) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        to_recording(trajectory(**changes), push_manifest())
    return caught.value


class TestPositionsAlone:
    def test_get_velocities_per_frame_and_lose_the_first_frame(self) -> None:
        recording = to_recording(trajectory(start_frame=10), push_manifest())
        assert recording.features == ("x", "y", "vx", "vy")
        assert recording.start_frame == 11
        np.testing.assert_array_equal(recording.values[0], [[0.5, 0, 0.5, 0], [1, 2, 0, 1]])
        np.testing.assert_array_equal(recording.values[1, 0], [1.5, 0, 1, 0])

    def test_leave_an_absent_entity_absent(self) -> None:
        recording = to_recording(trajectory(), push_manifest())
        assert np.isnan(recording.values[1, 1]).all()

    def test_make_an_entity_absent_in_the_frame_in_which_it_reappears(self) -> None:
        values = [[[0, 0], [1, 1]], [[0, 0], None], [[0, 0], [5, 5]], [[0, 0], [6, 6]]]
        recording = to_recording(trajectory(values=values), push_manifest())
        assert recording.present.tolist() == [[True, False], [True, False], [True, True]]

    def test_are_refused_where_velocities_are_measured(self) -> None:
        with pytest.raises(InvalidRequest) as caught:
            to_recording(trajectory(), push_manifest(velocity="given"))
        assert caught.value.code == "velocities-needed"

    def test_are_all_there_is_to_a_model_without_velocities(self) -> None:
        manifest = push_manifest(features=PUSH_FEATURES[:2], velocity="none")
        recording = to_recording(trajectory(), manifest)
        assert (recording.frames, recording.start_frame) == (3, 0)


class TestVelocitiesGiven:
    def test_keep_every_frame(self) -> None:
        values = [[[0, 0, 1, 0], [1, 1, 0, 0]]]
        sent = trajectory(features=["x", "y", "vx", "vy"], values=values)
        recording = to_recording(sent, push_manifest())
        assert (recording.frames, recording.start_frame) == (1, 0)


class TestUnits:
    def test_convert_to_the_models(self) -> None:
        recording = to_recording(trajectory(units={"x": "cm", "y": "km"}), push_manifest())
        np.testing.assert_allclose(recording.values[0, 1], [0.01, 2000, 0, 1000])

    def test_of_velocities_follow_the_position(self) -> None:
        sent = trajectory(
            features=["x", "y", "vx", "vy"],
            values=[[[1, 1, 1, 1], [1, 1, 1, 1]]],
            units={"x": "cm"},
        )
        np.testing.assert_allclose(
            to_recording(sent, push_manifest()).values[0, 0], [0.01, 1, 0.01, 1]
        )

    def test_of_velocities_convert_from_seconds_to_frames(self) -> None:
        sent = trajectory(
            features=["x", "y", "vx", "vy"],
            values=[[[1, 1, 1, 1], [1, 1, 1, 1]]],
            units={"vx": "m/s"},
        )
        np.testing.assert_allclose(to_recording(sent, push_manifest()).values[0, 0], [1, 1, 0.5, 1])

    def test_that_do_not_convert_are_refused(self) -> None:
        error = refusal(units={"x": "px"})
        assert (error.code, error.pointer) == ("units", "/trajectory/units/x")

    def test_for_a_feature_that_was_not_sent_are_refused(self) -> None:
        assert refusal(units={"vx": "m/s"}).code == "units"


class TestRefusals:
    def test_one_entity(self) -> None:
        assert refusal(entities=["a"], values=[[[0, 0]]] * 3).code == "single-entity"

    def test_duplicate_ids_name_the_places_and_not_the_ids(self) -> None:
        error = refusal(entities=["secret", "secret"])
        assert (error.code, error.pointer) == ("duplicate-entity", "/trajectory/entities/1")
        assert "secret" not in str(error.to_problem())

    @pytest.mark.parametrize(
        "names", [["x"], ["y", "x"], ["x", "z"], ["x", "y", "vx"], ["x", "y", "vx", "vy", "z"]]
    )
    def test_feature_names_say_what_is_accepted(self, names: list[str]) -> None:
        error = refusal(features=names)
        assert error.code == "feature-names"
        assert "x, y or x, y, vx, vy" in error.detail

    @pytest.mark.parametrize(
        ("rate", "way"), [(6.0, "keep one frame in 3"), (3.0, "interpolate"), (1.0, "interpolate")]
    )
    def test_frame_rate_says_how_to_resample(self, rate: float, way: str) -> None:
        error = refusal(frame_rate=rate)
        assert (error.code, error.pointer) == ("frame-rate", "/trajectory/frame_rate")
        assert way in error.fix

    def test_an_absurd_frame_rate_gets_no_absurd_advice(self) -> None:
        error = refusal(frame_rate=1e300)
        assert error.code == "frame-rate"
        assert len(error.fix) < 200

    def test_too_few_frames_count_the_one_that_velocities_use_up(self) -> None:
        assert refusal(values=[[[0, 0], [1, 1]]]).code == "too-few-frames"
        assert refusal(values=[]).code == "too-few-frames"

    def test_the_caller_may_need_more_frames(self) -> None:
        with pytest.raises(InvalidRequest, match="expected at least 4"):
            to_recording(trajectory(), push_manifest(), at_least=3)

    def test_values_far_outside_training(self) -> None:
        error = refusal(values=[[[0, 0], [1, 1]], [[0, 0], [1, 1e308]]])
        assert (error.code, error.pointer) == ("value-out-of-range", "/trajectory/values/1/1/1")

    def test_values_that_overflow_in_the_models_units(self) -> None:
        error = refusal(
            values=[[[0, 0], [1, 1]], [[0, 0], [1, 1e308]]], units={"x": "km", "y": "km"}
        )
        assert error.code == "value-out-of-range"

    def test_everything_wrong_with_the_header_is_said_at_once(self) -> None:
        error = refusal(entities=["a", "a"], features=["q"], frame_rate=9.0)
        assert [finding.code for finding in error.findings] == [
            "duplicate-entity",
            "feature-names",
            "frame-rate",
        ]


def test_a_feature_of_another_kind_is_part_of_the_exact_list() -> None:
    heading = Feature("heading", "other", "rad", 0.0, 1.0, -3.0, 3.0)
    manifest = push_manifest(features=(*PUSH_FEATURES, heading))
    with pytest.raises(InvalidRequest) as caught:
        to_recording(trajectory(features=["x", "y", "vx", "vy"]), manifest)
    assert caught.value.code == "feature-names"


class TestFarAway:
    """Coordinates far from the origin, as maps have them."""

    FAR = 5e6

    def values(self) -> list[Any]:
        return [[[self.FAR + t, 0.0], [self.FAR + 1, t]] for t in range(3)]

    def test_are_fine_where_the_model_sees_relative_positions_only(self) -> None:
        recording = to_recording(trajectory(values=self.values()), push_manifest())
        np.testing.assert_array_equal(recording.values[0, 0], [self.FAR + 1, 0, 1, 0])

    def test_are_refused_where_the_model_sees_where_things_are(self) -> None:
        manifest = push_manifest(coordinate_frames="global", absolute_features=True)
        with pytest.raises(InvalidRequest) as caught:
            to_recording(trajectory(values=self.values()), manifest)
        assert caught.value.pointer == "/trajectory/values/0/0/0"

    def test_one_entity_far_from_the_others_is_refused(self) -> None:
        error = refusal(values=[[[0, 0], [self.FAR, 0]]] * 3)
        assert (error.code, error.pointer) == ("value-out-of-range", "/trajectory/values/0/1/0")

    def test_nobody_anywhere_is_nobody_far_away(self) -> None:
        recording = to_recording(trajectory(values=[[None, None]] * 3), push_manifest())
        assert not recording.present.any()
