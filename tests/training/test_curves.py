from pathlib import Path
from typing import Any

import pytest

from training import curves
from training.curves import COLUMNS, Curves, draw, write_table


def line(epoch: int, *, validated: bool = True) -> dict[str, Any]:
    losses = {"loss": 5.0 / epoch, "nll": 4.0 / epoch, "kl_learned": 0.1, "kl_average": 0.0}
    measured = {f"valid_{name}": value for name, value in losses.items()} if validated else {}
    return {"epoch": epoch, **losses, **measured, "best": validated, "seconds": 1.0}


def test_the_table_has_a_row_per_epoch_and_blanks_where_nothing_was_measured(
    tmp_path: Path,
) -> None:
    write_table(tmp_path / "curves.csv", [line(1), line(2, validated=False)])
    header, first, second = (tmp_path / "curves.csv").read_text().splitlines()
    assert header.split(",") == list(COLUMNS)
    assert first.split(",")[COLUMNS.index("valid_nll")] == "4.0"
    assert second.split(",")[COLUMNS.index("valid_nll")] == ""


@pytest.mark.parametrize("epochs", [1, 2, 60])
def test_the_picture_is_a_png_for_any_number_of_epochs(tmp_path: Path, epochs: int) -> None:
    path = tmp_path / "curves.png"
    draw(path, [line(epoch) for epoch in range(1, epochs + 1)], "tiny")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_validation_can_be_drawn(tmp_path: Path) -> None:
    draw(tmp_path / "curves.png", [line(1, validated=False)], "tiny")
    assert (tmp_path / "curves.png").exists()


def test_drawing_takes_a_small_share_of_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, drawn = [0.0], []

    def slow(path: Path, lines: object, title: str) -> None:
        now[0] += 1.0
        drawn.append(now[0])

    monkeypatch.setattr(curves, "draw", slow)
    monkeypatch.setattr(curves.time, "monotonic", lambda: now[0])
    kept = Curves(tmp_path, "tiny")
    for _ in range(200):
        now[0] += 1.0
        kept.update([line(1)])
    assert 1 <= len(drawn) <= 200 * Curves.SHARE + 1
    kept.update([line(1)], force=True)
    assert drawn[-1] == now[0]
