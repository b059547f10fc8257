"""YAML that reads ``5e-5`` as a number and refuses a key given twice."""

import re
from typing import Any, cast

import yaml

_FLOAT = re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)$")


class _Loader(yaml.SafeLoader):
    """The safe loader, without two surprises of YAML 1.1."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping; a repeated key is an error instead of the last one winning."""
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = cast("Any", self.construct_object(key_node, deep=True))  # pyright: ignore[reportUnknownMemberType]
            if key in seen:
                raise yaml.YAMLError(f"the key {key!r} is given twice")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+.0123456789"))  # pyright: ignore[reportUnknownMemberType]


def parse_yaml(text: str) -> Any:
    """Read one YAML document into plain Python values."""
    return yaml.load(text, Loader=_Loader)


def to_yaml(value: object) -> str:
    """Write plain Python values as block-style YAML, in the order given."""
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=100)
