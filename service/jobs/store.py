"""Where results and checkpoints lie: a directory now, any fsspec address later. Redis has pointers.

Files are written beside their place and renamed into it, and their names carry the fence of the
attempt that wrote them, so a worker that lost its lease can overwrite nothing.
"""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, cast

import fsspec  # pyright: ignore[reportMissingTypeStubs]

from service.errors import RuntimeFailure, ServiceError
from service.jobs.keys import JobRef

JSON_TYPE = "application/json"
ARRAYS_TYPE = "application/x-npz"
FULL_DISK_ERRNO = 28


class DiskFull(ServiceError):
    """The store has no room for the result."""

    status = 507
    title = "Insufficient storage"
    default_code = "disk-full"


@dataclass(frozen=True)
class StoredFile:
    """What Redis keeps of a file: where it is, how long, what it hashes to, what it is."""

    path: str
    bytes: int
    sha256: str
    media_type: str

    def to_json(self) -> str:
        """Give the pointer as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Give the pointer in ``text``."""
        return cls(**json.loads(text))


class Store:
    """Files of jobs under one root, and the folders on this machine that jobs work in."""

    def __init__(self, root: str, scratch: Path) -> None:
        """Open a store at ``root``, a directory or an address that fsspec knows."""
        self._scratch = scratch
        resolve = cast("Callable[..., tuple[Any, str]]", fsspec.core.url_to_fs)  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]
        self._files, self._root = resolve(root)

    def write(self, ref: JobRef, name: str, body: bytes, media_type: str) -> StoredFile:
        """Store ``body`` whole or not at all, and give its pointer.

        Raises:
            DiskFull: if there is no room for it.
        """
        path = f"{self._folder(ref)}/{name}"
        beside = f"{path}.part"
        try:
            self._files.makedirs(self._folder(ref), exist_ok=True)
            with self._files.open(beside, "wb") as file:
                file.write(body)
            self._files.mv(beside, path)
        except OSError as error:
            self._drop(beside)
            if error.errno == FULL_DISK_ERRNO:
                raise DiskFull(
                    f"no room to store {len(body)} bytes of job {ref.id}",
                    fix="Free space under RELATA_HOME, or purge old jobs, and submit it again.",
                ) from error
            raise
        return StoredFile(
            f"{ref.tenant}/{ref.id}/{name}", len(body), hashlib.sha256(body).hexdigest(), media_type
        )

    def read(self, file: StoredFile) -> bytes:
        """Give the bytes of a stored file, checked against its pointer.

        Raises:
            RuntimeFailure: if it is missing or is not what was stored.
        """
        try:
            body = cast("bytes", self._files.cat_file(f"{self._root}/{file.path}"))
        except FileNotFoundError as error:
            raise _damaged("is missing from the store") from error
        if len(body) != file.bytes or hashlib.sha256(body).hexdigest() != file.sha256:
            raise _damaged("does not have the sha256 that was recorded")
        return body

    def scratch(self, ref: JobRef) -> Path:
        """Give the folder on this machine in which a job may work; it lasts as long as the job."""
        return self._scratch / ref.tenant / ref.id

    def remove(self, ref: JobRef, keep: str = "") -> None:
        """Remove the files of a job: all of them, or all stored ones but ``keep``."""
        folder = self._folder(ref)
        if not keep:
            shutil.rmtree(self.scratch(ref), ignore_errors=True)
        if not self._files.exists(folder):
            return
        for path in cast("list[str]", self._files.ls(folder, detail=False)):
            if not keep or path.rsplit("/", 1)[-1] != keep:
                self._drop(path)
        if not keep:
            self._files.rmdir(folder)

    def drop(self, file: StoredFile) -> None:
        """Remove one file; it may be gone already."""
        self._drop(f"{self._root}/{file.path}")

    def _folder(self, ref: JobRef) -> str:
        return f"{self._root}/{ref.tenant}/{ref.id}"

    def _drop(self, path: str) -> None:
        if self._files.exists(path):
            self._files.rm(path)


def _damaged(what: str) -> RuntimeFailure:
    return RuntimeFailure(
        f"the stored file of the job {what}",
        code="result-damaged",
        fix="Submit the job again.",
    )
