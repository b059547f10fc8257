"""What every test shares: one thread each, real recordings where there are any, honest skips."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

# Two workers of pytest share two cores, and sums must not depend on how many threads were free;
# set before anything imports numpy or torch.
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")


@pytest.fixture(scope="session")
def recordings() -> Callable[[str], Path]:
    """Find a folder of real recordings by name under RELATA_DATA, or skip the test."""

    def folder(name: str) -> Path:
        root = os.environ.get("RELATA_DATA")
        if root is None:
            pytest.skip("RELATA_DATA is not set")
        found = Path(root) / name
        if not found.is_dir():
            pytest.skip(f"RELATA_DATA holds no folder {name}")
        return found

    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that need a CUDA device where there is none."""
    wanting = [item for item in items if item.get_closest_marker("gpu")]
    if wanting and not _has_cuda():
        for item in wanting:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly how many tests the absence of recordings has cost."""
    skipped = terminalreporter.stats.get("skipped", [])
    missing = sum("RELATA_DATA" in str(report.longrepr) for report in skipped)
    if missing:
        terminalreporter.write_line(
            f"{missing} tests on real recordings were skipped: set RELATA_DATA to a folder of them "
            "(python -m training fetch NAME gets the public ones)",
            yellow=True,
            bold=True,
        )
