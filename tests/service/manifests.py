"""A manifest for tests: the shape of `dnri-push3`, with nothing trained behind it."""

from typing import Any

from models.manifest import Bands, Feature, Manifest, Provenance, Trained

PUSH_FEATURES = (
    Feature("x", "position", "m", 0.0, 2.0, -2.0, 2.0),
    Feature("y", "position", "m", 0.0, 2.0, -2.0, 2.0),
    Feature("vx", "velocity", "m/frame", 0.0, 0.1, -0.1, 0.1),
    Feature("vy", "velocity", "m/frame", 0.0, 0.1, -0.1, 0.1),
)


def push_manifest(**changes: Any) -> Manifest:
    """Give a small manifest; ``changes`` replace its fields."""
    fields: dict[str, Any] = {
        "name": "dnri-push3",
        "version": 1,
        "family": "dnri",
        "static": False,
        "relation_types": ("none", "push"),
        "none_type": 0,
        "features": PUSH_FEATURES,
        "velocity": "backward-difference",
        "frame_rate": 2.0,
        "coordinate_frames": "local",
        "absolute_features": False,
        "trained": Trained(window=50, horizon=25, min_entities=3, max_entities=3, burn_in=25),
        "bands": Bands(
            method="residual variance", residual_variance=((0.1,) * 4,), coverage={"0.9": 0.9}
        ),
        "network": {"hidden": 4},
        "provenance": Provenance("push3", 1, "0" * 64, "test", "2026-11-20"),
        "opset": 20,
        "graphs": {},
        "files": {},
    }
    return Manifest(**(fields | changes))
