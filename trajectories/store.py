"""Arrays and JSON on disk: npz without pickle, files replaced whole or not at all."""

import json
import os
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from trajectories.errors import TrajectoryError

Array = npt.NDArray[Any]


def write_json(path: Path, fields: Mapping[str, Any]) -> None:
    """Write indented JSON so that readers see either the old file or the new one."""
    text = json.dumps(fields, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode("utf-8"))


def write_sequences(
    path: Path, values: Sequence[Array], others: Mapping[str, Sequence[Array]]
) -> None:
    """Write per-sequence arrays under ``values`` and the keys of ``others``.

    Sequences of one length become one stacked array ``key [S, T, …]``, others ``key_0, key_1, …``.
    """
    named: dict[str, Array] = {}
    for key, arrays in {"values": values, **others}.items():
        if len({array.shape for array in arrays}) == 1:
            named[key] = np.stack(arrays)
        else:
            named |= {f"{key}_{index}": array for index, array in enumerate(arrays)}
    with replacing(path) as file:
        np.savez(file, allow_pickle=False, **named)


def read_sequences(path: Path, sequences: int) -> dict[str, list[Array]]:
    """Give each key of ``write_sequences`` with its ``sequences`` arrays."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays: dict[str, Array] = {key: stored[key] for key in stored.files}
    except (OSError, ValueError, BadZipFile, EOFError) as error:
        raise TrajectoryError(
            "dataset",
            found=f"{path} that cannot be read ({error})",
            expected="an npz file of plain arrays",
            fix="Prepare the dataset again.",
        ) from error
    keys = {key.rsplit("_", 1)[0] if key[-1].isdigit() else key for key in arrays}
    return {key: _of_key(arrays, key, sequences) for key in keys}


def _of_key(arrays: Mapping[str, Array], key: str, sequences: int) -> list[Array]:
    if key in arrays:
        return list(arrays[key])
    return [arrays[f"{key}_{index}"] for index in range(sequences)]


@contextmanager
def replacing(path: Path) -> Generator[IO[bytes]]:
    """Open a file that takes the place of ``path`` once it is whole, or vanishes on an error."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
