"""The rules of the house that no linter knows: layout, sizes, pins, Makefile."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("trajectories", "models", "training", "service")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
VAGUE = {"utils", "util", "helpers", "common", "misc", "base", "manager", "handler"}
MOST_LINES = {"models": 350}
TARGETS = [
    "install",
    "up",
    "demo",
    "test",
    "check",
    "lint",
    "format",
    "bench",
    "train",
    "evaluate",
    "export",
    "help",
    "parity",
]


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run make as a person would, without what this test run put into the environment."""
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    return subprocess.run(
        ["make", *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def distribution(requirement: str) -> str:
    """Give the normalised name in a requirement such as ``uvicorn[standard]>=0.34``."""
    return re.split(r"[\[<>=;! ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


class TestLayout:
    @pytest.mark.parametrize("package", PACKAGES)
    def test_every_package_says_what_it_is(self, package: str) -> None:
        assert ast.get_docstring(ast.parse((ROOT / package / "__init__.py").read_text()))

    def test_no_module_has_a_name_that_says_nothing(self) -> None:
        assert [str(p.relative_to(ROOT)) for p in SOURCES if p.stem in VAGUE] == []

    def test_every_module_fits_on_a_few_screens(self) -> None:
        lengths = {p.relative_to(ROOT): len(p.read_text().splitlines()) for p in SOURCES}
        too_long = {p: n for p, n in lengths.items() if n > MOST_LINES.get(p.parts[0], 300)}
        assert too_long == {}

    def test_the_tests_lie_as_the_modules_do(self) -> None:
        """``tests/a/b/test_*.py`` is about what is in ``a/b``, module by module or in scenarios."""
        folders = {
            path.parent for p in PACKAGES for path in (ROOT / "tests" / p).rglob("test_*.py")
        }
        strays = [f for f in folders if not (ROOT / f.relative_to(ROOT / "tests")).is_dir()]
        assert strays == []


class TestPins:
    def test_every_direct_dependency_is_pinned(self) -> None:
        pinned = {distribution(line) for line in (ROOT / "constraints.txt").read_text().split()}
        extras = project()["optional-dependencies"]
        wanted = [*project()["dependencies"], *(r for extra in extras.values() for r in extra)]
        assert {distribution(r) for r in wanted} - pinned - {"relata"} == set()

    def test_pins_are_exact_and_public(self) -> None:
        lines = (ROOT / "constraints.txt").read_text().split()
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+==[\w.]+", line)] == []

    def test_training_asks_for_the_one_torch_it_was_measured_with(self) -> None:
        assert "torch==2.13.0" in project()["optional-dependencies"]["train"]

    def test_serving_asks_for_no_torch(self) -> None:
        extras = project()["optional-dependencies"]
        serving = [*extras["serving"], *extras["service"], *extras["gpu"]]
        assert "torch" not in {distribution(r) for r in serving}


class TestImports:
    @pytest.mark.parametrize("package", ["models", "trajectories", "service", "training"])
    def test_a_package_costs_nothing_to_import(self, package: str) -> None:
        heavy = "{'torch', 'onnxruntime', 'fastapi', 'celery', 'matplotlib'}"
        code = f"import sys, {package}; print(*sorted({heavy} & set(sys.modules)))"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == ""

    @pytest.mark.parametrize("module", ["service.app", "service.bootstrap", "service.__main__"])
    def test_serving_starts_where_torch_is_not_installed(self, module: str) -> None:
        code = f"import sys; sys.modules['torch'] = None; import {module}"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr


class TestMakefile:
    def test_help_is_the_default_and_names_every_target(self) -> None:
        listed = re.findall(r"^  make (\w+) ", make().stdout, re.MULTILINE)
        assert sorted(listed) == sorted(TARGETS)

    @pytest.mark.parametrize("target", TARGETS)
    def test_every_target_resolves(self, target: str) -> None:
        done = make("--dry-run", target, "CONFIG=c", "RUN=r", "TO=t")
        assert done.returncode == 0, done.stderr

    def test_an_installed_environment_is_not_installed_again(self, tmp_path: Path) -> None:
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "python").touch()
        (tmp_path / "stamps").mkdir()
        (tmp_path / "stamps" / "service").touch()
        assert "pip" not in make("--dry-run", "up", f"VENV={tmp_path}").stdout

    def test_torch_is_only_installed_on_request(self, tmp_path: Path) -> None:
        plain = make("--dry-run", "install", f"VENV={tmp_path / 'v'}").stdout
        training = make("--dry-run", "install", f"VENV={tmp_path / 'v'}", "TRAIN=1").stdout
        assert '".[service]"' in plain
        assert '".[service,train]"' in training

    def test_cuda_replaces_the_runtime(self, tmp_path: Path) -> None:
        cuda = make("--dry-run", "install", f"VENV={tmp_path / 'v'}", "GPU=1").stdout
        assert '".[gpu]"' in cuda
        assert "uninstall --yes onnxruntime " in cuda


class TestMakefileOnAnUnfitMachine:
    """One line on the error stream that says what was found and what to do."""

    def fails(self, tmp_path: Path, python: str) -> str:
        done = make("install", f"VENV={tmp_path / 'venv'}", f"PYTHON={python}")
        assert done.returncode != 0
        assert not (tmp_path / "venv").exists()
        lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert len(lines) == 1, done.stderr
        return lines[0]

    def fake(self, tmp_path: Path, script: str) -> str:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    def test_no_python(self, tmp_path: Path) -> None:
        assert "install Python 3.11 or newer" in self.fails(tmp_path, "no-such-python")

    def test_an_old_python(self, tmp_path: Path) -> None:
        old = self.fake(tmp_path, 'case "$1" in --version) echo Python 3.9.2;; *) exit 1;; esac')
        assert "Python 3.9.2 found, 3.11 or newer needed" in self.fails(tmp_path, old)

    def test_a_python_without_venv(self, tmp_path: Path) -> None:
        bare = self.fake(tmp_path, 'case "$2" in *ensurepip*) exit 1;; esac')
        assert "apt install python3-venv" in self.fails(tmp_path, bare)
