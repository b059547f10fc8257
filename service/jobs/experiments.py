"""The experiments that a retrain job can name, and whether this installation can train at all."""

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from service.errors import Conflict, InvalidRequest
from service.schemas.jobs import RetrainRequest

INSTALL_TRAINING = "make up TRAIN=1"


@dataclass(frozen=True)
class Experiment:
    """One bundled experiment: its configuration, and the command that makes its dataset."""

    name: str
    config: str
    simulator: str

    def config_path(self) -> Path:
        """Give the configuration file, which comes with the training package."""
        found = find_spec("training")
        if found is None or not found.submodule_search_locations:
            raise training_not_installed()
        return Path(found.submodule_search_locations[0]) / "configs" / self.config


BUNDLED = {"push3": Experiment("push3", config="push3.yaml", simulator="push")}


def requested(request: RetrainRequest) -> Experiment:
    """Give the experiment that a retrain job asks for.

    Raises:
        InvalidRequest: if there is no such experiment or dataset.
    """
    known = ", ".join(sorted(BUNDLED))
    if request.dataset is not None:
        raise InvalidRequest(
            "no dataset of that name is stored",
            code="unknown-dataset",
            pointer="/dataset",
            fix=f"Name a bundled experiment instead: {known}.",
        )
    if request.experiment not in BUNDLED:
        raise InvalidRequest(
            "there is no bundled experiment of that name",
            code="unknown-experiment",
            pointer="/experiment",
            fix=f"Name one of: {known}.",
        )
    return BUNDLED[request.experiment]


def training_is_installed() -> bool:
    """Say whether ``python -m training`` can run here: the code and torch are both needed."""
    return find_spec("training") is not None and find_spec("torch") is not None


def training_not_installed() -> Conflict:
    """Give the refusal of an installation that only serves."""
    return Conflict(
        "this installation serves models but cannot train: no worker has the training packages",
        code="training-not-installed",
        fix=f"Stop it, then start it with: {INSTALL_TRAINING}",
    )
