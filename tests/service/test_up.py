import io

import pytest
from rich.console import Console

from service import up
from service.settings import Settings
from service.supervisor import StackError


def test_lines_say_whose_they_are_and_carry_no_colours_into_a_file() -> None:
    file = io.StringIO()
    say = up._prefixed(Console(file=file, highlight=False, soft_wrap=True))
    say("api", "\x1b[32mready\x1b[0m [not markup]")
    assert file.getvalue() == "api     │ ready [not markup]\n"


def test_what_cannot_be_started_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def busy(*_: object) -> None:
        raise StackError("port 1 is busy")

    monkeypatch.setattr(up, "check_port", busy)
    assert up.up(Settings(), demo=False) == 1
    assert capsys.readouterr().out == "relata  │ port 1 is busy\n"
