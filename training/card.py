"""The model card: what a model was trained on, reaches and cannot do; all figures are measured."""

from pathlib import Path
from typing import Any

from models.manifest import Manifest
from training.runs import TrainedRun

ROWS = {
    "mean_of_paths": "model, mean of {paths} paths",
    "single_path": "model, mean error of single paths",
    "constant_velocity": "constant velocity",
    "last_value": "last value",
}


def write_card(path: Path, manifest: Manifest, trained: TrainedRun, report: dict[str, Any]) -> None:
    """Write ``card.md``."""
    parts = [
        f"# {manifest.name}, version {manifest.version}\n",
        _about(manifest, trained, report),
        _relations(manifest, report),
        *(_forecast(forecast, report) for forecast in report["forecasts"]),
        _bands(manifest, report),
        _mind(manifest),
    ]
    path.write_text("\n".join(parts), encoding="utf-8")


def _about(manifest: Manifest, trained: TrainedRun, report: dict[str, Any]) -> str:
    dataset, facts, network = trained.material.dataset, report["training"], manifest.network
    seed, name = trained.config.seed, trained.config.name
    origin = "; ".join(filter(None, (dataset.source, dataset.licence))) or "origin not stated"
    return (
        f"{manifest.family} with {manifest.edge_types} relation types, "
        f"{network['decoder']} decoder, {network['frames']} frames, "
        f"{network['kinematics']} kinematics, width {network['hidden']}.\n\n"
        f"- Data: {dataset.name} ({origin}), "
        f"{len(dataset.entities)} entities at {dataset.frame_rate:g} frames per second, "
        f"fingerprint `{dataset.fingerprint[:16]}`.\n"
        f"- Training: `python -m training train {name} --set seed={seed}`: "
        f"{facts['epochs']} of {facts['planned_epochs']} epochs in {facts['hours']} h on "
        f"{trained.config.threads} CPU thread(s); the weights are those of "
        f"{_chosen(trained, report)}. {longer_run(facts)}The curve is in curves.csv.\n"
        f"- Velocities: {manifest.velocity}. Code: `{manifest.provenance.code_version}`.\n"
    )


def longer_run(facts: dict[str, Any]) -> str:
    """Say what the planned run would have needed, where it was stopped before."""
    left = facts["planned_epochs"] - facts["epochs"]
    if left <= 0:
        return ""
    hours = facts["hours"] / max(facts["epochs"], 1) * facts["planned_epochs"]
    return f"All planned epochs would need about {hours:.1f} h at that pace. "


def _chosen(trained: TrainedRun, report: dict[str, Any]) -> str:
    facts = report["training"]
    if report["checkpoint"] == "last":
        return f"the last epoch, {facts['epochs']}"
    lowest = f"the lowest validation {trained.config.selection} ({facts['best_valid_loss']:.4f})"
    return f"epoch {facts['best_epoch']}, {lowest}"


def _relations(manifest: Manifest, report: dict[str, Any]) -> str:
    types = ", ".join(f"{index} = {name}" for index, name in enumerate(manifest.relation_types))
    lines = [f"## Relations\n\nTypes: {types}. "]
    if manifest.none_type is None:
        lines[0] += "Types have no meaning across trainings.\n"
    else:
        lines[0] += f"Type {manifest.none_type} sends no message, so it means none. "
        lines[0] += "Other types have no meaning across trainings.\n"
    scores_of = {name: report["relations"]["test"][name] for name in ("posterior", "prior")}
    if "aligned" in scores_of["posterior"]:
        lines.append(
            "| test split | F1, time-aligned | precision | recall | F1, published scoring "
            "| Brier |\n|---|---|---|---|---|---|"
        )
        for estimator, scores in scores_of.items():
            aligned, published = scores["aligned"], scores["published"]
            lines.append(
                f"| {estimator} | {aligned['f1']:.3f} | {aligned['precision']:.3f} | "
                f"{aligned['recall']:.3f} | {published['f1']:.3f} | "
                f"{scores['reliability']['brier']:.4f} |"
            )
    else:
        lines.append("| test split | share of pair-frames per type |\n|---|---|")
        for estimator, scores in scores_of.items():
            shares = ", ".join(f"{share:.3f}" for share in scores["usage"]["mean"])
            lines.append(f"| {estimator} | {shares} |")
    return "\n".join(lines) + "\n"


def _forecast(forecast: dict[str, Any], report: dict[str, Any]) -> str:
    mse, paths = forecast["mse"], forecast["paths"]
    steps = [step for step in report["steps"] if step <= len(mse["mean_of_paths"])]
    head = " | ".join(f"step {step}" for step in steps)
    lines = [
        f"## Forecast error on test after {forecast['burn_in']} given frames\n",
        "Mean squared error over all features in the published units (training extremes of each "
        f"kind of feature at -1 and 1), {forecast['windows']} windows.\n",
        f"| | {head} |",
        "|---" * (len(steps) + 1) + "|",
    ]
    for row, label in ROWS.items():
        if row in mse:
            values = " | ".join(f"{mse[row][step - 1]:.2e}" for step in steps)
            lines.append(f"| {label.format(paths=paths)} | {values} |")
    return "\n".join(lines) + "\n"


def _bands(manifest: Manifest, report: dict[str, Any]) -> str:
    coverage = ", ".join(
        f"{float(level):.0%} band covers {value:.1%}"
        for level, value in sorted(manifest.bands.coverage.items())
    )
    windows = report["bands"]["calibration_windows"]
    return (
        "## Bands\n\n"
        f"{manifest.bands.method}; residual variances from {windows} validation windows after "
        f"{manifest.trained.burn_in} frames. On test: {coverage}.\n"
    )


def _mind(manifest: Manifest) -> str:
    trained = manifest.trained
    least, most = trained.min_entities, trained.max_entities
    entities = str(most) if least == most else f"{least} to {most}"
    return (
        "## Mind\n\n"
        "A relation is predictive, not causal, and assumes that every entity that matters was "
        f"recorded. Trained on windows of {trained.window} frames with {entities} entities; bands "
        f"are measured up to {trained.horizon} steps. Outside of that, answers carry a warning.\n"
    )
