import subprocess
import sys

import pytest

from training.__main__ import VERBS, main


def test_without_a_verb_it_lists_them_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr().out
    assert [verb for verb in VERBS if verb not in said] == []


def test_help_lists_the_verbs_and_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "python -m training <verb>" in capsys.readouterr().out


def test_an_unknown_verb_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["trian"]) == 2
    assert "no verb 'trian'" in capsys.readouterr().err


def test_an_unknown_option_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "push3", "--run", "x", "--sed", "3"]) == 2
    assert "--sed" in capsys.readouterr().err


def test_an_error_of_a_verb_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "no-such-experiment", "--run", "x"]) == 1
    assert capsys.readouterr().err.startswith("error: no experiment 'no-such-experiment'")


def test_help_of_training_imports_no_torch() -> None:
    code = (
        "import sys; from training.__main__ import main; "
        "assert main(['train', '--help']) == 0; assert 'torch' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
