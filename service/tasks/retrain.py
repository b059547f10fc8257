"""Retraining: the offline jobs a person would run, supervised, and a new version at the end."""

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from models.manifest import MANIFEST_FILE
from service.artifacts import ArtifactStore
from service.jobs import experiments
from service.jobs.attempt import Answer, Attempt
from service.jobs.keys import JobRef
from service.jobs.store import JSON_TYPE
from service.schemas.jobs import RetrainRequest
from service.schemas.parsing import parse_body
from service.tasks.phases import Phase, Phases

TRAINED = 10**9
"""Milestone of a finished training; below it, epochs are counted."""


@dataclass(frozen=True)
class Workshop:
    """Where retraining happens and where its result goes."""

    scratch: Callable[[JobRef], Path]
    artifacts: Path
    store: ArtifactStore
    most_deaths: int


def retrain(workshop: Workshop, attempt: Attempt) -> Answer:
    """Train, evaluate, export, install and promote; every step survives a kill and is done once."""
    request = parse_body(RetrainRequest, attempt.request.encode())
    if not experiments.training_is_installed():
        raise experiments.training_not_installed()
    run = Run(workshop.scratch(attempt.record.ref), request)
    Phases(attempt, run.folder, workshop.most_deaths).run(run.phases())
    version = install(run, workshop)
    previous = None
    if request.alias is not None:
        previous = workshop.store.promote(request.name, request.alias, version)
    return Answer(orjson.dumps(_answer(run, request, version, previous)), JSON_TYPE)


@dataclass(frozen=True)
class Run:
    """The files of one retraining, under its job's own folder, and what is asked of it."""

    home: Path
    request: RetrainRequest

    @property
    def folder(self) -> Path:
        """The run folder that training writes."""
        return self.home / "run"

    @property
    def staged(self) -> Path:
        """Where the export lies before it has a version number of its own."""
        return self.folder / "export" / self.request.name / "1"

    @property
    def evaluation(self) -> Path:
        """What ``training evaluate`` writes."""
        return self.folder / "evaluation.json"

    def phases(self) -> tuple[Phase, ...]:
        """Give the commands, in order, each with what shows that it is done."""
        python = (sys.executable, "-m", "training")
        config = experiments.requested(self.request).config_path()
        changes = [
            f"--set={name}={value}"
            for name, value in (("epochs", self.request.epochs), ("seed", self.request.seed))
            if value is not None
        ]
        folder = str(self.folder)
        train = [*python, "train", str(config), "--run", folder, "--resume", *changes]
        export = [*python, "export", folder, "--to", str(self.folder / "export")]
        return (
            Phase("training", train, (self.folder / "result.json").exists, self._epochs),
            Phase(
                "evaluating",
                [*python, "evaluate", folder],
                self.evaluation.exists,
                lambda: TRAINED + self.evaluation.exists(),
            ),
            Phase(
                "exporting",
                [*export, "--name", self.request.name],
                (self.staged / MANIFEST_FILE).exists,
                lambda: TRAINED + 1 + (self.staged / MANIFEST_FILE).exists(),
            ),
        )

    def _epochs(self) -> int:
        if (self.folder / "result.json").exists():
            return TRAINED
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def install(run: Run, workshop: Workshop) -> int:
    """Copy an export into the store under the next free version number, whole or not at all.

    Done again, it finds the version that it made before and makes no other.
    """
    staged, name = run.staged, run.request.name
    manifest = _manifest(staged)
    home = workshop.artifacts / name
    for known in sorted(home.glob(f"[0-9]*/{MANIFEST_FILE}")):
        found = _manifest(known.parent)
        if found | {"version": manifest["version"]} == manifest:
            return int(found["version"])
    home.mkdir(parents=True, exist_ok=True)
    version = workshop.store.next_version(name)
    incoming = home / f"incoming-{run.home.name}"
    while True:
        shutil.rmtree(incoming, ignore_errors=True)
        shutil.copytree(staged, incoming)
        text = json.dumps(manifest | {"version": version}, indent=2)
        (incoming / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")
        try:
            incoming.rename(home / str(version))
        except OSError:
            if not (home / str(version)).exists():
                raise
            version += 1  # another retraining was faster
        else:
            workshop.store.refresh()
            return version


def _manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))


def _answer(
    run: Run, request: RetrainRequest, version: int, previous: int | None
) -> dict[str, Any]:
    result = json.loads((run.folder / "result.json").read_text(encoding="utf-8"))
    return {
        "model": {"name": request.name, "version": version},
        "alias": request.alias,
        "previous_version": previous,
        "training": result,
        "evaluation": json.loads(run.evaluation.read_text(encoding="utf-8")),
    }
