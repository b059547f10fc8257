from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from trajectories import amc
from trajectories.asf import Skeleton, read_skeleton
from trajectories.errors import TrajectoryError

SKELETON = """# made for tests: a hip without angles, a leg and a foot
:version 1.10
:units
  mass 1.0
  length 0.45
  angle deg
:root
   order TX TY TZ RX RY RZ
   axis XYZ
   position 0 0 0
   orientation 0 0 0
:bonedata
  begin
     id 1
     name hip
     direction 1 0 0
     length 2
     axis 0 0 0  XYZ
  end
  begin
     id 2
     name leg
     direction 0 -1 0
     length 3
     axis 0 0 90  XYZ
    dof rx ry rz
    limits (-160.0 20.0)
           (-70.0 70.0)
           (-60.0 70.0)
  end
  begin
     id 3
     name foot
     direction 0 0 1
     length 1
     axis 0 0 0  XYZ
    dof rx
    limits (-90.0 20.0)
  end
:hierarchy
  begin
    root hip
    hip leg
    leg foot
  end
"""
MOTION = """#!made for tests
:FULLY-SPECIFIED
:DEGREES
1
root 1 2 3 0 0 0
leg 0 0 0
foot 0
2
root 0 0 0 0 90 0
leg 0 90 0
foot -1.5e-014
"""


@pytest.fixture
def skeleton(tmp_path: Path) -> Skeleton:
    path = tmp_path / "made.asf"
    path.write_bytes(SKELETON.replace("\n", "\r\n").encode())
    return read_skeleton(path)


@pytest.fixture
def motion(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "made_01.amc"
        path.write_bytes(text.replace("\n", "\r\n").encode())
        return path

    return write


def test_a_skeleton_lists_the_root_and_every_bone(skeleton: Skeleton):
    assert skeleton.joints == ("root", "hip", "leg", "foot")
    assert skeleton.bones[1].channels == ("rx", "ry", "rz")
    assert set(skeleton.channels) == {"root", "leg", "foot"}


def test_joints_stand_where_the_bones_lead(skeleton: Skeleton, motion: Callable[[str], Path]):
    recording = amc.read_recording(motion(MOTION), skeleton)
    assert recording.frame_rate == 120.0
    assert recording.entities == skeleton.joints
    np.testing.assert_allclose(
        recording.values[0], [[1, 2, 3], [3, 2, 3], [3, -1, 3], [3, -1, 4]], atol=1e-12
    )
    # Frame 2: the root turned by 90° about y takes x to −z and z to x ...
    own = amc.rotation(np.array([0.0, 0.0, 90.0]))
    body = amc.rotation(np.array([0.0, 90.0, 0.0]))
    leg = body @ own @ amc.rotation(np.array([0.0, 90.0, 0.0])) @ np.linalg.inv(own)
    np.testing.assert_allclose(recording.values[1, 1], [0, 0, -2], atol=1e-12)
    np.testing.assert_allclose(recording.values[1, 2], [0, 0, -2] + leg @ [0, -3, 0], atol=1e-12)
    np.testing.assert_allclose(
        recording.values[1, 3], recording.values[1, 2] + leg @ [0, 0, 1], atol=1e-12
    )
    # ... and by hand: the axis angles lay the leg's own y axis along −x; turning by 90° about −x
    # carries its direction −y to z, and the root carries z to x.
    np.testing.assert_allclose(recording.values[1, 2], [3, 0, -2], atol=1e-12)


def test_angles_turn_about_fixed_x_then_y_then_z():
    def about(axis: int, degrees: float) -> np.ndarray:
        first, second = [(1, 2), (2, 0), (0, 1)][axis]
        sine, cosine = np.sin(np.deg2rad(degrees)), np.cos(np.deg2rad(degrees))
        matrix = np.eye(3)
        matrix[first, first] = matrix[second, second] = cosine
        matrix[first, second], matrix[second, first] = -sine, sine
        return matrix

    expected = about(2, 50.0) @ about(1, -35.0) @ about(0, 20.0)
    np.testing.assert_allclose(amc.rotation(np.array([20.0, -35.0, 50.0])), expected, atol=1e-14)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("foot -1.5e-014\n", "", r"frame 2 that ends without foot at made_01.amc:10"),
        ("foot 0\n2\n", "2\n", r"frame 1 that ends without foot at made_01.amc:7"),
        ("leg 0 90 0\n", "leg 0 90\n", r"found 0 90 at made_01.amc:10.*expected 3 finite numbers"),
        ("leg 0 90 0\n", "leg 0 9o 0\n", r"found 0 9o 0 at made_01.amc:10"),
        ("leg 0 90 0\n", "leg 0 nan 0\n", r"made_01.amc:10"),
        ("leg 0 90 0\n", "wing 0 90 0\n", r"unknown joint 'wing' at made_01.amc:10"),
        ("leg 0 90 0\n", "hip 0 90 0\n", r"unknown joint 'hip' at made_01.amc:10"),
        ("leg 0 90 0\n", "root 0 0 0 0 0 0\n", r"'root' out of place at made_01.amc:10"),
        ("2\n", "3\n", r"found frame 3 at made_01.amc:8.*expected frame 2"),
        (":DEGREES\n", "", r"no :DEGREES"),
        (MOTION, ":DEGREES\n", r"no frames"),
        (MOTION, "", r"no :DEGREES"),
    ],
)
def test_broken_motions_are_refused_with_file_and_line(
    skeleton: Skeleton, motion: Callable[[str], Path], old: str, new: str, message: str
):
    with pytest.raises(TrajectoryError, match=message):
        amc.read_recording(motion(MOTION.replace(old, new, 1)), skeleton)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("     length 3\n", "", r"a bone without length at made.asf:\d+"),
        ("    root hip\n", "", r"bone 'hip' that hangs nowhere"),
        ("    hip leg\n", "    hip leg\n    root leg\n", r"'leg' under two parents at made.asf"),
        ("axis 0 0 90  XYZ", "axis 0 0 90  ZYX", r"axis 0 0 90 ZYX at made.asf"),
        ("axis 0 0 90  XYZ", "axis 0 90  XYZ", r"axis|three"),
        ("dof rx ry rz", "dof rx ry tz", r"dof rx ry tz at made.asf"),
        ("order TX TY TZ RX RY RZ", "order RX RY RZ TX TY TZ", r"root order"),
        ("angle deg", "angle rad", r"angle rad at made.asf"),
        (":hierarchy", ":tree", r"no section :hierarchy"),
        ("direction 1 0 0", "direction 1 0", r"found 1 0 at made.asf:\d+"),
        ("     name leg\n", "     name hip\n", r"'hip'"),
        ("    limits (-90.0 20.0)\n  end\n", "", r"a bone without 'end'"),
    ],
)
def test_broken_skeletons_are_refused_with_file_and_line(
    tmp_path: Path, old: str, new: str, message: str
):
    path = tmp_path / "made.asf"
    assert old in SKELETON
    path.write_text(SKELETON.replace(old, new, 1))
    with pytest.raises(TrajectoryError, match=message):
        read_skeleton(path)


def test_a_missing_file_is_named(tmp_path: Path):
    with pytest.raises(TrajectoryError, match=r"nowhere\.asf"):
        read_skeleton(tmp_path / "nowhere.asf")


def test_real_walking_has_the_known_joints_and_a_head_above_the_ground(
    recordings: Callable[[str], Path],
):
    folder = recordings("cmu-mocap-35")
    skeleton = read_skeleton(folder / "35.asf")
    recording = amc.read_recording(folder / "35_04.amc", skeleton)
    assert len(recording.entities) == 31
    assert recording.frames == 433
    head = recording.values[:, skeleton.joints.index("head"), 1] * amc.METRES_PER_UNIT
    assert 1.6 < head.min() < head.max() < 1.7
    feet = recording.values[:, [skeleton.joints.index(f"{side}toes") for side in "lr"], 1]
    assert feet.min() * amc.METRES_PER_UNIT < 0.05
    walked = recording.values[:, 0, [0, 2]] * amc.METRES_PER_UNIT
    speed = np.linalg.norm(walked[-1] - walked[0]) / (recording.frames / 120.0)
    assert 1.0 < speed < 1.6
