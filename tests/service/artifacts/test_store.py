from pathlib import Path

import pytest

from service.artifacts import ArtifactRefused, ArtifactStore
from service.errors import Conflict, InvalidRequest, NotFound
from tests.service.artifact_files import write_artifact, write_manifest


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    write_artifact(tmp_path / "bundled", "net", 1)
    return tmp_path / "bundled"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def meant(store: ArtifactStore, reference: str) -> int:
    return store.open(reference).manifest.version


def corrupt(root: Path, version: int) -> Path:
    directory = write_artifact(root, "net", version)
    (directory / "card.md").write_text("changed after export")
    return directory


class TestOpen:
    def test_a_newer_version_waits_for_its_promotion(self, bundled: Path, home: Path) -> None:
        write_artifact(home, "net", 2)
        store = ArtifactStore(home, bundled)
        assert (meant(store, "net"), meant(store, "net@2")) == (1, 2)
        store.promote("net", "champion", 2)
        assert meant(store, "net") == 2

    def test_a_version_exported_later_is_found_at_once(self, bundled: Path, home: Path) -> None:
        store = ArtifactStore(home, bundled)
        write_artifact(home, "net", 2)
        assert meant(store, "net@2") == 2

    @pytest.mark.parametrize(
        ("reference", "code"),
        [
            ("other", "model-not-found"),
            ("net@7", "version-not-found"),
            ("net@01", "version-not-found"),
            ("net@candidate", "alias-not-found"),
        ],
    )
    def test_names_what_is_missing(
        self, bundled: Path, home: Path, reference: str, code: str
    ) -> None:
        with pytest.raises(NotFound) as caught:
            ArtifactStore(home, bundled).open(reference)
        assert (caught.value.code, caught.value.pointer) == (code, "/model")

    @pytest.mark.parametrize("name", ["..", "../bundled/net", "/etc", "net/1", "", ".net", "NET"])
    def test_a_path_is_no_name(self, bundled: Path, home: Path, name: str) -> None:
        with pytest.raises(InvalidRequest):
            ArtifactStore(home, bundled).open(name)

    def test_a_linked_model_directory_is_not_in_the_store(
        self, bundled: Path, home: Path, tmp_path: Path
    ) -> None:
        write_artifact(tmp_path / "elsewhere", "secret", 1)
        home.mkdir()
        (home / "secret").symlink_to(tmp_path / "elsewhere" / "secret")
        assert ArtifactStore(home, bundled).names() == ("net",)

    def test_a_version_in_both_places_is_the_bundled_one(self, bundled: Path, home: Path) -> None:
        write_artifact(home, "net", 1)
        path = ArtifactStore(home, bundled).open("net@1").path
        assert path == bundled / "net" / "1"

    def test_a_name_without_a_version_is_no_model_yet(self, bundled: Path, home: Path) -> None:
        (home / "soon" / ".export-1").mkdir(parents=True)
        assert ArtifactStore(home, bundled).names() == ("net",)

    def test_stores_that_do_not_exist_are_empty(self, tmp_path: Path) -> None:
        assert ArtifactStore(tmp_path / "a", tmp_path / "b").names() == ()


class TestRefusal:
    def test_of_a_new_version_leaves_the_old_one_in_service(
        self, bundled: Path, home: Path
    ) -> None:
        store = ArtifactStore(home, bundled)
        corrupt(home, 2)
        store.refresh()
        assert meant(store, "net") == 1
        assert list(store.refusals()) == ["net@2"]
        with pytest.raises(ArtifactRefused, match=r"net@2 is refused: card\.md"):
            store.open("net@2")

    def test_of_the_version_a_pointer_moved_to_keeps_the_one_before(
        self, bundled: Path, home: Path
    ) -> None:
        store = ArtifactStore(home, bundled)
        store.promote("net", "champion", 1)
        corrupt(home, 2)
        (home / "net" / "aliases" / "champion").write_text("2\n")
        store.refresh()
        assert meant(store, "net") == 1

    def test_ends_when_the_files_are_repaired(self, bundled: Path, home: Path) -> None:
        directory = corrupt(home, 2)
        store = ArtifactStore(home, bundled)
        write_manifest(directory, "net", 2)
        store.refresh()
        assert meant(store, "net@2") == 2

    def test_does_not_reach_a_version_that_was_already_opened(
        self, bundled: Path, home: Path
    ) -> None:
        store = ArtifactStore(home, bundled)
        (bundled / "net" / "1" / "card.md").write_text("changed while in service")
        store.refresh()
        assert meant(store, "net") == 1

    def test_of_the_only_version_is_what_the_bare_name_answers(self, home: Path) -> None:
        corrupt(home, 1)
        with pytest.raises(ArtifactRefused):
            ArtifactStore(home).open("net")


class TestPromote:
    def test_moves_the_name_and_writes_to_the_writable_store_only(
        self, bundled: Path, home: Path
    ) -> None:
        write_artifact(home, "net", 2)
        store = ArtifactStore(home, bundled)
        assert store.promote("net", "champion", 2) == 1
        assert meant(store, "net") == 2
        assert not (bundled / "net" / "aliases").exists()

    def test_is_seen_by_another_process_after_its_next_look(
        self, bundled: Path, home: Path
    ) -> None:
        write_artifact(home, "net", 2)
        here, there = ArtifactStore(home, bundled), ArtifactStore(home, bundled)
        here.promote("net", "champion", 2)
        there.refresh()
        assert meant(there, "net") == 2

    def test_of_a_refused_version_is_a_conflict(self, bundled: Path, home: Path) -> None:
        corrupt(home, 2)
        with pytest.raises(Conflict) as caught:
            ArtifactStore(home, bundled).promote("net", "champion", 2)
        assert caught.value.code == "artifact-refused"

    def test_of_a_missing_version_is_not_found(self, bundled: Path, home: Path) -> None:
        with pytest.raises(NotFound):
            ArtifactStore(home, bundled).promote("net", "champion", 9)

    @pytest.mark.parametrize("alias", ["2", "../x", "A", ""])
    def test_to_an_alias_that_is_no_word_is_refused(
        self, bundled: Path, home: Path, alias: str
    ) -> None:
        with pytest.raises(InvalidRequest):
            ArtifactStore(home, bundled).promote("net", alias, 1)

    def test_of_the_present_version_changes_nothing(self, bundled: Path, home: Path) -> None:
        write_artifact(home, "net", 2)
        store = ArtifactStore(home, bundled)
        for _ in range(3):
            store.promote("net", "champion", 2)
        assert store.rollback("net") == 1


class TestRollback:
    def test_returns_to_the_version_before(self, bundled: Path, home: Path) -> None:
        write_artifact(home, "net", 2)
        store = ArtifactStore(home, bundled)
        store.promote("net", "champion", 1)
        store.promote("net", "champion", 2)
        assert store.rollback("net") == 1
        assert meant(store, "net") == 1

    def test_knows_the_version_that_served_before_the_first_move(
        self, bundled: Path, home: Path
    ) -> None:
        store = ArtifactStore(home, bundled)
        write_artifact(home, "net", 2)
        store.promote("net", "champion", 2)
        assert store.rollback("net") == 1

    def test_without_a_version_before_is_a_conflict(self, bundled: Path, home: Path) -> None:
        store = ArtifactStore(home, bundled)
        store.promote("net", "champion", 1)
        with pytest.raises(Conflict):
            store.rollback("net")


def test_the_next_version_is_above_both_stores(bundled: Path, home: Path) -> None:
    store = ArtifactStore(home, bundled)
    assert (store.next_version("net"), store.next_version("new")) == (2, 1)
    corrupt(home, 5)
    assert store.next_version("net") == 6
