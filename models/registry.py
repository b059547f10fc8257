"""Families by name: the one place that knows which network a configuration means."""

from collections.abc import Callable, Mapping

from models.dnri import Dnri
from models.dnri_config import config_from

FAMILIES: Mapping[str, Callable[[dict[str, object]], Dnri]] = {
    "dnri": lambda options: Dnri(config_from(options)),
}


def build(family: str, options: Mapping[str, object]) -> Dnri:
    """Give the trainable network of a family.

    Raises:
        ValueError: if the family or one of the options is unknown.
    """
    if family not in FAMILIES:
        raise ValueError(f"family {family!r} is unknown; expected one of {sorted(FAMILIES)}")
    return FAMILIES[family](dict(options))
