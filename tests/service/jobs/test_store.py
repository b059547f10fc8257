import errno
from pathlib import Path

import pytest

from service.errors import RuntimeFailure
from service.jobs.keys import JobRef
from service.jobs.store import DiskFull, Store, StoredFile

REF = JobRef("default", "0" * 32)


def test_gives_back_what_was_written_and_what_it_hashes_to(store: Store) -> None:
    file = store.write(REF, "result-1", b"body", "application/json")
    assert store.read(file) == b"body"
    assert file.bytes == 4
    assert file.sha256.startswith("230d8358dc8e8890b4c58deeb62912ee")
    assert StoredFile.from_json(file.to_json()) == file


def test_works_on_any_address_that_fsspec_knows(tmp_path: Path) -> None:
    store = Store("memory://relata-test", tmp_path)
    file = store.write(REF, "result-1", b"body", "text/plain")
    assert store.read(file) == b"body"
    store.remove(REF)
    with pytest.raises(RuntimeFailure, match="missing"):
        store.read(file)


def test_a_file_that_changed_is_not_handed_out(store: Store, tmp_path: Path) -> None:
    file = store.write(REF, "result-1", b"body", "text/plain")
    (tmp_path / "results" / file.path).write_bytes(b"bodX")
    with pytest.raises(RuntimeFailure, match="sha256") as caught:
        store.read(file)
    assert caught.value.code == "result-damaged"


def test_a_full_disk_leaves_nothing_behind_and_the_old_file_in_place(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = store.write(REF, "result-1", b"old", "text/plain")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(store._files, "mv", full)
    with pytest.raises(DiskFull, match="no room to store 3 bytes"):
        store.write(REF, "result-1", b"new", "text/plain")
    assert store.read(old) == b"old"
    assert [path.name for path in (tmp_path / "results/default" / REF.id).iterdir()] == ["result-1"]


def test_removes_all_of_a_job_or_all_but_one_file(store: Store, tmp_path: Path) -> None:
    for name in ("checkpoint-1-1", "checkpoint-1-2", "result-1"):
        store.write(REF, name, b"x", "text/plain")
    (store.scratch(REF) / "run").mkdir(parents=True)
    folder = tmp_path / "results/default" / REF.id
    store.remove(REF, keep="result-1")
    assert [path.name for path in folder.iterdir()] == ["result-1"]
    assert store.scratch(REF).exists()
    store.remove(REF)
    store.remove(REF)
    assert not folder.exists()
    assert not store.scratch(REF).exists()
