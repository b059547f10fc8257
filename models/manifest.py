"""The artifact manifest: the one contract between training and service. Standard library only.

An artifact is a directory ``<name>/<version>/`` that holds the files named here. The manifest says
everything a server must know to feed the graphs and to explain their answers; a server never needs
the training code, and never re-implements a number that training decided.
"""

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

FORMAT = 1
MANIFEST_FILE = "manifest.json"
WEIGHTS_FILE = "weights.safetensors"
NAME_PATTERN = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")

FeatureKind = Literal["position", "velocity", "other"]
VelocityRule = Literal["backward-difference", "given", "none"]
VELOCITY_RULES: tuple[VelocityRule, ...] = get_args(VelocityRule)
CoordinateFrames = Literal["global", "local"]


class ManifestError(ValueError):
    """A manifest that does not follow the contract; the text says found, expected and the field."""


@dataclass(frozen=True)
class Feature:
    """One input feature, in the order the graphs expect.

    ``normalised = (value - offset) / scale``; ``minimum`` and ``maximum`` are the trained range in
    ``unit``. A velocity's unit is the position's unit per frame.
    """

    name: str
    kind: FeatureKind
    unit: str
    offset: float
    scale: float
    minimum: float
    maximum: float


@dataclass(frozen=True)
class Tensor:
    """Name, element type and shape of a graph input or output; a string is a dynamic dimension."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]


@dataclass(frozen=True)
class GraphFile:
    """One ONNX graph of the artifact."""

    file: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class FileDigest:
    """What a file must hash to before it is opened."""

    sha256: str
    bytes: int


@dataclass(frozen=True)
class Trained:
    """The range the model saw in training; beyond it an answer carries a warning."""

    window: int
    horizon: int
    min_entities: int
    max_entities: int
    burn_in: int


@dataclass(frozen=True)
class Bands:
    """Predictive bands: residual variance per horizon and feature, and what was measured on test.

    ``residual_variance[h][d]`` is the squared error of the mean over paths less the variance
    between paths (never below 0) at step ``h + 1`` of validation rollouts, in squared feature
    units. ``coverage`` maps a nominal level such as ``"0.9"`` to the share of test values inside
    the band.
    """

    method: str
    residual_variance: tuple[tuple[float, ...], ...]
    coverage: Mapping[str, float]


@dataclass(frozen=True)
class Provenance:
    """Where the weights come from."""

    experiment: str
    seed: int
    data_fingerprint: str
    code_version: str
    created: str


@dataclass(frozen=True)
class Manifest:
    """All that is known about one version of one model."""

    name: str
    version: int
    family: str
    static: bool
    relation_types: tuple[str, ...]
    none_type: int | None
    features: tuple[Feature, ...]
    velocity: VelocityRule
    frame_rate: float
    coordinate_frames: CoordinateFrames
    absolute_features: bool
    trained: Trained
    bands: Bands
    network: Mapping[str, Any]
    provenance: Provenance
    opset: int
    graphs: Mapping[str, GraphFile]
    files: Mapping[str, FileDigest]
    metrics: Mapping[str, Any] = field(default_factory=dict[str, Any])
    format: int = FORMAT

    def __post_init__(self) -> None:
        """Refuse what no reader could use.

        Raises:
            ManifestError: naming the field, what was found and what is expected.
        """
        _check_name(self.name)
        _require(self.format == FORMAT, "format", self.format, FORMAT)
        _require(self.version >= 1, "version", self.version, "an integer of 1 or more")
        _require(len(self.relation_types) >= 1, "relation_types", 0, "at least one type")
        none_ok = self.none_type is None or 0 <= self.none_type < len(self.relation_types)
        _require(none_ok, "none_type", self.none_type, "an index of relation_types or null")
        _require(self.velocity in VELOCITY_RULES, "velocity", self.velocity, VELOCITY_RULES)
        _require(self.frame_rate > 0, "frame_rate", self.frame_rate, "a positive number")
        for feature in self.features:
            _require(feature.scale > 0, f"features.{feature.name}.scale", feature.scale, "above 0")

    @property
    def edge_types(self) -> int:
        """K, the number of relation types."""
        return len(self.relation_types)

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of all features, in graph order."""
        return tuple(feature.name for feature in self.features)

    @property
    def position_names(self) -> tuple[str, ...]:
        """Names of the position features only."""
        return tuple(feature.name for feature in self.features if feature.kind == "position")

    @property
    def derives_velocities(self) -> bool:
        """Whether positions alone are enough: velocities are backward differences by training."""
        return self.velocity == "backward-difference"

    def to_json(self) -> str:
        """Give the manifest as indented JSON with a final newline."""
        return json.dumps(dataclasses.asdict(self), indent=2, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> "Manifest":
        """Read a manifest.

        Raises:
            ManifestError: if the text is no JSON object, a field is missing, unknown or impossible.
        """
        try:
            raw = json.loads(text)
        except ValueError as error:
            raise ManifestError(f"manifest is not JSON: {error}") from error
        if not isinstance(raw, dict):
            raise ManifestError(f"manifest: found {type(raw).__name__}, expected an object")
        return _build_manifest(cast("dict[str, Any]", raw))


def _build_manifest(raw: dict[str, Any]) -> Manifest:
    try:
        fields: dict[str, Any] = _known(Manifest, raw) | {
            "relation_types": tuple(raw["relation_types"]),
            "features": tuple(Feature(**_known(Feature, one)) for one in raw["features"]),
            "trained": Trained(**_known(Trained, raw["trained"])),
            "bands": _bands(raw["bands"]),
            "provenance": Provenance(**_known(Provenance, raw["provenance"])),
            "graphs": {key: _graph_file(value) for key, value in raw["graphs"].items()},
            "files": {key: _digest(value) for key, value in raw["files"].items()},
        }
        return Manifest(**fields)
    except KeyError as error:
        raise ManifestError(f"manifest: field {error} is missing") from error
    except (TypeError, AttributeError) as error:
        raise ManifestError(f"manifest: {error}") from error


def _bands(raw: dict[str, Any]) -> Bands:
    known = _known(Bands, raw)
    known["residual_variance"] = tuple(tuple(map(float, row)) for row in raw["residual_variance"])
    return Bands(**known)


def _graph_file(raw: dict[str, Any]) -> GraphFile:
    return GraphFile(
        file=raw["file"],
        inputs=tuple(_tensor(item) for item in raw["inputs"]),
        outputs=tuple(_tensor(item) for item in raw["outputs"]),
    )


def _digest(raw: dict[str, Any]) -> FileDigest:
    return FileDigest(**_known(FileDigest, raw))


def _tensor(raw: dict[str, Any]) -> Tensor:
    return Tensor(name=raw["name"], dtype=raw["dtype"], shape=tuple(raw["shape"]))


def _known(kind: type[Any], raw: dict[str, Any]) -> dict[str, Any]:
    names = {item.name for item in dataclasses.fields(kind)}
    unknown = sorted(set(raw) - names)
    if unknown:
        raise ManifestError(f"manifest: unknown field {unknown[0]!r} in {kind.__name__}")
    return dict(raw)


def _check_name(name: str) -> None:
    if not NAME_PATTERN.fullmatch(name):
        raise ManifestError(f"name: found {name!r}, expected {NAME_PATTERN.pattern}")


def _require(claim: bool, where: str, found: object, expected: object) -> None:
    if not claim:
        raise ManifestError(f"{where}: found {found!r}, expected {expected}")
