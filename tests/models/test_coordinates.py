import math

import pytest
import torch
from torch import Tensor

from models.coordinates import CoordinateConfig, advance, describe, into_frame, out_of_frame
from tests.models.small import complete, states

LOCAL_2D = CoordinateConfig(dimensions=2, local=True)
LOCAL_3D = CoordinateConfig(dimensions=3, local=True, vertical=1)


def turn(values: Tensor, angle: float, config: CoordinateConfig) -> Tensor:
    """Rotate positions and velocities about the vertical axis."""
    heading = torch.tensor([math.cos(angle), math.sin(angle)], dtype=values.dtype)
    parts = values.split(config.dimensions, -1)
    return torch.cat([out_of_frame(part, heading, config) for part in parts], -1)


class TestConfig:
    @pytest.mark.parametrize(
        ("options", "field"),
        [
            ({"dimensions": 4}, "dimensions"),
            ({"dimensions": 3, "local": True}, "vertical"),
            ({"pair_length": 0.0}, "pair_length"),
            ({"local": True, "velocity_shift": 0.1}, "velocity_shift"),
        ],
    )
    def test_names_the_impossible_field(self, options: dict[str, object], field: str) -> None:
        with pytest.raises(ValueError, match=field):
            CoordinateConfig(**options)  # pyright: ignore[reportArgumentType]


class TestRotations:
    @pytest.mark.parametrize("config", [LOCAL_2D, LOCAL_3D])
    def test_out_of_frame_undoes_into_frame(self, config: CoordinateConfig) -> None:
        vectors = torch.randn((5, config.dimensions), dtype=torch.float64)
        angles = torch.linspace(-3, 3, 5, dtype=torch.float64)
        heading = torch.stack((angles.cos(), angles.sin()), -1)
        there = into_frame(vectors, heading, config)
        torch.testing.assert_close(out_of_frame(there, heading, config), vectors)

    def test_a_moving_node_sees_its_velocity_straight_ahead(self) -> None:
        values = states(1, 3)
        own = describe(values, complete(3), LOCAL_2D).own
        speed = values[..., 2:].norm(dim=-1)
        torch.testing.assert_close(own[..., 0], speed)
        torch.testing.assert_close(own[..., 1], torch.zeros_like(speed), atol=1e-12, rtol=0)

    def test_the_vertical_axis_is_left_alone(self) -> None:
        values = states(1, 3, features=6)
        own = describe(values, complete(3), LOCAL_3D).own
        assert torch.equal(own[..., 1], values[..., 4])


class TestDescribe:
    def test_global_frames_show_the_state_itself(self) -> None:
        values = states(2, 3)
        view = describe(values, complete(3), CoordinateConfig())
        assert view.own is values
        assert view.pairs is None

    @pytest.mark.parametrize(("config", "features"), [(LOCAL_2D, 4), (LOCAL_3D, 6)])
    def test_turning_and_moving_the_scene_changes_nothing(
        self, config: CoordinateConfig, features: int
    ) -> None:
        values, graph = states(4, 5, features), complete(5)
        moved = turn(values, 0.7, config)
        moved[..., : config.dimensions] += 3.5
        before, after = describe(values, graph, config), describe(moved, graph, config)
        assert before.pairs is not None
        assert after.pairs is not None
        torch.testing.assert_close(after.own, before.own)
        torch.testing.assert_close(after.pairs, before.pairs)

    def test_widths_are_what_the_networks_are_built_for(self) -> None:
        config = CoordinateConfig(dimensions=2, local=True, absolute=True)
        view = describe(states(2, 3), complete(3), config)
        assert view.pairs is not None
        assert view.own.shape[-1] == config.own_width
        assert view.pairs.shape[-1] == config.pair_width

    def test_a_resting_node_gets_an_unturned_frame(self) -> None:
        values = states(1, 2)
        values[..., 2:] = 0
        view = describe(values, complete(2), LOCAL_2D)
        assert view.heading is not None
        assert view.heading.tolist() == [[[1.0, 0.0], [1.0, 0.0]]]

    def test_two_nodes_in_one_place_stay_finite(self) -> None:
        values = torch.zeros((1, 2, 4), dtype=torch.float64, requires_grad=True)
        view = describe(values, complete(2), LOCAL_2D)
        assert view.pairs is not None
        view.pairs.sum().backward()
        assert values.grad is not None
        assert values.grad.isfinite().all()


class TestAdvance:
    def test_free_output_is_added_to_every_feature(self) -> None:
        values, config = states(1, 3), CoordinateConfig()
        output = torch.ones_like(values)
        found = advance(values, output, describe(values, complete(3), config), config)
        assert torch.equal(found, values + 1)

    def test_integrated_positions_are_the_sum_of_velocities_in_data_units(self) -> None:
        scale, offset = torch.tensor([10.0, 0.25]), torch.tensor([-0.3, 0.02])
        config = CoordinateConfig(
            integrated=True,
            velocity_ratio=float(scale[1] / scale[0]),
            velocity_shift=float(offset[1] / scale[0]),
        )
        values = states(1, 3)
        output = 0.1 * torch.randn((1, 3, 2), dtype=torch.float64)
        found = advance(values, output, describe(values, complete(3), config), config)
        position = values[..., :2] * scale[0] + offset[0]
        velocity = found[..., 2:] * scale[1] + offset[1]
        moved = (position + velocity - offset[0]) / scale[0]
        torch.testing.assert_close(found[..., :2], moved, atol=1e-6, rtol=0)
        torch.testing.assert_close(found[..., 2:], values[..., 2:] + output)
