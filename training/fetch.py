"""``fetch``: download a public dataset from its official address, checked file by file."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import httpx
import typer
import yaml
from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.progress import track

from training.checkpoints import write_atomically
from training.errors import ConfigError, DataError
from training.prepare import DATA_VARIABLE

SOURCES = Path(__file__).parent / "sources.yaml"
TIMEOUT_S = 30.0
LARGEST_FILE = 16 * 1024 * 1024  # bytes


class Source(BaseModel):
    """One public dataset: where it is, under which terms, and what its files hash to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    address: str
    licence: str
    files: Mapping[str, str]


def fetch(
    name: Annotated[str, typer.Argument(help="Name of the dataset, as cmu-mocap-35.")],
    to: Annotated[
        Path | None, typer.Option(help=f"Parent folder; without it, the one {DATA_VARIABLE} names.")
    ] = None,
) -> None:
    """Download a public dataset; files that are there and whole are kept."""
    source = find_source(name)
    folder = _parent(to) / name
    console = Console()
    console.print(f"{source.title}\nfrom {source.address}\nto {folder}\n", markup=False)
    console.print(f"Licence: {source.licence}\n", markup=False)
    loaded = download(source, folder, console)
    console.print(f"{loaded} of {len(source.files)} files downloaded, all checked.", markup=False)
    if str(folder.parent) != os.environ.get(DATA_VARIABLE):
        console.print(f"Set {DATA_VARIABLE}={folder.parent} to use them.", markup=False)


def find_source(name: str) -> Source:
    """Give the source of a named dataset."""
    sources: dict[str, object] = yaml.safe_load(SOURCES.read_text(encoding="utf-8"))
    if name not in sources:
        raise ConfigError(
            f"no public dataset {name!r}",
            f"one of {', '.join(sources)}",
            "the push data need no download: `python -m training simulate push --out DIR`",
        )
    return Source.model_validate(sources[name])


def download(source: Source, folder: Path, console: Console) -> int:
    """Bring every file of a source into a folder; give how many had to be loaded."""
    missing = {
        name: digest
        for name, digest in source.files.items()
        if not (folder / name).is_file() or content_hash((folder / name).read_bytes()) != digest
    }
    folder.mkdir(parents=True, exist_ok=True)
    with httpx.Client(timeout=TIMEOUT_S, follow_redirects=True) as client:
        for name in track(missing, "downloading", console=console, disable=not console.is_terminal):
            content = _get(client, source.address + name, folder)
            _check(content, missing[name], source.address + name)
            write_atomically(folder / name, content)
    return len(missing)


def content_hash(content: bytes) -> str:
    """Give the sha256 of a text file with its line ends as LF."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _parent(to: Path | None) -> Path:
    if to is not None:
        return to
    root = os.environ.get(DATA_VARIABLE)
    if not root:
        raise ConfigError(
            f"no folder to download to: no --to and no environment variable {DATA_VARIABLE}",
            "one of the two",
            f"run `{DATA_VARIABLE}=DIR python -m training fetch NAME`",
        )
    return Path(root)


def _get(client: httpx.Client, address: str, folder: Path) -> bytes:
    try:
        with client.stream("GET", address) as answer:
            answer.raise_for_status()
            content = bytearray()
            for part in answer.iter_bytes():
                content += part
                if len(content) > LARGEST_FILE:
                    raise DataError(f"more than {LARGEST_FILE} bytes at {address}", "a small file")
    except httpx.HTTPError as error:
        raise DataError(
            f"cannot download {address} ({type(error).__name__}: {error})",
            "the network and the site to answer",
            f"try again later, or put the files into {folder} by hand",
        ) from error
    return bytes(content)


def _check(content: bytes, digest: str, address: str) -> None:
    found = content_hash(content)
    if found != digest:
        raise DataError(
            f"{address} with sha256 {found} (line ends as LF)",
            digest,
            "the file was changed or cut on its way: try again; it was not stored",
        )
