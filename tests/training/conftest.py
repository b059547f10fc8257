"""Shipped runs, made once for all tests of exporting."""

from pathlib import Path

import pytest

from tests.training.shipped import KINDS, Shipped, ship


@pytest.fixture(scope="session")
def local_markov(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A 2-D network with local frames and the Markov decoder; its data name their relations."""
    return ship(tmp_path_factory.mktemp("local-markov"), "local-markov")


@pytest.fixture(scope="session")
def global_recurrent(tmp_path_factory: pytest.TempPathFactory) -> Shipped:
    """A 3-D network with global frames, the recurrent decoder and types without names."""
    return ship(tmp_path_factory.mktemp("global-recurrent"), "global-recurrent")


@pytest.fixture(params=KINDS)
def shipped(request: pytest.FixtureRequest) -> Shipped:
    """Either of them."""
    return request.getfixturevalue(request.param.replace("-", "_"))


@pytest.fixture
def own_copy(shipped: Shipped, tmp_path: Path) -> Path:
    """A copy of the artifact that a test may change."""
    return shipped.copied(tmp_path / "copy")
