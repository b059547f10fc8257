import dataclasses
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from service.demo import recordings
from service.demo.picture import HEIGHT, WIDTH, draw
from service.demo.recordings import Exhibit
from service.demo.svg import Box, Canvas, Scale
from tests.service.demo.exhibits import perfect_forecast, true_relations

SVG = "{http://www.w3.org/2000/svg}"


def picture(exhibit: Exhibit) -> ET.Element:
    return ET.fromstring(draw(exhibit, true_relations(exhibit), perfect_forecast(exhibit)))


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def walker() -> Exhibit:
    """Three joints that move in space, as a body does."""
    flat = recordings.push()
    values = np.concatenate([flat.values, flat.values[..., :1]], axis=-1)
    features = ["x", "y", "z"]
    trajectory = flat.trajectory | {"features": features, "values": values.tolist()}
    return dataclasses.replace(flat, trajectory=trajectory, values=values, bones=((0, 1), (1, 2)))


@pytest.mark.parametrize("exhibit", [recordings.push(), walker()], ids=["paths", "figures"])
def test_is_a_well_formed_page_of_finite_numbers(exhibit: Exhibit) -> None:
    root = picture(exhibit)
    assert root.get("viewBox") == f"0 0 {WIDTH:g} {HEIGHT:g}"
    for element in root.iter():
        assert not any("nan" in value or "inf" in value for value in element.attrib.values())


def test_names_every_entity_every_relation_and_the_rival() -> None:
    shown = texts(picture(recordings.push()))
    assert {"p1", "p2", "p3", "p1 → p3", "p2 → p3"} <= set(shown)
    assert any("constant velocity" in text for text in shown)
    assert any("91 %" in text for text in shown)


def test_marks_in_black_when_a_relation_really_held() -> None:
    exhibit = recordings.push()
    assert exhibit.truth is not None
    marks = [r for r in picture(exhibit).iter(f"{SVG}rect") if r.get("height") == "3.0"]
    assert len(marks) == int(exhibit.truth.types.sum())


def test_names_cannot_break_out_of_the_page() -> None:
    canvas = Canvas(10, 10)
    canvas.text(0, 0, "<script>alert('x')</script> & co")
    assert "<script>" not in canvas.to_text()
    assert texts(ET.fromstring(canvas.to_text())) == ["<script>alert('x')</script> & co"]


def test_an_equal_scale_shows_everything_undistorted() -> None:
    box = Box(10, 20, 300, 100)
    corners = np.array([[0.0, 0.0], [1.0, 4.0]])
    pixels = Scale.equal(box, corners).points(corners)
    assert (pixels >= [box.left, box.top]).all()
    assert (pixels <= [box.right, box.bottom]).all()
    across, down = np.abs(pixels[1] - pixels[0])
    assert down / across == pytest.approx(4.0)
    assert pixels[1, 1] < pixels[0, 1], "up is up"


def test_a_line_is_interrupted_where_an_entity_is_absent() -> None:
    canvas = Canvas(10, 10)
    points = np.array([[0, 0], [1, 1], [np.nan, np.nan], [3, 3], [4, 4]], np.float64)
    canvas.line(points, "#000000")
    lines = list(ET.fromstring(canvas.to_text()).iter(f"{SVG}polyline"))
    assert [line.get("points") for line in lines] == ["0.0,0.0 1.0,1.0", "3.0,3.0 4.0,4.0"]
