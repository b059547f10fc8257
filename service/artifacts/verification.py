"""Checks an artifact directory before anything of it is used."""

import hashlib
import json
import math
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from models.manifest import (
    MANIFEST_FILE,
    NAME_PATTERN,
    WEIGHTS_FILE,
    FileDigest,
    Manifest,
    ManifestError,
)
from service.artifacts.onnx_graphs import TYPE_BYTES, GraphError, Span, check_graph
from service.artifacts.protobuf import ProtobufError
from service.errors import Unavailable

SUFFIXES = frozenset({".json", ".safetensors", ".onnx", ".csv", ".md", ".png", ".svg"})
MAX_MANIFEST_BYTES = 4 * 1024 * 1024
MAX_HEADER_BYTES = 4 * 1024 * 1024
CHUNK_BYTES = 1024 * 1024


class ArtifactRefused(Unavailable):
    """A version is in the store but must not be used; the text says which and why."""

    default_code = "artifact-refused"


@dataclass(frozen=True)
class LoadedArtifact:
    """A verified version: what it is and where its files are."""

    manifest: Manifest
    path: Path


def verify(directory: Path) -> LoadedArtifact:
    """Give the artifact in ``<store>/<name>/<version>``, every file of it checked.

    Raises:
        ArtifactRefused: for a wrong name, size, hash, file type, link, operator or weight location.
    """
    try:
        manifest = _manifest(directory)
        _check_files(directory, manifest)
        spans = weight_spans(directory / WEIGHTS_FILE)
        for graph in manifest.graphs.values():
            if graph.file not in manifest.files:
                raise GraphError(f"{graph.file} is not among the manifest's files")
            check_graph((directory / graph.file).read_bytes(), WEIGHTS_FILE, spans)
    except OSError as error:
        # Its text has the server's own paths in it; callers get the file's name.
        name = Path(str(error.filename)).name if error.filename else "a file"
        raise refused(directory, f"{name}: {error.strerror}") from error
    except (ManifestError, GraphError, ProtobufError) as error:
        raise refused(directory, str(error)) from error
    return LoadedArtifact(manifest, directory)


def refused(directory: Path, reason: str) -> ArtifactRefused:
    """Give the refusal of a version, with the way out."""
    return ArtifactRefused(
        f"{directory.parent.name}@{directory.name} is refused: {reason}",
        fix="Export this version again under a new number, or use another one.",
    )


def weight_spans(path: Path) -> frozenset[Span]:
    """Give the place of each tensor of a safetensors file, from its header.

    Raises:
        GraphError: if the header is none, or points outside the file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
            raise GraphError(f"{path.name}: found no safetensors header")
        header = _json_object(file.read(length), path.name)
    start = 8 + length
    return frozenset(_spans(header, path.name, start, size))


def _spans(header: dict[str, Any], name: str, start: int, size: int) -> Iterator[Span]:
    for tensor, entry in header.items():
        if tensor == "__metadata__":
            continue
        try:
            first, end = entry["data_offsets"]
            shape = tuple(int(extent) for extent in entry["shape"])
            expected = math.prod(shape) * TYPE_BYTES[entry["dtype"]]
        except (KeyError, TypeError, ValueError) as error:
            raise GraphError(f"{name}: found a header entry that is no tensor") from error
        if not 0 <= first <= end <= size - start or end - first != expected:
            raise GraphError(f"{name}: found a tensor that does not fit its place")
        yield Span(start + first, end - first, entry["dtype"], shape)


def _json_object(text: bytes, name: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise GraphError(f"{name}: found a header that is not JSON") from error
    if not isinstance(found, dict):
        raise GraphError(f"{name}: found a header that is no JSON object")
    return cast("dict[str, Any]", found)


def _manifest(directory: Path) -> Manifest:
    path = directory / MANIFEST_FILE
    if directory.is_symlink() or not stat.S_ISREG(path.lstat().st_mode):
        raise ManifestError("found a link, expected a directory with a plain manifest.json")
    if path.stat().st_size > MAX_MANIFEST_BYTES:
        raise ManifestError(f"found a manifest of more than {MAX_MANIFEST_BYTES} bytes")
    manifest = Manifest.from_json(path.read_text(encoding="utf-8", errors="strict"))
    expected = f"{directory.parent.name}@{directory.name}"
    found = f"{manifest.name}@{manifest.version}"
    if found != expected:
        raise ManifestError(f"the manifest says {found}, the directory {expected}")
    return manifest


def _check_files(directory: Path, manifest: Manifest) -> None:
    found = {entry.name for entry in directory.iterdir()} - {MANIFEST_FILE}
    if unlisted := sorted(found - set(manifest.files)):
        raise ManifestError(f"found {unlisted[0]}, which the manifest does not list")
    for name, digest in manifest.files.items():
        _check_file(directory / name, name, digest)


def _check_file(path: Path, name: str, digest: FileDigest) -> None:
    if not NAME_PATTERN.fullmatch(name) or path.suffix not in SUFFIXES:
        raise ManifestError(f"found a file name or type that is not allowed: {name[:80]!r}")
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise ManifestError(f"{name}: found a link or special file, expected a plain file")
    if status.st_size != digest.bytes:
        raise ManifestError(f"{name}: found {status.st_size} bytes, expected {digest.bytes}")
    if _sha256(path) != digest.sha256:
        raise ManifestError(f"{name}: its sha256 is not the manifest's")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
