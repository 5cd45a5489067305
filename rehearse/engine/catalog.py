"""The pipelines of a workspace: the files under `orchestra/`, read again when they change, and those of the store.

A file that is broken is there with its problems, and hides no other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings
from rehearse.engine.plans import PIPELINES
from rehearse.errors import InvalidPipeline, RehearseError, UsageError
from rehearse.language.document import SUFFIXES, parse_document
from rehearse.language.validation import LoadedPipeline, check, load_pipeline
from rehearse.store import catalog as stored
from rehearse.store.ids import pipeline_id
from rehearse.store.records import Store, timestamp


@dataclass(frozen=True)
class Entry:
    """`loaded` is None while the pipeline is broken; `error` says why. `path`: of a file. `row`: what the store has of it."""

    alias: str
    loaded: LoadedPipeline | None
    error: RehearseError | None = None
    path: Path | None = None
    row: Mapping[str, Any] | None = None
    created_at: str = ""
    updated_at: str = ""

    @property
    def id(self) -> str:
        return pipeline_id(self.alias)

    @property
    def paused(self) -> bool:
        return bool(self.row and self.row["paused"])

    @property
    def is_stored(self) -> bool:
        """Whether it was created over the API, and has versions."""
        return self.path is None

    @property
    def name(self) -> str:
        return str(self.loaded.pipeline.name) if self.loaded else str(self.row["name"]) if self.row else self.alias


@dataclass
class Files:
    """Files as they were read last; may be shared by threads."""

    root: Path
    _known: dict[Path, tuple[tuple[int, int], LoadedPipeline | None, RehearseError | None]] = field(
        default_factory=dict
    )
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def entries(self) -> Iterator[Entry]:
        """Of two files with the same alias the first one counts."""
        seen = set()
        folder = self.root / PIPELINES
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in SUFFIXES and path.stem not in seen and (entry := self._entry(path)) is not None:
                seen.add(path.stem)
                yield entry

    def _entry(self, path: Path) -> Entry | None:
        try:
            stat = path.stat()
            if not path.is_file() or not path.resolve().is_relative_to(self.root.resolve()):
                return None
        except OSError:
            return None  # it went away while we looked
        stamp = (stat.st_mtime_ns, stat.st_size)
        with self._lock:
            found = self._known.get(path)
            if found is None or found[0] != stamp:
                found = self._known[path] = (stamp, *_read(path, self.root))
        moment = timestamp(datetime.fromtimestamp(stat.st_mtime, UTC)) or ""
        return Entry(path.stem, found[1], found[2], path, None, moment, moment)


class Catalog:
    """Of one moment. Raises StoreError when it is made."""

    def __init__(self, files: Files, store: Store):
        self._store = store
        self._entries: dict[str, Entry] = {}
        rows = {row["alias"]: row for row in stored.pipelines(store.database)}
        for entry in files.entries():
            row = rows.pop(entry.alias, None)
            row = row if row and row["storage"] == stored.FILE else None
            self._entries[entry.alias] = Entry(
                entry.alias, entry.loaded, entry.error, entry.path, row, entry.created_at, entry.updated_at
            )
        for alias, row in rows.items():
            if row["storage"] != stored.FILE:  # else its file is gone
                loaded, error = load_text(alias, row["published"] or row["definition"])
                self._entries[alias] = Entry(alias, loaded, error, None, row, row["created_at"], row["updated_at"])

    def entries(self) -> list[Entry]:
        """In the order of their aliases."""
        return sorted(self._entries.values(), key=lambda entry: entry.alias)

    def find(self, wanted: str) -> Entry | None:
        """By alias or id."""
        found = self._entries.get(wanted)
        return found or next((entry for entry in self._entries.values() if entry.id == wanted.lower()), None)

    def loaded(self, entry: Entry, version: int | None = None) -> LoadedPipeline:
        """What a run of it executes: its file, or a version, the published one by default.

        Raises InvalidPipeline, and UsageError when there is no such version, or none is published.
        """
        if entry.is_stored and entry.row is not None:
            if version is None and entry.row["published_version"] is None:
                raise UsageError(f"no version of {entry.alias} is published", "publish one, or name a version")
            if version is not None:
                text = stored.version(self._store.database, entry.id, version)
                if text is None:
                    raise UsageError(
                        f"{entry.alias} has no version {version}", f"the latest is {entry.row['latest_version']}"
                    )
                found, error = load_text(entry.alias, text)
                if found is None:
                    assert error is not None
                    raise error
                return found
        elif version is not None:
            raise UsageError(f"{entry.alias} is a file, and has no versions", "name a branch or commit instead")
        if entry.loaded is None:
            assert entry.error is not None
            raise entry.error
        return entry.loaded


@lru_cache(maxsize=256)
def load_text(alias: str, text: str) -> tuple[LoadedPipeline | None, RehearseError | None]:
    """A pipeline that is no file; runs keep the text as their snapshot."""
    document = parse_document(text, f"{alias}.yml")
    pipeline, problems = check(document)
    if pipeline is None or any(problem.severity == "error" for problem in problems):
        return None, InvalidPipeline(problems)
    return LoadedPipeline(f"{alias}.yml", text, pipeline, problems), None


def _read(path: Path, root: Path) -> tuple[LoadedPipeline | None, RehearseError | None]:
    try:
        loaded = load_pipeline(path)
    except RehearseError as e:
        return None, e
    return LoadedPipeline(str(path.relative_to(root)), loaded.text, loaded.pipeline, loaded.warnings), None


def with_stored(bindings: Bindings, store: Store) -> Bindings:
    """The bindings with the environments that were created over the API. Those of rehearse.toml win, and come first."""
    rows = sorted(stored.environments(store.database), key=lambda row: not row["is_default"])
    found = {row["name"]: {name: item["value"] for name, item in row["variables"].items()} for row in rows}
    return replace(bindings, environments={**bindings.environments, **found, **bindings.environments})
