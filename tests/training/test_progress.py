import io
import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from training import progress
from training.progress import Display, Pace, ProgressFile, duration

LINE: dict[str, Any] = {
    "epoch": 2,
    "loss": 1.5,
    "seconds": 0.25,
    "valid_nll": -1.25,
    "valid_loss": -1.0,
    "best": True,
}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Give a clock that stands still until its only entry is changed."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


class TestPace:
    def test_is_unknown_before_the_first_step(self) -> None:
        assert Pace(10, done=4).left(4) is None

    def test_counts_the_steps_of_this_process_only(self, clock: list[float]) -> None:
        pace = Pace(10, done=4)
        clock[0] += 6
        assert pace.left(7) == pytest.approx(6)


class TestProgressFile:
    def test_holds_phase_done_total_and_seconds_left(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        file = ProgressFile(tmp_path / "progress.json", Pace(8))
        clock[0] += 2
        file.report("training", 4)
        assert json.loads((tmp_path / "progress.json").read_text()) == {
            "phase": "training",
            "done": 4,
            "total": 8,
            "eta_s": 2.0,
        }

    def test_is_not_written_at_every_step_but_when_forced(
        self, tmp_path: Path, clock: list[float]
    ) -> None:
        path = tmp_path / "progress.json"
        file = ProgressFile(path, Pace(8))

        def done() -> int:
            return json.loads(path.read_text())["done"]

        file.report("training", 1)
        clock[0] += 0.1
        file.report("training", 2)
        assert done() == 1
        file.report("training", 3, force=True)
        assert done() == 3
        clock[0] += 1.0
        file.report("training", 4)
        assert done() == 4


class TestDisplay:
    def test_prints_one_plain_line_per_epoch_where_there_is_no_terminal(self) -> None:
        text = io.StringIO()
        with Display(Console(file=text, width=20), Pace(8)) as display:
            display.step("training", 1, {"loss": 1.0})
            display.epoch(LINE, 3, 4)
        lines = text.getvalue().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith("epoch 2/3  loss 1.5000  valid nll -1.2500  -elbo -1.0000")
        assert lines[0].endswith("best so far")

    def test_shows_a_bar_with_the_newest_losses_on_a_terminal(self) -> None:
        text = io.StringIO()
        console = Console(file=text, force_terminal=True, width=120, legacy_windows=False)
        with Display(console, Pace(8)) as display:
            display.step("training", 3, {"nll": -1.234})
            display.step("validating", 3, {})
        shown = text.getvalue()
        assert "3/8" in shown
        assert "validating" in shown
        assert "nll -1.234" in shown


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "?"),
        (0, "0 s"),
        (89, "89 s"),
        (91, "2 min"),
        (3000, "50 min"),
        (12_000, "3 h 20 min"),
    ],
)
def test_a_length_of_time_is_said_as_people_say_it(seconds: float | None, said: str) -> None:
    assert duration(seconds) == said
