from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def recordings_of(recordings: Callable[[str], Path]) -> Path:
    """The folder of real recordings, if it holds the walk."""
    return recordings("cmu-mocap-35").parent
