import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from training import fetch
from training.__main__ import main
from training.errors import DataError
from training.prepare import SUBJECTS

CONSOLE = Console(quiet=True)


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def source(address: str, **files: bytes) -> fetch.Source:
    hashes = {name: fetch.content_hash(content) for name, content in files.items()}
    return fetch.Source(title="made", address=address, licence="none", files=hashes)


def test_the_walking_trials_are_those_that_prepare_needs():
    known = fetch.find_source("cmu-mocap-35")
    trials = {f"35_{trial:02d}.amc" for trial in SUBJECTS[35].trials}
    assert set(known.files) == {"35.asf", *trials}
    assert known.address == "http://mocap.cs.cmu.edu/subjects/35/"
    assert "free for all uses" in known.licence


def test_real_copies_match_the_hashes(recordings):
    folder = recordings("cmu-mocap-35")
    for name, digest in fetch.find_source("cmu-mocap-35").files.items():
        assert fetch.content_hash((folder / name).read_bytes()) == digest, name


def test_files_are_downloaded_once_whatever_their_line_ends(site, tmp_path: Path):
    folder, address = site
    (folder / "a.amc").write_bytes(b"1\r\n2\r\n")
    wanted = source(address, **{"a.amc": b"1\n2\n"})
    assert fetch.download(wanted, tmp_path / "to", CONSOLE) == 1
    assert (tmp_path / "to" / "a.amc").read_bytes() == b"1\r\n2\r\n"
    assert fetch.download(wanted, tmp_path / "to", CONSOLE) == 0


def test_a_damaged_copy_is_replaced(site, tmp_path: Path):
    folder, address = site
    (folder / "a.amc").write_bytes(b"whole")
    (tmp_path / "a.amc").write_bytes(b"wh")
    assert fetch.download(source(address, **{"a.amc": b"whole"}), tmp_path, CONSOLE) == 1
    assert (tmp_path / "a.amc").read_bytes() == b"whole"


def test_a_changed_file_is_not_stored(site, tmp_path: Path):
    folder, address = site
    (folder / "a.amc").write_bytes(b"something else")
    with pytest.raises(DataError, match="not stored"):
        fetch.download(source(address, **{"a.amc": b"whole"}), tmp_path / "to", CONSOLE)
    assert list((tmp_path / "to").iterdir()) == []


def test_a_missing_file_and_a_missing_network_are_one_clear_line(site, tmp_path: Path):
    _, address = site
    wanted = source(address, **{"a.amc": b"whole"})
    with pytest.raises(DataError, match=r"cannot download .*a\.amc.*404"):
        fetch.download(wanted, tmp_path, CONSOLE)
    offline = wanted.model_copy(update={"address": "http://127.0.0.1:1/"})
    with pytest.raises(DataError, match=r"cannot download .*network.*by hand"):
        fetch.download(offline, tmp_path, CONSOLE)


def test_endless_answers_are_cut(site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, address = site
    (folder / "a.amc").write_bytes(b"x" * 1000)
    monkeypatch.setattr(fetch, "LARGEST_FILE", 100)
    with pytest.raises(DataError, match="more than 100 bytes"):
        fetch.download(source(address, **{"a.amc": b"x" * 1000}), tmp_path, CONSOLE)


def test_unknown_names_and_missing_folders_are_refused(capsys, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("RELATA_DATA", raising=False)
    assert main(["fetch", "springs"]) == 1
    assert "cmu-mocap-35" in capsys.readouterr().err
    assert main(["fetch", "cmu-mocap-35"]) == 1
    assert "RELATA_DATA" in capsys.readouterr().err
