"""The errors a training job ends with: what was found, what was expected, how to fix it.

TrainingError
├── ConfigError       the experiment file or a ``--set`` cannot be used
├── DataError         the dataset cannot be trained on
├── RunError          the run folder is in the way, or holds no run
├── CheckpointError   a checkpoint cannot be read, or belongs to another network
├── ExportError       an artifact would not say what the network says
└── Diverged          a loss or weight left the finite range
"""


class TrainingError(Exception):
    """A job cannot start or go on; its text is one line for a person."""

    def __init__(self, found: str, expected: str = "", fix: str = "") -> None:
        self.found = found
        self.expected = expected
        self.fix = fix
        parts = [found, f"expected {expected}" if expected else "", f"fix: {fix}" if fix else ""]
        super().__init__("; ".join(part for part in parts if part))


class ConfigError(TrainingError):
    """The experiment file or a ``--set`` cannot be used."""


class DataError(TrainingError):
    """The dataset cannot be trained on."""


class RunError(TrainingError):
    """The run folder is in the way, or holds no run."""


class CheckpointError(TrainingError):
    """A checkpoint cannot be read, or belongs to another network."""


class ExportError(TrainingError):
    """An artifact would not say what the network says."""


class Diverged(TrainingError):
    """A loss or a weight left the finite range."""
