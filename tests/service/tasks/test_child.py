import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from service.tasks.child import Child, FolderLock
from tests.service.tasks.conftest import until
from tests.service.tasks.test_retrain import is_alive

FOREVER = ("/bin/sh", "-c", "while :; do sleep 0.05; done")


@pytest.fixture
def lock(tmp_path: Path) -> FolderLock:
    taken = FolderLock(tmp_path / "run.lock")
    assert taken.take(lambda: False)
    return taken


def test_gives_the_status_and_the_last_words(tmp_path: Path, lock: FolderLock) -> None:
    command = ("/bin/sh", "-c", "echo working; echo 'error: found x' >&2; exit 4")
    with Child(command, tmp_path / "log", lock) as child:
        assert child.wait(10) == 4
        assert child.last_words() == "error: found x"


def test_a_child_that_ignores_a_request_is_killed_with_its_own_children(
    tmp_path: Path, lock: FolderLock
) -> None:
    log = tmp_path / "pids"
    inner = f"sh -c 'echo $$ > {log}; while :; do sleep 0.05; done'"
    with Child(
        ("/bin/sh", "-c", f"trap '' TERM; {inner} & {FOREVER[2]}"), tmp_path / "log", lock
    ) as child:
        until(lambda: log.exists() and bool(log.read_text()), 10)
        child.stop(0.2)
        assert child.wait(0) == -signal.SIGKILL
    until(lambda: not is_alive(int(log.read_text())), 10)


def test_leaving_the_block_leaves_no_child(tmp_path: Path, lock: FolderLock) -> None:
    with pytest.raises(ZeroDivisionError), Child(FOREVER, tmp_path / "log", lock) as child:
        raise ZeroDivisionError
    assert not is_alive(child.pid)


def test_a_leftover_child_is_ended_before_another_works_in_its_folder(
    tmp_path: Path, lock: FolderLock
) -> None:
    child = Child(FOREVER, tmp_path / "log", lock)
    lock.release()  # as when the worker was killed, where the kernel does not end its child
    successor = FolderLock(tmp_path / "run.lock")
    assert successor.take(lambda: False)
    assert child.wait(5) == -signal.SIGKILL
    successor.release()


def test_waiting_for_a_folder_can_be_called_off(tmp_path: Path, lock: FolderLock) -> None:
    other = FolderLock(tmp_path / "run.lock")
    answers = iter([False, False, True])
    assert not other.take(lambda: next(answers))
    other.release()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must tell of a parent's death")
def test_a_child_dies_with_its_worker(tmp_path: Path) -> None:
    code = f"""
        from pathlib import Path
        from service.tasks.child import Child, FolderLock
        folder = Path({str(tmp_path)!r})
        lock = FolderLock(folder / "run.lock")
        lock.take(lambda: False)
        child = Child({FOREVER!r}, folder / "log", lock)
        (folder / "pid").write_text(str(child.pid))
        child.wait(60)
    """
    worker = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    pid = tmp_path / "pid"
    until(lambda: pid.exists() and bool(pid.read_text()), 20)
    os.kill(worker.pid, signal.SIGKILL)
    worker.wait()
    until(lambda: not is_alive(int(pid.read_text())), 10)
