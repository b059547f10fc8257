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
    while True:
        version = run.reserve(workshop.store)
        Phases(attempt, run.folder, workshop.most_deaths).run(run.phases(version))
        if run.install(version, workshop.artifacts):
            break
        run.let_go(version)  # another retraining has taken the number
    workshop.store.refresh()
    previous = None
    if request.alias is not None:
        previous = workshop.store.promote(request.name, request.alias, version)
    return Answer(orjson.dumps(run.answer(version, previous)), JSON_TYPE)


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
    def evaluation(self) -> Path:
        """What ``training evaluate`` writes."""
        return self.folder / "evaluation.json"

    @property
    def reservation(self) -> Path:
        """Holds the number of the version to be."""
        return self.home / "version"

    def staged(self, version: int) -> Path:
        """Give where the export lies before it is installed."""
        return self.folder / "export" / self.request.name / str(version)

    def reserve(self, store: ArtifactStore) -> int:
        """Give the number of the version to be, the same one after a restart."""
        if not self.reservation.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            partial = self.reservation.with_suffix(".part")
            partial.write_text(str(store.next_version(self.request.name)), encoding="ascii")
            partial.replace(self.reservation)
        return int(self.reservation.read_text(encoding="ascii"))

    def let_go(self, version: int) -> None:
        """Take another number next time."""
        shutil.rmtree(self.staged(version))
        self.reservation.unlink()

    def phases(self, version: int) -> tuple[Phase, ...]:
        """Give the commands, in order, each with what shows that it is done."""
        python = (sys.executable, "-m", "training")
        folder, request = str(self.folder), self.request
        config = experiments.requested(request).config_path()
        changes = [
            f"--set={name}={value}"
            for name, value in (("epochs", request.epochs), ("seed", request.seed))
            if value is not None
        ]
        exported = self.staged(version) / MANIFEST_FILE
        options = ["--name", request.name, "--version", str(version)]
        return (
            Phase(
                "training",
                [*python, "train", str(config), "--run", folder, "--resume", *changes],
                (self.folder / "result.json").exists,
                self._epochs,
            ),
            Phase(
                "evaluating",
                [*python, "evaluate", folder],
                self.evaluation.exists,
                lambda: TRAINED + self.evaluation.exists(),
            ),
            Phase(
                "exporting",
                [*python, "export", folder, "--to", str(self.folder / "export"), *options],
                exported.exists,
                lambda: TRAINED + 1 + exported.exists(),
            ),
        )

    def install(self, version: int, artifacts: Path) -> bool:
        """Copy the export into the store, whole or not at all; false if the number is taken.

        Done again, it finds what it did before.
        """
        staged, home = self.staged(version), artifacts / self.request.name
        place, incoming = home / str(version), home / f"incoming-{self.home.name}"
        if not place.exists():
            home.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(incoming, ignore_errors=True)
            shutil.copytree(staged, incoming)
            try:
                incoming.rename(place)
            except OSError:  # somebody was faster, or there is no room
                shutil.rmtree(incoming, ignore_errors=True)
                if not place.exists():
                    raise
        return (place / MANIFEST_FILE).read_bytes() == (staged / MANIFEST_FILE).read_bytes()

    def answer(self, version: int, previous: int | None) -> dict[str, Any]:
        """Give the result of the job."""
        return {
            "model": {"name": self.request.name, "version": version},
            "alias": self.request.alias,
            "previous_version": None if previous == version else previous,
            "training": _read_json(self.folder / "result.json"),
            "evaluation": _read_json(self.evaluation),
        }

    def _epochs(self) -> int:
        if (self.folder / "result.json").exists():
            return TRAINED
        metrics = self.folder / "metrics.jsonl"
        return metrics.read_bytes().count(b"\n") if metrics.exists() else 0


def _read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))
