"""What the README promises: its commands exist, its answer is the answer, its figures are true."""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.app import create_app
from service.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def curl() -> list[str]:
    (command,) = [text for _, text in BLOCKS if text.startswith("curl ")]
    return shlex.split(command)


def test_opens_with_what_a_newcomer_needs() -> None:
    opening = "\n".join(README.splitlines()[:40])
    places = [opening.index(word) for word in ("**", "![", "make up", "curl ", '{"model"')]
    assert places == sorted(places)
    assert "make test" in opening


def test_every_target_it_names_exists() -> None:
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"\bmake ([a-z]+)\b", README)) - made == set()


def test_every_file_it_links_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert [link for link in links if "://" not in link and not (ROOT / link).exists()] == []


def test_its_curl_gets_its_answer(tmp_path: Path) -> None:
    words = curl()
    body = words[words.index("-d") + 1]
    path = next(word for word in words if word.startswith("localhost")).partition("/")[2]
    with TestClient(create_app(Settings(home=tmp_path, redis_url=None))) as client:
        answer = client.post(f"/{path}", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 200
    found = answer.json()
    (shown,) = [json.loads(text) for language, text in BLOCKS if language == "json"]
    np.testing.assert_allclose(found.pop("probabilities"), shown.pop("probabilities"), atol=1e-5)
    assert found == shown


MODEL_ROWS = re.findall(r"^\| \[([\w-]+)\]\((artifacts/.*?)\):[^|]* \| (.*)$", README, re.MULTILINE)


@pytest.mark.parametrize(("name", "card", "cells"), MODEL_ROWS, ids=[row[0] for row in MODEL_ROWS])
def test_its_figures_are_those_of_the_card(name: str, card: str, cells: str) -> None:
    text = (ROOT / card).read_text()
    assert text.startswith(f"# {name}, version ")
    figures = re.findall(r"\d+\.\d+(?:e[+-]\d+)?", cells)
    assert figures
    assert [figure for figure in figures if figure not in text] == []


def test_it_lists_every_bundled_model() -> None:
    bundled = {path.name for path in (ROOT / "artifacts").iterdir() if path.is_dir()}
    assert {name for name, *_ in MODEL_ROWS} == bundled
