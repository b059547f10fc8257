"""One experiment, one YAML file: every field that training reads, with its meaning.

A field is a line in ``training/configs/<experiment>.yaml`` and nothing else: there are no hidden
defaults elsewhere. Unknown keys are refused, with the nearest known one named.
"""

import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from training.errors import ConfigError
from training.yaml_text import parse_yaml, to_yaml

BUNDLED = Path(__file__).parent / "configs"

PositiveInt = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0)]
Probability = Annotated[float, Field(gt=0, lt=1)]


class Frozen(BaseModel):
    """Settings that cannot change once read, and know all their names."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class DataConfig(Frozen):
    """Where the recordings come from: a stored dataset, or a simulation made on the spot."""

    dataset: Path | None = None
    """Folder with ``dataset.json``, as ``prepare`` and ``simulate`` write it."""
    simulate: Literal["push"] | None = None
    """Name of the simulator to run instead of reading a folder."""
    seed: int = 1
    """Seed of the simulation; unused with ``dataset``."""
    train_split: str = "train"
    """Split to learn from; the normaliser is always fitted on ``train``."""
    valid_split: str = "valid"
    """Split that chooses the best epoch."""

    @model_validator(mode="after")
    def _exactly_one_source(self) -> Self:
        if (self.dataset is None) == (self.simulate is None):
            raise ValueError("give exactly one of 'dataset' (a folder) and 'simulate' (a name)")
        return self


class ModelConfig(Frozen):
    """Which network to build; the options are checked by the network's own family."""

    model_config = ConfigDict(frozen=True, extra="allow", use_attribute_docstrings=True)

    family: str = "dnri"
    """Name in the registry of networks. Every other key is an option of that family."""

    @property
    def options(self) -> dict[str, Any]:
        """The family's own options as plain values."""
        return dict(self.model_extra or {})


class AnnealConfig(Frozen):
    """A weight that moves geometrically to another value over some epochs, and stays there."""

    to: Positive
    """The weight in the end."""
    first: PositiveInt
    """Last epoch with the weight it starts from, counted from 1."""
    last: PositiveInt
    """First epoch with the weight it ends at."""

    @model_validator(mode="after")
    def _takes_some_epochs(self) -> Self:
        if self.last <= self.first:
            raise ValueError(f"'last' ({self.last}) must be after 'first' ({self.first})")
        return self

    def weight(self, start: float, epoch: int) -> float:
        """Give the weight of an epoch, counted from 0."""
        share = (epoch + 1 - self.first) / (self.last - self.first)
        return start * (self.to / start) ** min(max(share, 0.0), 1.0)


class ObjectiveConfig(Frozen):
    """The loss: Gaussian error of the next frame plus the divergence from the prior."""

    variance: Positive = 5e-5
    """Variance of the Gaussian around each predicted feature, in squared normalised units."""
    kl: Annotated[float, Field(ge=0)] = 1.0
    """Weight of the divergence."""
    kl_anneal: AnnealConfig | None = None
    """How that weight changes; none: it stays. Validation weighs as in the end, always."""
    add_uniform_prior: bool = False
    """Half of the divergence compares the mean edge usage with a fixed prior (see below)."""
    no_edge_prior: Probability | None = None
    """Probability of type 0 in that fixed prior; the rest is shared by the other types."""
    tau: Positive = 0.5
    """Temperature of the relaxed relation samples in training."""
    rollout_steps: PositiveInt = 1
    """Steps that training predicts from its own output before it sees a true frame again. Above 1
    the decoder must be one without memory (``markov``). Validation always shows true frames."""

    def at(self, epoch: int) -> Self:
        """Give the objective of an epoch, counted from 0: with that epoch's weights."""
        if self.kl_anneal is None:
            return self
        return self.model_copy(update={"kl": self.kl_anneal.weight(self.kl, epoch)})

    def in_the_end(self) -> Self:
        """Give the objective of the last epoch, by which epochs are compared."""
        return self if self.kl_anneal is None else self.at(self.kl_anneal.last)

    @model_validator(mode="after")
    def _fixed_prior_needs_its_switch(self) -> Self:
        if self.add_uniform_prior != (self.no_edge_prior is not None):
            raise ValueError(
                "'no_edge_prior' works only with 'add_uniform_prior: true': give both or none"
            )
        return self


class OptimiserConfig(Frozen):
    """Adam, with a rate that falls in steps."""

    learning_rate: Positive = 5e-4
    """Rate of the first epoch."""
    decay_factor: Annotated[float, Field(gt=0, le=1)] = 0.5
    """What the rate is multiplied by at each fall."""
    decay_every: PositiveInt | None = None
    """Epochs between falls; none: the rate stays."""
    clip_norm: Positive | None = None
    """Longest gradient allowed, as one vector over all weights; none: never shortened."""


class WindowConfig(Frozen):
    """How frames are cut from sequences longer than what the network should see."""

    length: Annotated[int, Field(ge=3)]
    """Frames in one window."""
    starts: Literal["fixed", "random"] = "fixed"
    """``fixed``: back to back. ``random``: anywhere in each block of ``length`` frames, anew in
    every epoch."""


class EarlyStopping(Frozen):
    """Stop before the last epoch when validation no longer improves."""

    patience: PositiveInt
    """Epochs without a better validation loss before stopping."""


class TrainConfig(Frozen):
    """One training run, complete: the same file and seed give the same weights."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    """Name of the experiment; artifacts exported from it carry it."""
    data: DataConfig
    normaliser: Literal["published", "isotropic", "robust"] = "published"
    """How values are scaled; fitted on the training split only."""
    model: ModelConfig = Field(default_factory=ModelConfig)
    objective: ObjectiveConfig = Field(default_factory=ObjectiveConfig)
    optimiser: OptimiserConfig = Field(default_factory=OptimiserConfig)
    batch: PositiveInt
    """Windows that go through the network together (and share BatchNorm statistics)."""
    accumulate: PositiveInt = 1
    """Batches whose gradients are averaged into one step of the optimiser."""
    epochs: PositiveInt
    """Passes over the training split."""
    window: WindowConfig | None = None
    """Cutting of windows; none: whole sequences, which must then be equally long."""
    seed: Annotated[int, Field(ge=0)] = 1
    """Start of everything random: weights, order, window starts, relation noise."""
    threads: PositiveInt = 1
    """CPU threads. Equal weights after a resume are promised for equal thread counts only."""
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """float32 matrix products. ``medium`` lets the CPU library use its faster kernels."""
    validate_every: PositiveInt = 1
    """Epochs between validations; the last epoch is always validated."""
    selection: Literal["nll", "loss"] = "nll"
    """Which validation figure chooses the best epoch: ``nll`` (the authors' rule) or the whole
    ``loss``, which does not reward relations that the forecast has no need of."""
    validation_batch: PositiveInt = 16
    """Windows validated together; it changes memory, not the result's distribution."""
    max_hours: Positive | None = None
    """Stop at the last epoch boundary that fits into this time, resumes included."""
    early_stopping: EarlyStopping | None = None
    """Stop on a stalled validation loss; none: run all epochs."""
    checkpoint_every: PositiveInt | None = None
    """Optimiser steps between extra checkpoints inside an epoch; none: at epoch ends only."""

    @property
    def group(self) -> int:
        """Windows that make one optimiser step."""
        return self.batch * self.accumulate

    def learning_rate(self, epoch: int) -> float:
        """Give the rate of an epoch, counted from 0."""
        rule = self.optimiser
        falls = epoch // rule.decay_every if rule.decay_every else 0
        return rule.learning_rate * rule.decay_factor**falls

    def to_yaml(self) -> str:
        """Give the file that reads back as this very experiment."""
        return to_yaml(self.model_dump(mode="json", exclude_none=True))


def load_config(source: str, overrides: Sequence[str] = ()) -> TrainConfig:
    """Read an experiment from a file, or a bundled one by name, and apply ``key=value`` changes."""
    path = find_config(source)
    try:
        tree = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise ConfigError(f"cannot read {path}: {reason}", "a YAML file") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} holds {type(tree).__name__}", "a mapping of fields to values")
    settings = cast("dict[str, Any]", tree)
    for override in overrides:
        apply_override(settings, override)
    return parse_config(settings, origin=str(path))


def find_config(source: str) -> Path:
    """Give the path of an experiment named by file or by the name of a bundled one."""
    path = Path(source)
    if path.is_file():
        return path
    bundled = {entry.stem: entry for entry in sorted(BUNDLED.glob("*.yaml"))}
    if source in bundled:
        return bundled[source]
    near = difflib.get_close_matches(source, bundled, n=1)
    fix = f"did you mean {near[0]!r}?" if near else f"bundled: {', '.join(bundled)}"
    raise ConfigError(f"no experiment {source!r}", "a YAML file or a bundled name", fix)


def apply_override(settings: dict[str, Any], override: str) -> None:
    """Set one dotted key, such as ``optimiser.learning_rate=1e-3``, in a tree of settings."""
    key, separator, text = override.partition("=")
    parts = key.strip().split(".")
    if not separator or not all(parts):
        raise ConfigError(f"--set {override!r}", "key=value, with dots between nested keys")
    here = settings
    for part in parts[:-1]:
        if here.get(part) is None:
            here[part] = {}
        if not isinstance(here[part], dict):
            raise ConfigError(f"--set {key}: {part!r} is a single value", "a group of fields")
        here = here[part]
    here[parts[-1]] = parse_yaml(text)


def parse_config(settings: Mapping[str, Any], origin: str) -> TrainConfig:
    """Check a tree of settings; ``origin`` is named when something is wrong."""
    try:
        return TrainConfig.model_validate(settings)
    except ValidationError as error:
        lines = [_explain(cast("Mapping[str, Any]", item)) for item in error.errors()]
        raise ConfigError(f"{origin}: {' | '.join(lines)}") from error


def _explain(item: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in item["loc"])
    if item["type"] == "extra_forbidden":
        return _unknown_key(item["loc"])
    if item["type"] == "missing":
        return f"{where!r} is missing"
    message = str(item["msg"]).removeprefix("Value error, ")
    found = "" if isinstance(item["input"], dict) else f" (found {item['input']!r})"
    return f"{where or 'experiment'}: {message}{found}"


def _unknown_key(location: Sequence[str | int]) -> str:
    owner: type[BaseModel] = TrainConfig
    for part in location[:-1]:
        owner = _nested(owner, str(part))
    known = list(owner.model_fields)
    near = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
    return f"unknown key {'.'.join(map(str, location))!r}; {hint}"


def _nested(owner: type[BaseModel], name: str) -> type[BaseModel]:
    annotation: Any = owner.model_fields[name].annotation
    options = (annotation, *getattr(annotation, "__args__", ()))
    return next(one for one in options if isinstance(one, type) and issubclass(one, BaseModel))
