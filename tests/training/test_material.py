from pathlib import Path

import numpy as np
import pytest

from tests.training.tiny import tiny_config, tiny_material, tiny_model, tiny_network
from training.errors import ConfigError, DataError
from training.material import Material, known_from_data, load_material
from trajectories.dataset import Split


class TestData:
    def test_are_the_same_from_a_folder_as_from_the_simulator(self, tmp_path: Path) -> None:
        simulated = tiny_material()
        simulated.dataset.save(tmp_path)
        read = load_material(tiny_config(data={"dataset": str(tmp_path)}))
        assert read.dataset.fingerprint == simulated.dataset.fingerprint

    def test_are_scaled_by_the_training_extremes(self) -> None:
        values = np.concatenate(tiny_material().sequences("train"))
        for columns in (slice(0, 2), slice(2, 4)):
            assert values[..., columns].min() == pytest.approx(-1)
            assert values[..., columns].max() == pytest.approx(1)

    def test_missing_from_the_folder_say_how_to_get_them(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"no dataset in .*training prepare"):
            load_material(tiny_config(data={"dataset": str(tmp_path)}))

    def test_with_an_absent_entity_are_refused_by_name(self) -> None:
        whole = tiny_material()
        values = np.array(whole.dataset.split("train").sequences[0])
        values[3, 1] = np.nan
        dataset = whole.dataset.with_splits({"train": Split((values,), ("walk 7",))})
        with pytest.raises(DataError, match=r"'walk 7'.*absent"):
            Material(dataset, whole.normaliser).sequences("train")


class TestNetwork:
    def test_integrates_velocities_in_normalised_units(self) -> None:
        """x' = x + v in data units must read x' = x + ratio * v + shift in normalised ones."""
        material = tiny_material()
        known = known_from_data(material)
        raw = material.dataset.split("train").sequences[0].astype(np.float64)
        scaled = material.normaliser.apply(raw)
        moved = scaled[:-1, :, :2] + (
            known["velocity_ratio"] * scaled[1:, :, 2:] + known["velocity_shift"]
        )
        np.testing.assert_allclose(moved, scaled[1:, :, :2], atol=1e-5)

    def test_refuses_an_unknown_option_by_name(self) -> None:
        with pytest.raises(ConfigError, match="'hiden' is unknown"):
            tiny_network(tiny_config(model=tiny_model(hiden=3)))

    def test_refuses_an_unknown_family(self) -> None:
        with pytest.raises(ConfigError, match="'drni' is unknown"):
            tiny_network(tiny_config(model={"family": "drni"}))
