"""Aliases: movable names of versions, one small file each, moved atomically.

``<store>/<name>/aliases/<alias>`` holds the version on its first line and the earlier ones below,
newest first, so that a roll-back knows where to go.
"""

import os
import tempfile
from pathlib import Path

FOLDER = "aliases"
CHAMPION = "champion"
HISTORY = 20


def read_aliases(model: Path) -> dict[str, tuple[int, ...]]:
    """Give the versions of each alias of a model directory, the present one first.

    A file that holds no numbers is left out: it names nothing.
    """
    folder = model / FOLDER
    if not folder.is_dir():
        return {}
    found = {path.name: _versions(path) for path in sorted(folder.iterdir()) if path.is_file()}
    return {alias: versions for alias, versions in found.items() if versions}


def write_alias(model: Path, alias: str, versions: tuple[int, ...]) -> None:
    """Move an alias to ``versions[0]``: a reader sees the old file or the new one, never half."""
    folder = model / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{version}\n" for version in versions[:HISTORY])
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".")
    try:
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(folder / alias)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _versions(path: Path) -> tuple[int, ...]:
    lines = path.read_text(encoding="ascii", errors="replace").split()
    return tuple(int(line) for line in lines) if all(map(str.isdecimal, lines)) else ()
