"""The picture of the demo: paths with bands, relations over time, one coordinate up close."""

from typing import Any

import numpy as np

from service.demo.recordings import Exhibit, Floats
from service.demo.svg import COLOURS, GRID, INK, SOFT, Box, Canvas, Scale
from service.demo.tables import strengths

WIDTH, HEIGHT = 1180.0, 640.0
MOST_ROWS = 12
BAND = ("0.05", "0.95")


def draw(exhibit: Exhibit, relations: dict[str, Any], forecast: dict[str, Any]) -> str:
    """Give the picture as SVG text."""
    canvas = Canvas(WIDTH, HEIGHT)
    canvas.text(40, 40, exhibit.title, 20, bold=True)
    model = forecast["model"]
    coverage = forecast["bands"]["coverage"].get("0.9")
    measured = f", measured on test data {100 * coverage:.0f} %" if coverage else ""
    subtitle = (
        f"{model['name']} version {model['version']}: {exhibit.given} frames given, "
        f"{len(forecast['mean'])} foretold; bands claim 90 %{measured}"
    )
    canvas.text(40, 62, subtitle, 13, SOFT)
    space = Box(40, 104, 560, 470)
    if exhibit.bones:
        _figures(canvas, space, exhibit, forecast)
    else:
        _paths(canvas, space, exhibit, forecast)
    _timeline(canvas, Box(730, 104, 410, 200), relations, exhibit)
    _coordinate(canvas, Box(730, 366, 410, 208), exhibit, forecast)
    _legend(canvas)
    return canvas.to_text()


def _legend(canvas: Canvas) -> None:
    y = HEIGHT - 22
    marks = ((40, 4, "", "given"), (140, 2, "", "foretold"), (260, 1.6, "5 4", "what happened"))
    for x, width, dash, label in marks:
        canvas.line(np.array([[x, y], [x + 30, y]], np.float64), SOFT, width, dash)
        canvas.text(x + 38, y + 4, label, 12, INK)


def _heading(canvas: Canvas, box: Box, text: str) -> None:
    canvas.text(box.left, box.top - 12, text, 14, bold=True)


def _paths(canvas: Canvas, box: Box, exhibit: Exhibit, forecast: dict[str, Any]) -> None:
    """Draw what each entity did, what was foretold of it, and the band around that."""
    _heading(canvas, box, "Where they go")
    low, mean, high = (_quantile(forecast, level) for level in (BAND[0], "mean", BAND[1]))
    together = np.concatenate([exhibit.values[..., :2].reshape(-1, 2), mean.reshape(-1, 2)])
    scale = Scale.equal(box, together)
    per_unit = box.width / (scale.x[1] - scale.x[0])
    names = exhibit.trajectory["entities"]
    with canvas.clipped(box):
        for row in range(len(names)):
            radii = np.maximum((high[:, row] - low[:, row]) / 2 * per_unit, 1.0)
            for centre, radius in zip(scale.points(mean[:, row]), radii, strict=True):
                canvas.ellipse(centre, radius, COLOURS[row % len(COLOURS)], 0.025)
    for row, name in enumerate(names):
        _path(canvas, scale, exhibit, mean, row)
        end = scale.points(mean[-1:, row])[0]
        canvas.text(end[0] + 8, end[1] - 6, name, 13, COLOURS[row % len(COLOURS)], bold=True)


def _path(canvas: Canvas, scale: Scale, exhibit: Exhibit, mean: Floats, row: int) -> None:
    colour = COLOURS[row % len(COLOURS)]
    seen = exhibit.values[: exhibit.given, row, :2]
    later = exhibit.values[exhibit.given - 1 :, row, :2]
    canvas.line(scale.points(later), INK, 1.6, "5 4")
    canvas.line(scale.points(np.concatenate([seen[-1:], mean[:, row]])), colour, 2.2)
    canvas.line(scale.points(seen), colour, 5)
    canvas.dot(scale.points(seen[-1:])[0], 5, colour)


def _figures(canvas: Canvas, box: Box, exhibit: Exhibit, forecast: dict[str, Any]) -> None:
    """Draw the body at a few moments: as it really was, and as it was foretold."""
    mean = _quantile(forecast, "mean", 3)
    steps = sorted({0, len(mean) // 3, 2 * len(mean) // 3, len(mean) - 1})
    _heading(canvas, box, f"The body after {', '.join(str(step + 1) for step in steps)} steps")
    moments = [(exhibit.values[exhibit.given + step], mean[step]) for step in steps]
    upright = [np.stack([_side_view(real), _side_view(told)]) for real, told in moments]
    spread = float(max(np.ptp(both[..., 0]) for both in upright)) * 1.1
    shifted = [
        both - both[0].mean(axis=0) * np.array([1, 0]) + np.array([place * spread, 0])
        for place, both in enumerate(upright)
    ]
    scale = Scale.equal(box, np.concatenate([both.reshape(-1, 2) for both in shifted]))
    for place, both in enumerate(shifted):
        for points, colour, width, dash in (
            (both[0], SOFT, 1.6, "5 4"),
            (both[1], COLOURS[place % len(COLOURS)], 2.6, ""),
        ):
            pixels = scale.points(points)
            for parent, joint in exhibit.bones:
                canvas.line(pixels[[parent, joint]], colour, width, dash)


def _side_view(points: Floats) -> Floats:
    """Give ``[N, 2]``: the horizontal axis of a walk (z) and the vertical one (y)."""
    return points[:, [2, 1]]


def _timeline(canvas: Canvas, box: Box, relations: dict[str, Any], exhibit: Exhibit) -> None:
    """Draw the probability of each relation over time; a line marks when it really held."""
    _heading(canvas, box, "Who acts on whom, and when")
    strength = np.nan_to_num(strengths(relations))
    rows = np.argsort(-strength.mean(axis=0), kind="stable")[:MOST_ROWS]
    frames = relations["frames"]
    cell = Box(0, 0, box.width / len(frames), box.height / len(rows))
    truth = exhibit.truth
    pairs = list(zip(truth.sources, truth.targets, strict=True)) if truth else []
    for place, pair in enumerate(rows):
        top = box.top + place * cell.height
        source, target = relations["sources"][pair], relations["targets"][pair]
        middle = top + cell.height / 2
        canvas.text(box.left - 10, middle + 4, f"{source} → {target}", 12, anchor="end")
        canvas.rectangle(Box(box.left, top + 1, box.width, cell.height - 2), GRID, 0.5)
        for at, value in enumerate(strength[:, pair]):
            if value > 0.02:
                left = box.left + at * cell.width
                here = Box(left, top + 1, cell.width + 0.3, cell.height - 2)
                canvas.rectangle(here, COLOURS[4], float(value))
        if truth is not None:
            held = truth.types[:, pairs.index((source, target))] > 0
            for at, frame in enumerate(frames):
                if frame < len(held) and held[frame]:
                    left = box.left + at * cell.width
                    under = Box(left, top + cell.height - 5, cell.width + 0.3, 3)
                    canvas.rectangle(under, INK)
    note = "colour: probability" + ("; black: when it really held" if truth else "")
    canvas.text(box.left, box.bottom + 18, f"frame {frames[0]}", 11, SOFT)
    canvas.text(box.left + box.width / 2, box.bottom + 18, note, 11, SOFT, anchor="middle")
    canvas.text(box.right, box.bottom + 18, f"frame {frames[-1]}", 11, SOFT, anchor="end")


def _coordinate(canvas: Canvas, box: Box, exhibit: Exhibit, forecast: dict[str, Any]) -> None:
    """Draw the coordinate in which the baseline errs most: given, truth, mean, band, baseline."""
    features = len(forecast["features"])
    parts = {name: _quantile(forecast, name, features) for name in (BAND[0], "mean", BAND[1])}
    parts["truth"] = exhibit.values[exhibit.given : exhibit.given + len(parts["mean"])]
    rival_name, rival = next(iter(forecast["baseline"].items()))
    parts["rival"] = np.array(rival, np.float64)
    missed = np.abs(parts["rival"] - parts["truth"]).sum(axis=0)
    row, column = (int(i) for i in np.unravel_index(int(missed.argmax()), missed.shape))
    curves = {name: values[:, row, column] for name, values in parts.items()}
    entity, feature = exhibit.trajectory["entities"][row], forecast["features"][column]
    _heading(canvas, box, f"{feature} of {entity}, up close")
    canvas.rectangle(box, GRID, 0.35)
    seen = exhibit.values[: exhibit.given, row, column]
    frames = _curves(canvas, box, seen, curves, COLOURS[row % len(COLOURS)])
    rival_note = f"dotted: {rival_name.replace('_', ' ')}"
    middle, below = box.left + box.width / 2, box.bottom + 18
    canvas.text(box.left, below, "frame 0", 11, SOFT)
    canvas.text(box.right, below, f"frame {frames - 1}", 11, SOFT, anchor="end")
    canvas.text(middle, below, rival_note, 11, COLOURS[3], anchor="middle")


def _curves(canvas: Canvas, box: Box, seen: Floats, curves: dict[str, Floats], colour: str) -> int:
    """Draw one coordinate over time; give the number of frames."""
    frames = len(seen) + len(curves["mean"])
    past = np.arange(len(seen), dtype=np.float64)
    future = np.arange(len(seen) - 1, frames, dtype=np.float64)
    curves = {name: np.concatenate([seen[-1:], values]) for name, values in curves.items()}
    shown = [seen, *(values for name, values in curves.items() if name != "rival")]
    least, most = min(part.min() for part in shown), max(part.max() for part in shown)
    margin = 0.08 * (most - least)
    scale = Scale(box, (0.0, float(frames - 1)), (float(least - margin), float(most + margin)))

    def pixels(times: Floats, values: Floats) -> Floats:
        return scale.points(np.stack([times, values], axis=1))

    low, high = (pixels(future, curves[level]) for level in BAND)
    canvas.area(np.concatenate([low, high[::-1]]), colour, 0.18)
    straight = pixels(future, curves["rival"])
    inside = (straight[:, 1] >= box.top) & (straight[:, 1] <= box.bottom)
    canvas.line(np.where(inside[:, None], straight, np.nan), COLOURS[3], 1.4, "2 4")
    canvas.line(pixels(future, curves["truth"]), INK, 1.6, "5 4")
    canvas.line(pixels(future, curves["mean"]), colour, 2)
    canvas.line(pixels(past, seen), colour, 4)
    return frames


def _quantile(forecast: dict[str, Any], which: str, features: int = 2) -> Floats:
    """Give the mean or a quantile as ``[H, N, features]``."""
    values = forecast["mean"] if which == "mean" else forecast["quantiles"][which]
    return np.array(values, np.float64)[..., :features]
