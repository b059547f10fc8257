"""Acclaim motions (``.amc``): joint angles over time, and the joint positions they mean.

Positions are in file units, at the file's own rate (120 Hz for CMU), without any centring.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from trajectories.asf import (
    ROOT,
    ROTATIONS,
    Skeleton,
    fail,
    numbers,
    read_lines,
)
from trajectories.recording import Recording

Floats = npt.NDArray[np.float64]

CMU_FRAME_RATE = 120.0
METRES_PER_UNIT = 2.54 / 100 / 0.45  # the file unit is 1 / 0.45 inch
UNIT = "file-unit"


def read_recording(path: Path | str, skeleton: Skeleton) -> Recording:
    """Give the joint positions ``x, y, z`` of one motion file, ``[T, N, 3]`` in file units."""
    file = Path(path)
    values = joint_positions(skeleton, read_angles(file, skeleton))
    return Recording(
        values=values,
        entities=skeleton.joints,
        features=("x", "y", "z"),
        frame_rate=CMU_FRAME_RATE,
        units=dict.fromkeys(("x", "y", "z"), UNIT),
        name=file.stem,
    )


def read_angles(path: Path, skeleton: Skeleton) -> dict[str, Floats]:
    """Give ``[T, channels]`` per moving joint: the root's six numbers, the others' angles.

    Frames must count 1, 2, 3, … and each must hold every moving joint exactly once.
    """
    channels = skeleton.channels
    frames: list[dict[str, Floats]] = []
    last, in_degrees = 1, False
    for number, words in read_lines(path):
        last = number
        if words[0].startswith(":"):
            in_degrees |= words[0].upper() == ":DEGREES"
        elif len(words) == 1 and words[0].isdigit():
            _check_frame(path, number, frames, channels)
            if int(words[0]) != len(frames) + 1:
                raise fail(path, number, f"frame {words[0]}", f"frame {len(frames) + 1}")
            frames.append({})
        else:
            _add_joint(path, number, words, frames, channels)
    if not frames or not in_degrees:
        raise fail(path, last, "no frames" if in_degrees else "no :DEGREES", "frames in degrees")
    _check_frame(path, last, frames, channels)
    return {joint: np.stack([frame[joint] for frame in frames]) for joint in channels}


def _add_joint(
    path: Path,
    line: int,
    words: Sequence[str],
    frames: Sequence[dict[str, Floats]],
    channels: Mapping[str, tuple[str, ...]],
) -> None:
    joint = words[0]
    if joint not in channels:
        raise fail(
            path,
            line,
            f"unknown joint {joint!r}",
            f"one of the skeleton's moving joints: {', '.join(channels)}",
        )
    if not frames or joint in frames[-1]:
        raise fail(path, line, f"{joint!r} out of place", "a frame number, then each joint once")
    frames[-1][joint] = numbers(path, line, words[1:], len(channels[joint]))


def _check_frame(
    path: Path,
    line: int,
    frames: Sequence[Mapping[str, Floats]],
    channels: Mapping[str, tuple[str, ...]],
) -> None:
    missing = [joint for joint in channels if frames and joint not in frames[-1]]
    if missing:
        raise fail(
            path,
            line,
            f"frame {len(frames)} that ends without {', '.join(missing)}",
            "every moving joint of the skeleton in every frame (is the file cut short, "
            "or does it belong to another skeleton?)",
        )


def joint_positions(skeleton: Skeleton, angles: Mapping[str, Floats]) -> Floats:
    """Give joint positions ``[T, N, 3]`` in file units by forward kinematics.

    With ``C`` the rotation of a bone's own axes and ``R`` that of its angles, both about fixed
    x, y, z: ``M = M_parent C R C⁻¹`` and ``p = p_parent + length · M · direction``.
    """
    root = angles[ROOT]
    turned = {ROOT: _in_axes(skeleton.root_axis, rotation(root[:, 3:]))}
    placed = {ROOT: root[:, :3]}
    for bone in skeleton.bones:
        turn = turned[bone.parent]
        if bone.channels:
            full = np.zeros((len(root), 3))
            full[:, [ROTATIONS.index(name) for name in bone.channels]] = angles[bone.name]
            turn = turn @ _in_axes(bone.axis, rotation(full))
        turned[bone.name] = turn
        placed[bone.name] = placed[bone.parent] + bone.length * (turn @ bone.direction)
    return np.stack([placed[joint] for joint in skeleton.joints], axis=1)


def rotation(degrees: Floats) -> Floats:
    """Give matrices ``[..., 3, 3]`` that turn about fixed x, then y, then z by ``[..., 3]``."""
    radians = np.deg2rad(degrees)
    (sx, sy, sz), (cx, cy, cz) = (np.moveaxis(f(radians), -1, 0) for f in (np.sin, np.cos))
    rows = [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
    return np.moveaxis(np.array(rows), (0, 1), (-2, -1))


def _in_axes(axis: Floats, turn: Floats) -> Floats:
    own = rotation(axis)
    return own @ turn @ own.T
