"""``export``: write a trained and evaluated run as an artifact that the service loads."""

import dataclasses
import hashlib
import json
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console

from models.dnri import Dnri
from models.folded import FoldedDnri
from models.graphs import ArtifactGraph, artifact_graphs
from models.manifest import (
    MANIFEST_FILE,
    NAME_PATTERN,
    Bands,
    Feature,
    FeatureKind,
    FileDigest,
    GraphFile,
    Manifest,
    Provenance,
    Tensor,
    Trained,
    VelocityRule,
)
from training import evaluate, runtime_parity
from training.card import write_card
from training.errors import ExportError, RunError
from training.onnx_export import OPSET, write_graphs, write_weights
from training.runs import TrainedRun, load_run
from trajectories.features import position_columns, velocity_columns
from trajectories.store import write_json

MODEL_PREFIX = {"dnri": "dnri"}
TYPE_NAMES = {"torch.float32": "float32", "torch.int64": "int64", "torch.int32": "int32"}


def export(
    run: Annotated[Path, typer.Argument(help="Run folder, trained and evaluated.")],
    to: Annotated[Path, typer.Option(help="Folder of artifacts.")] = Path("artifacts"),
    name: Annotated[
        str | None, typer.Option(help="Model name; default: family-experiment.")
    ] = None,
    checkpoint: Annotated[str, typer.Option(help="Which weights: best or last.")] = "best",
    version: Annotated[
        int | None, typer.Option(min=1, help="Number of the version; default: the next in TO.")
    ] = None,
) -> None:
    """Write the next version of a model; refuse when torch and ONNX Runtime disagree."""
    path, differences = export_run(run, to, name, checkpoint, version)
    console = Console()
    for one in differences:
        line = f"  {one.graph:<8} {one.output:<34} {one.largest:.1e} over {one.sizes} sizes"
        console.print(line, markup=False)
    console.print(f"Wrote {path}", markup=False, soft_wrap=True)


def export_run(
    run: Path,
    to: Path,
    name: str | None = None,
    checkpoint: str = "best",
    version: int | None = None,
) -> tuple[Path, list[runtime_parity.Difference]]:
    """Give the folder of the new version and how far torch and ONNX Runtime differ in it.

    Raises:
        RunError: if the run was not evaluated with these weights.
        ExportError: if a graph disagrees with the network, or the version exists.
    """
    trained = load_run(run, checkpoint)
    report = _evaluation(trained, checkpoint)
    net = cast("Dnri", trained.network).eval().fold()
    if name is None:
        name = f"{MODEL_PREFIX[trained.config.model.family]}-{trained.config.name}"
    home = _free_place(to, name, version)
    to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to, prefix=".export-") as scratch:
        folder = Path(scratch) / home.name
        folder.mkdir()
        write_weights(net, folder)
        write_graphs(net, folder)
        differences = runtime_parity.check(net, folder)
        write_json(folder / "metrics.json", report)
        shutil.copyfile(trained.folder.path / "curves.csv", folder / "curves.csv")
        manifest = _manifest(name, int(home.name), trained, net, report)
        write_card(folder / "card.md", manifest, trained, report)
        _write_manifest(folder, manifest)
        _publish(folder, home)
    return home, differences


def _evaluation(trained: TrainedRun, checkpoint: str) -> dict[str, Any]:
    run = trained.folder.path
    path = run / evaluate.FILE
    again = f"python -m training evaluate {run} --checkpoint {checkpoint}"
    if not path.is_file():
        raise RunError(f"no {evaluate.FILE} in {run}", "an evaluated run", again)
    report: dict[str, Any] = json.loads(path.read_text("utf-8"))
    if report.get("checkpoint") != checkpoint:
        raise RunError(
            f"{path} measured the {report.get('checkpoint')} weights",
            f"the {checkpoint} weights",
            again,
        )
    counted = "best_epoch" if checkpoint == "best" else "epochs"
    measured = report["training"][counted]
    present = evaluate.training_facts(trained.folder, trained.config.epochs)[counted]
    if measured != present:
        raise RunError(
            f"{path} measured the weights of epoch {measured}", f"those of epoch {present}", again
        )
    return report


def _free_place(to: Path, name: str, version: int | None) -> Path:
    """Give where the new version goes: a number after all others, or the one asked for."""
    if not NAME_PATTERN.fullmatch(name):
        raise ExportError(f"name {name!r}", f"a name like {NAME_PATTERN.pattern}")
    home = to / name
    taken = [int(path.name) for path in home.glob("[0-9]*") if path.name.isdecimal()]
    number = version or max(taken, default=0) + 1
    if number in taken:
        raise _taken(home / str(number))
    return home / str(number)


def _taken(home: Path) -> ExportError:
    return ExportError(
        f"{home} exists", "a new version: they never change", "leave --version out for the next"
    )


def _manifest(
    name: str, version: int, trained: TrainedRun, net: FoldedDnri, report: dict[str, Any]
) -> Manifest:
    dataset, config = trained.material.dataset, trained.config
    bands = report["bands"]
    return Manifest(
        name=name,
        version=version,
        family=config.model.family,
        static=False,
        relation_types=_relation_types(trained, net),
        none_type=0 if net.config.skip_first else None,
        features=_features(trained),
        velocity=cast("VelocityRule", dataset.velocity),
        frame_rate=dataset.frame_rate,
        coordinate_frames=net.config.frames,
        absolute_features=net.config.frames == "global" or net.config.absolute,
        trained=_trained(trained, report),
        bands=Bands(
            method=bands["method"],
            residual_variance=tuple(tuple(map(float, row)) for row in bands["residual_variance"]),
            coverage={level: round(value, 4) for level, value in bands["coverage"].items()},
        ),
        network=dataclasses.asdict(net.config),
        provenance=Provenance(
            experiment=config.name,
            seed=config.seed,
            data_fingerprint=dataset.fingerprint,
            code_version=_code_version(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        ),
        opset=OPSET,
        graphs={key: _graph_file(key, graph) for key, graph in artifact_graphs(net).items()},
        files={},
        metrics=_headline(report),
    )


def _relation_types(trained: TrainedRun, net: FoldedDnri) -> tuple[str, ...]:
    """Name the types as the dataset does where that is sure, else by numbers.

    Training does not see the names. Only a silent type 0 surely means "none"; of two types, the
    other one then has the dataset's other name.
    """
    named, types = trained.material.dataset.relation_types, net.config.edge_types
    if net.config.skip_first and types == len(named) == 2:
        return named
    first = "none" if net.config.skip_first else "type-0"
    return (first, *(f"type-{index}" for index in range(1, types)))


def _features(trained: TrainedRun) -> tuple[Feature, ...]:
    dataset, normaliser = trained.material.dataset, trained.material.normaliser
    values = np.concatenate(
        [array.reshape(-1, array.shape[-1]) for array in dataset.split("train").sequences]
    ).astype(np.float64)
    kinds: dict[int, FeatureKind] = {
        **dict.fromkeys(position_columns(dataset.features), "position"),
        **dict.fromkeys(velocity_columns(dataset.features), "velocity"),
    }
    return tuple(
        Feature(
            name=name,
            kind=kinds.get(column, "other"),
            unit=dataset.units.get(name, ""),
            offset=float(normaliser.offset[column]),
            scale=float(normaliser.scale[column]),
            minimum=float(values[:, column].min()),
            maximum=float(values[:, column].max()),
        )
        for column, name in enumerate(dataset.features)
    )


def _trained(trained: TrainedRun, report: dict[str, Any]) -> Trained:
    dataset, window = trained.material.dataset, trained.config.window
    entities = len(dataset.entities)
    return Trained(
        window=window.length if window else max(dataset.split("train").lengths),
        horizon=len(report["bands"]["residual_variance"]),
        min_entities=entities,
        max_entities=entities,
        burn_in=int(report["bands"]["burn_in"]),
    )


def _headline(report: dict[str, Any]) -> dict[str, Any]:
    """Give the few figures that a list of models shows; all of them are in metrics.json."""
    steps = report["steps"]
    headline: dict[str, Any] = {}
    for forecast in report["forecasts"]:
        mse = forecast["mse"]
        reachable = [step for step in steps if step <= len(mse["mean_of_paths"])]
        headline[f"test_mse_after_{forecast['burn_in']}"] = {
            row: {str(step): mse[row][step - 1] for step in reachable}
            for row in ("mean_of_paths", "single_path", "constant_velocity", "last_value")
            if row in mse
        }
    for estimator in ("posterior", "prior"):
        scores = report["relations"]["test"][estimator]
        if "aligned" in scores:
            headline[f"test_f1_{estimator}"] = scores["aligned"]["f1"]
    return headline


def _graph_file(name: str, graph: ArtifactGraph) -> GraphFile:
    signature = graph.signature()

    def tensors(axes: dict[str, tuple[int | str, ...]]) -> tuple[Tensor, ...]:
        return tuple(Tensor(key, TYPE_NAMES[str(graph.dtype_of(key))], axes[key]) for key in axes)

    return GraphFile(f"{name}.onnx", tensors(signature.inputs), tensors(signature.outputs))


def _code_version() -> str:
    """Give the commit of this checkout, with ``+changes`` where files differ from it."""
    here = Path(__file__).parent
    commit = _git(here, "rev-parse", "HEAD")
    if commit is None:
        return "unknown: not a git checkout"
    return commit + ("+changes" if _git(here, "status", "--porcelain", "-uno") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    files = {path.name: _digest(path) for path in sorted(folder.iterdir())}
    text = dataclasses.replace(manifest, files=files).to_json()
    (folder / MANIFEST_FILE).write_text(text, encoding="utf-8")


def _digest(path: Path) -> FileDigest:
    content = path.read_bytes()
    return FileDigest(hashlib.sha256(content).hexdigest(), len(content))


def _publish(folder: Path, home: Path) -> None:
    """Rename the finished folder into place, so that a reader never sees half a version."""
    folder.chmod(0o755)
    for path in folder.iterdir():
        path.chmod(0o644)
    home.parent.mkdir(exist_ok=True)
    try:
        folder.rename(home)
    except OSError as error:
        if home.exists():  # another export was faster
            raise _taken(home) from error
        raise
