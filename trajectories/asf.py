"""Acclaim skeletons (``.asf``): which bones there are, how long, and where they point."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trajectories.errors import TrajectoryError

Floats = npt.NDArray[np.float64]

ROOT = "root"
ROTATIONS = ("rx", "ry", "rz")
ROOT_CHANNELS = ("tx", "ty", "tz", *ROTATIONS)


@dataclass(frozen=True)
class Bone:
    """One bone of a skeleton; its joint is at the far end.

    Attributes:
        name: Name, unique in the skeleton.
        parent: Name of the bone it hangs on, ``root`` at last.
        direction: ``[3]`` unit vector in global axes at rest.
        length: In file units.
        axis: ``[3]`` angles of the bone's own axes, degrees, about fixed x, y, z.
        channels: Which of ``rx, ry, rz`` the motion file gives, in its order.
    """

    name: str
    parent: str
    direction: Floats
    length: float
    axis: Floats
    channels: tuple[str, ...]


@dataclass(frozen=True)
class Skeleton:
    """The bones of one subject, parents before children.

    Attributes:
        bones: All bones but the root, in the order of the file.
        root_axis: ``[3]`` degrees about fixed x, y, z.
        path: The file it came from.
    """

    bones: tuple[Bone, ...]
    root_axis: Floats
    path: Path

    @property
    def joints(self) -> tuple[str, ...]:
        """Give the joint names: the root, then each bone."""
        return (ROOT, *(bone.name for bone in self.bones))

    @property
    def channels(self) -> Mapping[str, tuple[str, ...]]:
        """Give the channels that each moving joint has in a motion file."""
        moving = {bone.name: bone.channels for bone in self.bones if bone.channels}
        return {ROOT: ROOT_CHANNELS, **moving}


Line = tuple[int, list[str]]


def fail(path: Path, line: int, found: str, expected: str) -> TrajectoryError:
    """Give the error that names the file and the line."""
    return TrajectoryError(
        "motion-file",
        found=f"{found} at {path.name}:{line} ({path})",
        expected=expected,
        fix="Fetch the file again, or correct that line.",
    )


def read_lines(path: Path) -> Iterator[Line]:
    """Give number and words of each line that says something; comments start with ``#``."""
    if not path.is_file():
        raise TrajectoryError(
            "motion-file",
            found=f"no file {path}",
            expected="an Acclaim skeleton (.asf) or motion (.amc)",
            fix="Correct the path, or fetch the recording.",
        )
    text = path.read_text(encoding="latin-1")
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if words:
            yield number, words


def numbers(path: Path, line: int, words: Sequence[str], count: int) -> Floats:
    """Give exactly ``count`` finite numbers from the words of a line."""
    try:
        values = np.array([float(word) for word in words])
    except ValueError:
        values = np.array([np.nan])
    if len(words) != count or not np.isfinite(values).all():
        raise fail(path, line, " ".join(words) or "nothing", f"{count} finite numbers")
    return values


def read_skeleton(path: Path | str) -> Skeleton:
    """Read an ``.asf`` file."""
    file = Path(path)
    sections = _sections(file)
    root_axis = _root_axis(file, sections.get("root", []))
    _check_units(file, sections.get("units", []))
    parents = _parents(file, sections.get("hierarchy", []))
    bones = [_bone(file, block, parents) for block in _blocks(file, sections.get("bonedata", []))]
    return Skeleton(_ordered(file, bones), root_axis, file)


def _sections(path: Path) -> dict[str, list[Line]]:
    sections: dict[str, list[Line]] = {}
    current: list[Line] = []
    for number, words in read_lines(path):
        if words[0].startswith(":"):
            current = sections.setdefault(words[0][1:].lower(), [])
            words = words[1:]
        if words:
            current.append((number, words))
    for needed in ("root", "bonedata", "hierarchy"):
        if needed not in sections:
            raise fail(path, 1, f"no section :{needed}", "sections :root, :bonedata, :hierarchy")
    return sections


def _root_axis(path: Path, lines: Sequence[Line]) -> Floats:
    axis = np.zeros(3)
    for number, words in lines:
        key, rest = words[0].lower(), words[1:]
        if key == "order" and tuple(word.lower() for word in rest) != ROOT_CHANNELS:
            raise fail(path, number, f"root order {' '.join(rest)}", "TX TY TZ RX RY RZ")
        if key == "axis" and [word.upper() for word in rest] != ["XYZ"]:
            raise fail(path, number, f"root axis {' '.join(rest)}", "axis order XYZ")
        if key == "orientation":
            axis = numbers(path, number, rest, 3)
        if key == "position" and numbers(path, number, rest, 3).any():
            raise fail(path, number, "a root offset", "root position 0 0 0")
    return axis


def _check_units(path: Path, lines: Sequence[Line]) -> None:
    for number, words in lines:
        if words[0].lower() == "angle" and [word.lower() for word in words[1:]] != ["deg"]:
            raise fail(path, number, " ".join(words), "angle deg")


def _parents(path: Path, lines: Sequence[Line]) -> dict[str, str]:
    parents: dict[str, str] = {}
    for number, (first, *children) in lines:
        if first.lower() in ("begin", "end"):
            continue
        for child in children:
            if child in parents:
                raise fail(path, number, f"{child!r} under two parents", "one parent each")
            parents[child] = first
    return parents


def _blocks(path: Path, lines: Sequence[Line]) -> Iterator[list[Line]]:
    block: list[Line] | None = None
    last = 1
    for number, words in lines:
        key, last = words[0].lower(), number
        if key == "begin":
            block = []
        elif key == "end" and block is not None:
            yield block
            block = None
        elif block is not None:
            block.append((number, words))
    if block is not None:
        raise fail(path, last, "a bone without 'end'", "begin … end around every bone")


def _bone(path: Path, block: Sequence[Line], parents: Mapping[str, str]) -> Bone:
    lines = {words[0].lower(): (number, words[1:]) for number, words in block}
    start = block[0][0] if block else 1
    for key in ("name", "direction", "length", "axis"):
        if key not in lines:
            raise fail(path, start, f"a bone without {key}", "name, direction, length, axis")
    name = lines["name"][1][0]
    if name not in parents:
        raise fail(path, start, f"bone {name!r} that hangs nowhere", "a parent in :hierarchy")
    axis_line, axis = lines["axis"]
    if [word.upper() for word in axis[3:]] != ["XYZ"]:
        raise fail(path, axis_line, f"axis {' '.join(axis)}", "three angles and XYZ")
    dof_line, dof = lines.get("dof", (start, []))
    channels = tuple(word.lower() for word in dof)
    if not set(channels) <= set(ROTATIONS):
        raise fail(path, dof_line, f"dof {' '.join(dof)}", "rotations rx, ry, rz only")
    return Bone(
        name=name,
        parent=parents[name],
        direction=numbers(path, *lines["direction"], 3),
        length=float(numbers(path, *lines["length"], 1)[0]),
        axis=numbers(path, axis_line, axis[:3], 3),
        channels=channels,
    )


def _ordered(path: Path, bones: Sequence[Bone]) -> tuple[Bone, ...]:
    """Check names and that every parent stands before its children."""
    known = {ROOT}
    for bone in bones:
        if bone.name in known or bone.parent not in known:
            raise fail(
                path,
                1,
                f"bone {bone.name!r} under {bone.parent!r}",
                "different names, and parents listed before their children",
            )
        known.add(bone.name)
    return tuple(bones)
