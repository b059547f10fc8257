from pathlib import Path

import pytest

from training.config import BUNDLED, AnnealConfig, ObjectiveConfig, load_config, parse_config
from training.errors import ConfigError
from training.yaml_text import parse_yaml

MINIMAL = {"name": "tiny", "data": {"simulate": "push"}, "batch": 4, "epochs": 2}


def written(folder: Path, text: str) -> str:
    path = folder / "experiment.yaml"
    path.write_text(text)
    return str(path)


class TestBundledExperiments:
    @pytest.mark.parametrize("path", sorted(BUNDLED.glob("*.yaml")), ids=lambda path: path.stem)
    def test_read_and_are_named_after_their_file(self, path: Path) -> None:
        assert load_config(path.stem).name == path.stem

    def test_push3_published_is_the_authors_recipe(self) -> None:
        config = load_config("push3-published")
        objective, optimiser = config.objective, config.optimiser
        assert (objective.variance, objective.tau, objective.kl) == (5e-5, 0.5, 1.0)
        assert (objective.add_uniform_prior, objective.no_edge_prior) == (True, 0.9)
        assert (optimiser.learning_rate, optimiser.clip_norm) == (5e-4, None)
        assert (config.batch, config.accumulate, config.epochs) == (16, 1, 200)
        assert config.model.options["decoder"] == "markov"
        assert config.window is None

    def test_walk35_published_is_the_authors_recipe(self) -> None:
        config = load_config("walk35-published")
        assert (config.batch, config.accumulate, config.epochs) == (4, 2, 600)
        assert [config.learning_rate(epoch) for epoch in (0, 299, 300)] == [5e-4, 5e-4, 2.5e-4]
        assert not config.objective.add_uniform_prior


class TestLoading:
    def test_gives_back_the_experiment_it_wrote(self) -> None:
        config = load_config("walk35")
        assert parse_config(parse_yaml(config.to_yaml()), "copy") == config

    def test_applies_changes_at_any_depth(self) -> None:
        changes = ["optimiser.learning_rate=1e-3", "model.hidden=8", "window.length=20", "seed=7"]
        config = load_config("push3", changes)
        assert config.optimiser.learning_rate == 1e-3
        assert config.model.options["hidden"] == 8
        assert config.window is not None
        assert config.window.length == 20
        assert config.seed == 7

    def test_reads_exponents_without_a_point_as_numbers(self) -> None:
        assert parse_yaml("[5e-5, -1E3, 2.5e+2]") == [5e-5, -1e3, 2.5e2]

    def test_leaves_text_that_only_looks_like_a_number(self) -> None:
        assert parse_yaml("[e5, 5e, 1e-3x]") == ["e5", "5e", "1e-3x"]


class TestWrongExperiments:
    def test_an_unknown_key_is_named_with_the_nearest_known_one(self) -> None:
        with pytest.raises(ConfigError, match=r"'optimiser\.learing_rate'.*'learning_rate'"):
            load_config("push3", ["optimiser.learing_rate=1"])

    def test_an_unknown_key_at_the_top_is_named(self) -> None:
        with pytest.raises(ConfigError, match="'optimizer'; did you mean 'optimiser'"):
            load_config("push3", ["optimizer.learning_rate=1"])

    def test_an_unknown_key_in_an_optional_group_is_named(self) -> None:
        with pytest.raises(ConfigError, match=r"'window\.lenght'; did you mean 'length'"):
            load_config("walk35", ["window.lenght=1"])

    def test_a_wrong_value_is_shown(self) -> None:
        with pytest.raises(ConfigError, match=r"batch: .*greater than or equal to 1 \(found 0\)"):
            load_config("push3", ["batch=0"])

    def test_a_missing_field_is_named(self) -> None:
        with pytest.raises(ConfigError, match="'epochs' is missing"):
            parse_config({key: MINIMAL[key] for key in MINIMAL if key != "epochs"}, "here")

    def test_data_must_have_exactly_one_source(self) -> None:
        for data in ({}, {"simulate": "push", "dataset": "folder"}):
            with pytest.raises(ConfigError, match="exactly one of 'dataset'"):
                parse_config({**MINIMAL, "data": data}, "here")

    def test_a_fixed_prior_needs_its_switch(self) -> None:
        with pytest.raises(ConfigError, match="no_edge_prior"):
            parse_config({**MINIMAL, "objective": {"no_edge_prior": 0.9}}, "here")

    def test_a_bundled_name_with_a_typo_gets_a_suggestion(self) -> None:
        with pytest.raises(ConfigError, match="did you mean 'push3'"):
            load_config("psuh3")

    @pytest.mark.parametrize("change", ["batch", "=3", "a..b=1", "name.x=1"])
    def test_a_malformed_change_is_quoted(self, change: str) -> None:
        with pytest.raises(ConfigError, match="--set"):
            load_config("push3", [change])

    def test_a_key_given_twice_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="'batch' is given twice"):
            load_config(written(tmp_path, "batch: 1\nbatch: 2\n"))

    @pytest.mark.parametrize("text", ["- 1\n", "a: [", "", "just words"])
    def test_a_file_that_is_no_mapping_is_refused(self, tmp_path: Path, text: str) -> None:
        with pytest.raises(ConfigError, match=r"experiment\.yaml"):
            load_config(written(tmp_path, text))

    def test_a_config_cannot_be_changed_once_read(self) -> None:
        with pytest.raises(ValueError, match="frozen"):
            load_config("push3").epochs = 3  # type: ignore[misc]


class TestAnnealing:
    def test_weight_moves_geometrically_between_its_epochs(self) -> None:
        anneal = AnnealConfig(to=1.0, first=10, last=12)
        objective = ObjectiveConfig(kl=4.0, kl_anneal=anneal)
        weights = [objective.at(epoch).kl for epoch in (0, 9, 10, 11, 50)]
        assert weights == pytest.approx([4.0, 4.0, 2.0, 1.0, 1.0])

    def test_epochs_are_compared_by_the_last_weight(self) -> None:
        objective = ObjectiveConfig(kl=4.0, kl_anneal=AnnealConfig(to=0.5, first=1, last=2))
        assert objective.in_the_end().kl == pytest.approx(0.5)

    def test_a_weight_without_annealing_stays(self) -> None:
        assert ObjectiveConfig(kl=2.0).at(99).kl == 2.0

    def test_annealing_backwards_is_refused(self) -> None:
        with pytest.raises(ValueError, match="must be after"):
            AnnealConfig(to=0.5, first=5, last=5)
