"""Coordinate frames: what a network sees of the states, and how its output becomes the next state.

Global frames are the papers': the normalised state itself. Local frames describe each pair in the
receiver's own frame, translated to its position and rotated to its heading, so translating or
rotating the input changes no relation and carries over to the forecast.

Source: the idea of roto-translated local frames is LoCS (Kofinas et al. 2021); written anew.
Deviation: angles enter as unit vectors (no jump at pi); distances d as log(1 + d), so that far
pairs cost no float32 precision; in 3-D only the heading about the vertical axis is used; below
`heading_floor` the frame is translated but not rotated.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from models.graph import Graph, at_receivers, at_senders


@dataclass(frozen=True)
class CoordinateConfig:
    """How states are described; D = 2 * dimensions features: positions, then velocities.

    Attributes:
        dimensions: 2 or 3 coordinates.
        local: describe pairs in the receiver's frame instead of the global one.
        absolute: beside local frames, also give each node its global state (walls, roads, courts).
        vertical: index of the vertical axis of 3-D data; needed by local frames in 3-D.
        pair_length: the distance, in normalised position units, that counts as d = 1.
        heading_floor: normalised speed below which a frame is not rotated.
        integrated: predict velocities only and integrate them to positions (position features are
            exactly the running sum of velocity features); else predict every feature freely.
        velocity_ratio: velocity scale over position scale of the normaliser.
        velocity_shift: velocity offset over position scale of the normaliser.
    """

    dimensions: int = 2
    local: bool = False
    absolute: bool = False
    vertical: int | None = None
    pair_length: float = 1.0
    heading_floor: float = 1e-4
    integrated: bool = False
    velocity_ratio: float = 1.0
    velocity_shift: float = 0.0

    def __post_init__(self) -> None:
        """Refuse impossible combinations.

        Raises:
            ValueError: naming the field, what was found and what is expected.
        """
        if self.dimensions not in (2, 3):
            raise ValueError(f"dimensions: found {self.dimensions}, expected 2 or 3")
        if self.local and self.dimensions == 3 and self.vertical not in (0, 1, 2):
            raise ValueError(
                f"vertical: found {self.vertical}, expected 0, 1 or 2 in 3-D local frames"
            )
        if self.local and self.velocity_shift != 0:
            raise ValueError(
                f"velocity_shift: found {self.velocity_shift}, expected 0 in local frames (it "
                "bends headings); fit the isotropic or robust normaliser"
            )
        if self.pair_length <= 0:
            raise ValueError(f"pair_length: found {self.pair_length}, expected a positive number")

    @property
    def features(self) -> int:
        """D, the width of a state."""
        return 2 * self.dimensions

    @property
    def own_width(self) -> int:
        """Width of what a node sees of itself."""
        if not self.local:
            return self.features
        return self.dimensions + (self.features if self.absolute else 0)

    @property
    def pair_width(self) -> int:
        """Width of what an edge sees beside its two nodes; 0 in global frames."""
        return 2 * self.dimensions + 5 if self.local else 0

    @property
    def output_width(self) -> int:
        """Width of what the decoder's last layer gives."""
        return self.dimensions if self.integrated else self.features


class View(NamedTuple):
    """What the networks see of a state ``[..., P, D]``.

    Attributes:
        own: ``[..., P, own_width]``.
        pairs: ``[..., E, pair_width]`` or None in global frames.
        heading: ``[..., P, 2]`` unit vectors of the local frames or None.
    """

    own: Tensor
    pairs: Tensor | None
    heading: Tensor | None


def describe(states: Tensor, graph: Graph, config: CoordinateConfig) -> View:
    """Describe normalised states ``[..., P, D]`` for the networks."""
    if not config.local:
        return View(states, None, None)
    positions, velocities = torch.split(states, config.dimensions, -1)
    heading = _headings(velocities, config)
    own = into_frame(velocities, heading, config)
    if config.absolute:
        own = torch.cat((own, states), -1)
    return View(own, _pair_features(positions, velocities, heading, graph, config), heading)


def advance(states: Tensor, output: Tensor, view: View, config: CoordinateConfig) -> Tensor:
    """Give the next states ``[..., P, D]`` from the decoder's output ``[..., P, output_width]``.

    Source: NRI Eqs. (12) and (15): the network predicts the change of the state.
    Deviation (option `integrated`): it predicts the change of the velocity only; the position
    follows by summation, exact where velocities are backward differences.
    """
    changes = _out_of_frames(output, view, config)
    if not config.integrated:
        return states + changes
    positions, velocities = torch.split(states, config.dimensions, -1)
    velocities = velocities + changes
    moved = positions + velocities * config.velocity_ratio + config.velocity_shift
    return torch.cat((moved, velocities), -1)


def into_frame(vectors: Tensor, heading: Tensor, config: CoordinateConfig) -> Tensor:
    """Rotate vectors ``[..., dimensions]``: `heading` ``[..., 2]`` becomes the first axis."""
    first, second = _horizontal(config)
    cos, sin = heading.unbind(-1)
    along = cos * vectors[..., first] + sin * vectors[..., second]
    across = cos * vectors[..., second] - sin * vectors[..., first]
    return _assemble(along, across, vectors, config)


def out_of_frame(vectors: Tensor, heading: Tensor, config: CoordinateConfig) -> Tensor:
    """Undo `into_frame`."""
    first, second = _horizontal(config)
    cos, sin = heading.unbind(-1)
    along = cos * vectors[..., first] - sin * vectors[..., second]
    across = sin * vectors[..., first] + cos * vectors[..., second]
    return _assemble(along, across, vectors, config)


def _out_of_frames(output: Tensor, view: View, config: CoordinateConfig) -> Tensor:
    if view.heading is None:
        return output
    parts = torch.split(output, config.dimensions, -1)
    return torch.cat([out_of_frame(part, view.heading, config) for part in parts], -1)


def _headings(velocities: Tensor, config: CoordinateConfig) -> Tensor:
    first, second = _horizontal(config)
    flat = torch.stack((velocities[..., first], velocities[..., second]), -1)
    speed = _length(flat)
    east = torch.cat((torch.ones_like(speed), torch.zeros_like(speed)), -1)
    return torch.where(speed > config.heading_floor, flat / speed.clamp(min=1e-12), east)


def _pair_features(
    positions: Tensor, velocities: Tensor, heading: Tensor, graph: Graph, config: CoordinateConfig
) -> Tensor:
    frame = at_receivers(heading, graph)
    offset = at_senders(positions, graph) - at_receivers(positions, graph)
    offset = into_frame(offset, frame, config) / config.pair_length
    distance = _length(offset)
    compressed = distance.log1p()
    first, second = _horizontal(config)
    flat = torch.stack((offset[..., first], offset[..., second]), -1)
    bearing = flat / (_length(flat) + 1e-6)
    moving = into_frame(at_senders(velocities, graph), frame, config)
    turned = _turn(at_senders(heading, graph), frame)
    return torch.cat((offset * (compressed / distance), compressed, bearing, turned, moving), -1)


def _turn(headings: Tensor, frame: Tensor) -> Tensor:
    cos, sin = frame.unbind(-1)
    along = cos * headings[..., 0] + sin * headings[..., 1]
    across = cos * headings[..., 1] - sin * headings[..., 0]
    return torch.stack((along, across), -1)


def _length(vectors: Tensor) -> Tensor:
    # Summed part by part: ONNX Runtime's ReduceSum keeps a wrong width where there are no edges.
    squares = vectors.square()
    total = squares[..., :1]
    for axis in range(1, vectors.shape[-1]):
        total = total + squares[..., axis : axis + 1]
    return (total + 1e-20).sqrt()


def _horizontal(config: CoordinateConfig) -> tuple[int, int]:
    if config.dimensions == 2:
        return 0, 1
    first, second = (axis for axis in range(3) if axis != config.vertical)
    return first, second


def _assemble(along: Tensor, across: Tensor, like: Tensor, config: CoordinateConfig) -> Tensor:
    first, _ = _horizontal(config)
    parts: list[Tensor] = []
    for axis in range(config.dimensions):
        if config.dimensions == 3 and axis == config.vertical:
            parts.append(like[..., axis])
        else:
            parts.append(along if axis == first else across)
    return torch.stack(parts, -1)
