from service.jobs.experiments import BUNDLED
from training.config import load_config


def test_every_bundled_experiment_has_a_configuration_that_training_accepts() -> None:
    for name, experiment in BUNDLED.items():
        assert load_config(str(experiment.config_path()), ()).name == name
