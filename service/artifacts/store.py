"""What versions there are, which may be used, and which one a name means now."""

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from models.manifest import MANIFEST_FILE, NAME_PATTERN
from service.artifacts.aliases import CHAMPION, FOLDER, read_aliases, write_alias
from service.artifacts.verification import ArtifactRefused, LoadedArtifact, verify
from service.errors import Conflict, InvalidRequest, NotFound

log: Any = structlog.get_logger("artifacts")
NAME_FIX = "GET /v1/models lists what there is."

Versions = Mapping[int, LoadedArtifact | ArtifactRefused]
Aliases = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class VersionStatus:
    """One version as listings show it: verified, or refused with the reason."""

    name: str
    version: int
    artifact: LoadedArtifact | None
    refusal: ArtifactRefused | None


@dataclass(frozen=True)
class _Model:
    """All that is known about one name; `serving` is what each alias means in service."""

    versions: Versions
    aliases: Aliases
    serving: Mapping[str, int]


@dataclass
class _Checked:
    """A version that was looked at, and how its manifest looked then."""

    signature: tuple[int, ...]
    result: LoadedArtifact | ArtifactRefused = field(repr=False)


class ArtifactStore:
    """The artifacts of a writable directory laid over read-only ones.

    A version that was verified stays in service whatever happens to its files later; a version
    that fails is refused by name, and an alias that points at it goes on meaning the version
    before. Without a pointer, `champion` is the lowest version that may be used: a newer one serves
    under the bare name when somebody promotes it, and not before.
    """

    def __init__(self, writable: Path, bundled: Path | None = None) -> None:
        """Look at both directories once; neither has to exist."""
        self._writable = writable
        self._roots = [root for root in (bundled, writable) if root is not None]
        self._lock = threading.Lock()
        self._checked: dict[Path, _Checked] = {}
        self._models: dict[str, _Model] = {}
        self._warned: set[Path] = set()
        self.refresh()

    def refresh(self) -> None:
        """Look again: new versions are verified, moved aliases followed. Safe from any thread."""
        with self._lock:
            names = sorted({name for root in self._roots for name in _model_names(root)})
            found = {name: self._look_at(name) for name in names}
            self._models = {name: model for name, model in found.items() if model.versions}

    def open(self, reference: str) -> LoadedArtifact:
        """Give the verified artifact that ``name``, ``name@alias`` or ``name@version`` means.

        Raises:
            InvalidRequest: if the reference is no such thing.
            NotFound: if there is no such model, version or alias.
            ArtifactRefused: if the version failed verification.
        """
        try:
            return self._find(reference)
        except NotFound:
            self.refresh()  # it may have been exported a moment ago
            return self._find(reference)

    def names(self) -> tuple[str, ...]:
        """Give the names of all models, in order."""
        return tuple(self._models)

    def versions(self, name: str) -> tuple[VersionStatus, ...]:
        """Give all versions of a model, oldest first.

        Raises:
            NotFound: if there is no such model.
        """
        found = self._model(name).versions
        return tuple(_status(name, version, found[version]) for version in sorted(found))

    def aliases(self, name: str) -> dict[str, int]:
        """Give what each alias of a model means in service."""
        return dict(self._model(name).serving)

    def refusals(self) -> dict[str, str]:
        """Give the reason of every refused version, by ``name@version``."""
        return {
            f"{status.name}@{status.version}": status.refusal.detail
            for name in self.names()
            for status in self.versions(name)
            if status.refusal is not None
        }

    def next_version(self, name: str) -> int:
        """Give the number that a new export of this name must take, above all that exist."""
        self.refresh()
        model = self._models.get(name)
        return max(model.versions, default=0) + 1 if model else 1

    def promote(self, name: str, alias: str, version: int) -> int | None:
        """Move an alias to a version; give what it meant before.

        Raises:
            InvalidRequest: if the alias is no name.
            NotFound: if there is no such model or version.
            Conflict: if the version failed verification.
        """
        if not NAME_PATTERN.fullmatch(alias) or alias.isdecimal():
            raise InvalidRequest(
                "found an alias that is no name", code="bad-name", fix="Use a word: champion."
            )
        try:
            self.open(f"{name}@{version}")
        except ArtifactRefused as error:
            raise Conflict(error.detail, code="artifact-refused", fix=error.fix) from error
        with self._lock:
            model = self._models[name]
            before = model.aliases.get(alias, ())
            serving = model.serving.get(alias)
            if before[:1] != (version,):
                kept = before or ((serving,) if serving and serving != version else ())
                write_alias(self._writable / name, alias, (version, *kept))
        self.refresh()
        return serving

    def rollback(self, name: str, alias: str = CHAMPION) -> int:
        """Move an alias back to the version before; give that version.

        Raises:
            NotFound: if there is no such model or alias.
            Conflict: if there is no version before, or it failed verification.
        """
        history = self._model(name).aliases.get(alias)
        if history is None:
            raise NotFound("the alias was never moved", code="alias-not-found", fix=NAME_FIX)
        if len(history) < 2:
            raise Conflict(
                "the alias has no version before",
                code="nothing-to-roll-back",
                fix="Promote a version by its number.",
            )
        self.open(f"{name}@{history[1]}")
        write_alias(self._writable / name, alias, history[1:])
        self.refresh()
        return history[1]

    def _find(self, reference: str) -> LoadedArtifact:
        name, _, selector = reference.partition("@")
        model = self._model(name)
        if selector.isdecimal():
            # One version has one name: `@01` is none of them.
            found = None if selector[0] == "0" else model.versions.get(int(selector))
        else:
            found = model.versions.get(self._meant(model, selector or CHAMPION))
        if found is None:
            numbers = ", ".join(map(str, sorted(model.versions)))
            raise NotFound(
                f"the model has no such version; expected one of {numbers}",
                code="version-not-found",
                pointer="/model",
                fix=NAME_FIX,
            )
        if isinstance(found, ArtifactRefused):
            raise found
        return found

    def _meant(self, model: _Model, alias: str) -> int:
        if alias in model.serving:
            return model.serving[alias]
        refusals = [item for item in model.versions.values() if isinstance(item, ArtifactRefused)]
        if alias == CHAMPION and refusals:
            raise refusals[-1]
        names = ", ".join(sorted(model.serving)) or "none"
        raise NotFound(
            f"the model has no such alias; it has {names}",
            code="alias-not-found",
            pointer="/model",
            fix=NAME_FIX,
        )

    def _model(self, name: str) -> _Model:
        if not NAME_PATTERN.fullmatch(name):
            raise InvalidRequest(
                "found a model name that is none",
                code="bad-name",
                pointer="/model",
                fix="Use lower-case letters, digits, '.', '_' and '-', at most 64; no path.",
            )
        if name not in self._models:
            known = ", ".join(self._models) or "none"
            raise NotFound(
                f"there is no such model; expected one of: {known}",
                code="model-not-found",
                pointer="/model",
                fix=NAME_FIX,
            )
        return self._models[name]

    def _look_at(self, name: str) -> _Model:
        versions: dict[int, LoadedArtifact | ArtifactRefused] = {}
        aliases: dict[str, tuple[int, ...]] = {}
        for root in self._roots:
            for directory in _version_directories(root / name):
                versions[int(directory.name)] = self._check(directory, versions)
            aliases |= read_aliases(root / name)
        serving = self._serving(name, versions, aliases)
        return _Model(versions, aliases, serving)

    def _check(self, directory: Path, earlier: Versions) -> LoadedArtifact | ArtifactRefused:
        if int(directory.name) in earlier:
            self._warn_once(directory, "version exists twice, the bundled one is used")
            return earlier[int(directory.name)]
        known = self._checked.get(directory)
        signature = _signature(directory)
        if known and (isinstance(known.result, LoadedArtifact) or known.signature == signature):
            return known.result
        try:
            result: LoadedArtifact | ArtifactRefused = verify(directory)
        except ArtifactRefused as error:
            result = error
            log.error("artifact refused", reason=error.detail)
        self._checked[directory] = _Checked(signature, result)
        return result

    def _warn_once(self, directory: Path, what: str) -> None:
        if directory not in self._warned:
            self._warned.add(directory)
            log.warning(what, path=str(directory))

    def _serving(self, name: str, versions: Versions, aliases: Aliases) -> dict[str, int]:
        usable = [v for v, item in versions.items() if isinstance(item, LoadedArtifact)]
        known = self._models.get(name)
        serving: dict[str, int] = {}
        for alias, history in aliases.items():
            before = known.serving.get(alias, history[0]) if known else history[0]
            chosen = next((v for v in (history[0], before, *history[1:]) if v in usable), None)
            if chosen is not None:
                serving[alias] = chosen
        if CHAMPION not in aliases and usable:
            serving[CHAMPION] = min(usable)
        return serving


def _status(name: str, version: int, found: LoadedArtifact | ArtifactRefused) -> VersionStatus:
    if isinstance(found, LoadedArtifact):
        return VersionStatus(name, version, found, None)
    return VersionStatus(name, version, None, found)


def _model_names(root: Path) -> Iterator[str]:
    if root.is_dir():
        yield from (
            path.name
            for path in root.iterdir()
            if NAME_PATTERN.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
        )


def _version_directories(model: Path) -> list[Path]:
    if not model.is_dir():
        return []
    found = [path for path in model.iterdir() if path.is_dir() and path.name != FOLDER]
    numbered = [path for path in found if path.name.isdecimal() and path.name[0] != "0"]
    return sorted(numbered, key=lambda path: int(path.name))


def _signature(directory: Path) -> tuple[int, ...]:
    """Give what changes when a refused version is repaired: sizes and times of its files."""
    paths = [directory / MANIFEST_FILE, *sorted(directory.iterdir())]
    stats = [path.lstat() for path in paths if path.exists()]
    return tuple(number for stat in stats for number in (stat.st_size, stat.st_mtime_ns))
