"""A supervised child process: one per folder, dies with its worker, stops when it is told to."""

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

from service.leash import leashed

POLL_S = 0.1
LOG_TAIL_BYTES = 2_000

log = structlog.get_logger(__name__)


class FolderLock:
    """Makes sure that one child at a time works in a folder, whoever started it.

    The child inherits the lock, so it lasts as long as the child, even if its worker is killed.
    """

    def __init__(self, path: Path) -> None:
        """Lock by the file at ``path``, which names the holder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)

    @property
    def descriptor(self) -> int:
        """Give the descriptor to pass on to the child."""
        return self._descriptor

    def take(self, should_stop: Callable[[], bool]) -> bool:
        """Take the lock, ending a leftover child of this machine; false if told to stop first."""
        while not should_stop():
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._end_leftover()
                time.sleep(POLL_S)
            else:
                return True
        return False

    def name_holder(self, pid: int) -> None:
        """Write down which process group to end if it outlives its worker."""
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{socket.gethostname()} {pid}".encode(), 0)

    def release(self) -> None:
        """Let go; a child that is still alive keeps the lock."""
        os.close(self._descriptor)

    def _end_leftover(self) -> None:
        host, _, pid = os.pread(self._descriptor, 300, 0).decode().partition(" ")
        if host == socket.gethostname() and pid:
            log.warning("leftover-child-ended", pid=int(pid))
            _signal_group(int(pid), signal.SIGKILL)


class Child:
    """One running command with its own process group; what it says goes to a log file."""

    def __init__(self, command: Sequence[str], log_path: Path, lock: FolderLock) -> None:
        """Start the command."""
        self._log_path = log_path
        with log_path.open("ab") as output:
            self._process = subprocess.Popen(
                leashed(command, signal.SIGKILL),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=(lock.descriptor,),
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
        lock.name_holder(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave nothing behind."""
        if self._process.poll() is None:
            self.stop(0.0)

    @property
    def pid(self) -> int:
        """Give the process id."""
        return self._process.pid

    def wait(self, seconds: float) -> int | None:
        """Give the exit status (negative: the signal that ended it), or None if it still runs."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_s: float) -> None:
        """Ask the child to end; end its whole group if it has not within ``grace_s``."""
        if grace_s > 0:
            _signal_group(self._process.pid, signal.SIGTERM)
            if self.wait(grace_s) is not None:
                return
        _signal_group(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def last_words(self) -> str:
        """Give the last line that it wrote."""
        with self._log_path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - LOG_TAIL_BYTES))
            lines = file.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else "nothing"


def _signal_group(pid: int, number: signal.Signals) -> None:
    try:
        os.killpg(pid, number)
    except ProcessLookupError:
        return
