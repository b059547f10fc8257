import json
from typing import Any

import pytest

from models.manifest import Manifest, ManifestError
from tests.service.manifests import push_manifest


def text(**changes: Any) -> str:
    return json.dumps(json.loads(push_manifest().to_json()) | changes)


class TestManifest:
    def test_survives_a_round_trip(self) -> None:
        manifest = push_manifest()
        assert Manifest.from_json(manifest.to_json()) == manifest

    @pytest.mark.parametrize(
        ("changes", "named"),
        [
            ({"name": "../x"}, "name"),
            ({"version": 0}, "version"),
            ({"relation_types": []}, "relation_types"),
            ({"none_type": 9}, "none_type"),
            ({"frame_rate": 0}, "frame_rate"),
            ({"format": 99}, "format"),
            ({"surprise": 1}, "surprise"),
            ({"features": [{"name": "x"}]}, "Feature"),
        ],
    )
    def test_names_what_is_wrong(self, changes: dict[str, Any], named: str) -> None:
        with pytest.raises(ManifestError, match=named):
            Manifest.from_json(text(**changes))

    def test_a_missing_field_is_named(self) -> None:
        whole = json.loads(push_manifest().to_json())
        del whole["bands"]
        with pytest.raises(ManifestError, match="bands"):
            Manifest.from_json(json.dumps(whole))

    @pytest.mark.parametrize("broken", ["", "[]", "{"])
    def test_other_json_is_refused(self, broken: str) -> None:
        with pytest.raises(ManifestError, match="manifest"):
            Manifest.from_json(broken)
