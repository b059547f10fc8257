"""A small SVG canvas: shapes in, text out; every number rounded, every text escaped."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from xml.sax.saxutils import escape, quoteattr

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FONT = "Inter, 'Helvetica Neue', Arial, sans-serif"
INK, SOFT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ("#2463eb", "#e0527d", "#0d9488", "#d97706", "#7c3aed", "#64748b")


@dataclass(frozen=True)
class Box:
    """A rectangle on the page, in pixels."""

    left: float
    top: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Give the right edge."""
        return self.left + self.width

    @property
    def bottom(self) -> float:
        """Give the lower edge."""
        return self.top + self.height


@dataclass(frozen=True)
class Scale:
    """Maps data to pixels; ``x`` and ``y`` are (least, most) of the data. Up is up."""

    box: Box
    x: tuple[float, float]
    y: tuple[float, float]

    def points(self, xy: Floats) -> Floats:
        """Give pixels ``[n, 2]`` of data ``[n, 2]``."""
        low = np.array([self.x[0], self.y[0]])
        span = np.maximum(np.array([self.x[1], self.y[1]]) - low, 1e-12)
        unit = (xy - low) / span
        across = self.box.left + unit[:, 0] * self.box.width
        down = self.box.bottom - unit[:, 1] * self.box.height
        return np.stack([across, down], axis=1)

    @classmethod
    def equal(cls, box: Box, xy: Floats) -> "Scale":
        """Give a scale that shows all of ``[n, 2]`` with the same unit both ways, centred."""
        low, high = np.nanmin(xy, axis=0), np.nanmax(xy, axis=0)
        middle, span = (low + high) / 2, np.maximum(high - low, 1e-9) * 1.08
        unit = max(span[0] / box.width, span[1] / box.height)
        half = unit * np.array([box.width, box.height]) / 2
        return cls(
            box,
            (float(middle[0] - half[0]), float(middle[0] + half[0])),
            (float(middle[1] - half[1]), float(middle[1] + half[1])),
        )


@dataclass
class Canvas:
    """Collects shapes."""

    width: float
    height: float
    _parts: list[str] = field(default_factory=list[str])

    @contextmanager
    def clipped(self, box: Box) -> Generator[None]:
        """Show what is drawn meanwhile only inside a box."""
        name = f"clip{len(self._parts)}"
        self._parts.append(
            f'<clipPath id="{name}"><rect x="{box.left:g}" y="{box.top:g}" '
            f'width="{box.width:g}" height="{box.height:g}"/></clipPath>'
            f'<g clip-path="url(#{name})">'
        )
        yield
        self._parts.append("</g>")

    def line(self, points: Floats, colour: str, width: float = 1.5, dash: str = "") -> None:
        """Draw a line through pixels ``[n, 2]``; points that are absent interrupt it."""
        for run in _runs(points):
            extra = f' stroke-dasharray="{dash}"' if dash else ""
            self._parts.append(
                f'<polyline points="{_pairs(run)}" fill="none" stroke="{colour}" '
                f'stroke-width="{width:g}" stroke-linecap="round" stroke-linejoin="round"{extra}/>'
            )

    def area(self, points: Floats, colour: str, opacity: float) -> None:
        """Fill a polygon."""
        self._parts.append(
            f'<polygon points="{_pairs(points)}" fill="{colour}" fill-opacity="{opacity:g}"/>'
        )

    def ellipse(self, centre: Floats, radii: Floats, colour: str, opacity: float) -> None:
        """Fill an ellipse."""
        (x, y), (rx, ry) = centre, radii
        self._parts.append(
            f'<ellipse cx="{x:.1f}" cy="{y:.1f}" rx="{rx:.1f}" ry="{ry:.1f}" '
            f'fill="{colour}" fill-opacity="{opacity:g}"/>'
        )

    def dot(self, centre: Floats, radius: float, colour: str) -> None:
        """Draw a dot with a white rim."""
        x, y = centre
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}" fill="{colour}" '
            'stroke="#ffffff" stroke-width="1.2"/>'
        )

    def rectangle(self, box: Box, colour: str, opacity: float = 1.0) -> None:
        """Fill a rectangle."""
        self._parts.append(
            f'<rect x="{box.left:.1f}" y="{box.top:.1f}" width="{box.width:.1f}" '
            f'height="{box.height:.1f}" fill="{colour}" fill-opacity="{opacity:.3f}"/>'
        )

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float = 12,
        colour: str = INK,
        *,
        anchor: str = "start",
        bold: bool = False,
    ) -> None:
        """Write one line."""
        weight = ' font-weight="600"' if bold else ""
        self._parts.append(
            f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" fill="{colour}" '
            f"text-anchor={quoteattr(anchor)}{weight}>{escape(text)}</text>"
        )

    def to_text(self) -> str:
        """Give the document."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {self.height:g}" '
            f'width="{self.width:g}" height="{self.height:g}" font-family={quoteattr(FONT)}>'
        )
        page = f'<rect width="{self.width:g}" height="{self.height:g}" fill="#ffffff"/>'
        return "\n".join([head, page, *self._parts, "</svg>"]) + "\n"


def _pairs(points: Floats) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _runs(points: Floats) -> Sequence[Floats]:
    """Give the stretches without an absent point."""
    here = np.isfinite(points).all(axis=1)
    edges = np.flatnonzero(np.diff(here)) + 1
    parts = zip(np.split(points, edges), np.split(here, edges), strict=True)
    return [part for part, is_here in parts if len(part) > 1 and is_here[0]]
