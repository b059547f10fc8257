"""Sizes and options of a dNRI network, checked where they are read."""

import dataclasses
from dataclasses import dataclass
from typing import Literal, get_args

from models.coordinates import CoordinateConfig
from models.decoders import DecoderKind

Activation = Literal["elu", "relu"]
Frames = Literal["global", "local"]
Kinematics = Literal["free", "integrated"]


@dataclass(frozen=True)
class DnriConfig:
    """Sizes and options of one dNRI network; the defaults are the published sizes.

    Attributes:
        features: D, positions then velocities.
        edge_types: K.
        hidden: width H of the encoder blocks and of the decoder.
        lstm_hidden: width of each LSTM.
        head_hidden: width of the prior and posterior heads.
        head_activation: between the layers of the heads.
        decoder: `markov` (the papers' synthetic experiment) or `recurrent` (all others).
        skip_first: type 0 sends no message, so it means "none".
        frames: `global` (published) or `local`.
        kinematics: `free` (published) or `integrated`.
        absolute: with local frames, also give each node its global state.
        vertical: index of the vertical axis; needed by local frames in 3-D.
        pair_length: the distance, in normalised units, that counts as 1 in pair features.
        heading_floor: normalised speed below which a local frame is not rotated.
        velocity_ratio: the normaliser's velocity scale over its position scale.
        velocity_shift: the normaliser's velocity offset over its position scale.
        dropout: inside blocks and decoder, in training only.
        norm_eps: what BatchNorm adds to variances. A feature that hardly varies (a speed, in local
            frames) is blown up by up to ``norm_eps ** -0.5``, and float32 rounding with it.
    """

    features: int
    edge_types: int = 2
    hidden: int = 256
    lstm_hidden: int = 64
    head_hidden: int = 128
    head_activation: Activation = "elu"
    decoder: DecoderKind = "recurrent"
    skip_first: bool = True
    frames: Frames = "global"
    kinematics: Kinematics = "free"
    absolute: bool = False
    vertical: int | None = None
    pair_length: float = 1.0
    heading_floor: float = 1e-4
    velocity_ratio: float = 1.0
    velocity_shift: float = 0.0
    dropout: float = 0.0
    norm_eps: float = 1e-5

    def __post_init__(self) -> None:
        """Refuse options that no network could follow.

        Raises:
            ValueError: naming the option, what was found and what is expected.
        """
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"{name}: found {getattr(self, name)!r}, expected one of {list(choices)}"
                )
        for name in ("edge_types", "hidden", "lstm_hidden", "head_hidden"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: found {getattr(self, name)}, expected 1 or more")
        if self.features not in (4, 6):
            raise ValueError(
                f"features: found {self.features}, expected 4 or 6 (2 or 3 positions, as many "
                "velocities)"
            )

    @property
    def coordinates(self) -> CoordinateConfig:
        """How states are described to the networks.

        Raises:
            ValueError: if the options of the coordinate frames do not fit together.
        """
        return CoordinateConfig(
            dimensions=self.features // 2,
            local=self.frames == "local",
            absolute=self.absolute,
            vertical=self.vertical,
            pair_length=self.pair_length,
            heading_floor=self.heading_floor,
            integrated=self.kinematics == "integrated",
            velocity_ratio=self.velocity_ratio,
            velocity_shift=self.velocity_shift,
        )


def config_from(options: dict[str, object]) -> DnriConfig:
    """Give a config from plain values.

    Raises:
        ValueError: naming an unknown option and those that exist, or an impossible value.
    """
    known = {item.name for item in dataclasses.fields(DnriConfig)}
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"model option {unknown[0]!r} is unknown; expected one of {sorted(known)}")
    return DnriConfig(**options)  # pyright: ignore[reportArgumentType]


CHOICES: dict[str, tuple[str, ...]] = {
    "head_activation": get_args(Activation),
    "decoder": get_args(DecoderKind),
    "frames": get_args(Frames),
    "kinematics": get_args(Kinematics),
}
