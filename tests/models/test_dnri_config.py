import dataclasses

import pytest

from models.dnri_config import DnriConfig, config_from


class TestConfig:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"features": 5}, "features: found 5, expected 4 or 6"),
            ({"features": 2, "frames": "local"}, "features: found 2"),
            ({"features": 4, "frames": "Local"}, r"frames: found 'Local', .*\['global', 'local'\]"),
            ({"features": 4, "kinematics": "none"}, "kinematics: found 'none'"),
            ({"features": 4, "decoder": "gru"}, "decoder: found 'gru'"),
            ({"features": 4, "head_activation": "tanh"}, "head_activation: found 'tanh'"),
            ({"features": 4, "lstm_hidden": 0}, "lstm_hidden: found 0, expected 1 or more"),
            ({"features": 4, "hiden": 3}, "'hiden' is unknown"),
        ],
    )
    def test_names_what_no_network_could_follow(
        self, options: dict[str, object], message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            config_from(options)

    def test_reads_back_what_it_is_stored_as(self) -> None:
        config = DnriConfig(features=6, frames="local", vertical=2, norm_eps=1e-3)
        assert config_from(dataclasses.asdict(config)) == config

    def test_coordinates_follow_the_options(self) -> None:
        config = DnriConfig(features=6, frames="local", vertical=1, kinematics="integrated")
        coordinates = config.coordinates
        assert (coordinates.dimensions, coordinates.local, coordinates.integrated) == (
            3,
            True,
            True,
        )
        assert DnriConfig(features=4).coordinates.pair_width == 0
