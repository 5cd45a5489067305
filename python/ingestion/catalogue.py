"""The objects catalogue: python/objects/<source>.yml says what can be ingested and how."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, get_args

from ingestion.errors import UsageError, did_you_mean

OBJECTS = Path(__file__).resolve().parent.parent / "objects"

Pattern = Literal["merge", "replace"]
Deletes = Literal["none", "flag", "compare_keys"]


@dataclass(frozen=True)
class Entry:
    """One object of a source.

    entity: the source's own name for it; key: its key columns, as the source spells them; cursor: the column that grows
    with every change (None: no incremental load); pattern: merge on the key, or replace the table each time; deletes:
    how deleted rows are found; columns: the columns to read, all when empty.
    """

    source: str
    name: str
    entity: str
    key: tuple[str, ...]
    cursor: str | None
    pattern: Pattern
    deletes: Deletes = "none"
    columns: tuple[str, ...] = ()

    @property
    def table(self) -> str:
        return f"raw_{self.source}.{self.name}"


def known_sources(folder: Path = OBJECTS) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yml"))


def read_source(source: str, folder: Path = OBJECTS) -> dict[str, Entry]:
    """Every entry of one source by its name. Raises UsageError naming the file and the object."""
    import yaml

    path = folder / f"{source}.yml"
    if not path.is_file():
        known = known_sources(folder)
        raise UsageError(
            f"unknown source {source!r}.{did_you_mean(source, known)}", hint=f"known sources: {', '.join(known)}"
        )
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        why = getattr(error, "problem", None) or str(error)
        raise UsageError("the catalogue is not valid YAML", where=where, why=why) from error
    if not isinstance(document, dict) or not document:
        raise UsageError(
            "the catalogue holds no objects", where=str(path), why="expected a mapping: object name -> entry"
        )
    return {str(name): _entry(source, str(name), raw, path) for name, raw in document.items()}


def find_entry(source: str, name: str, folder: Path = OBJECTS) -> Entry:
    """One entry. Raises UsageError listing what is known, with a suggestion."""
    entries = read_source(source, folder)
    if name not in entries:
        raise UsageError(
            f"unknown object {name!r} of source {source}.{did_you_mean(name, entries)}",
            hint=f"known objects of {source}: {', '.join(entries)}",
        )
    return entries[name]


def _entry(source: str, name: str, raw: Any, path: Path) -> Entry:
    where = f"{path}: {name}"

    def wrong(why: str) -> UsageError:
        return UsageError(f"the catalogue entry {source}.{name} is invalid", where=where, why=why)

    if not isinstance(raw, dict):
        raise wrong("expected a mapping with entity, key, cursor and pattern")
    known = [field.name for field in fields(Entry) if field.name not in ("source", "name")]
    for key in raw:
        if key not in known:
            raise wrong(f"unknown key {key!r}.{did_you_mean(str(key), known)}")
    for key in ("entity", "key", "cursor", "pattern"):
        if key not in raw:
            raise wrong(f"missing key {key!r}")
    values = dict(raw)
    for key in ("key", "columns"):
        value = values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise wrong(f"{key!r} must be a list of column names")
        values[key] = tuple(value)
    for key, choices in (("pattern", get_args(Pattern)), ("deletes", get_args(Deletes))):
        value = values.get(key, "none")
        if value not in choices:
            raise wrong(f"{key} is {value!r}, expected one of {', '.join(choices)}.{did_you_mean(str(value), choices)}")
    entry = Entry(source=source, name=name, **values)
    if not isinstance(entry.entity, str) or not entry.entity:
        raise wrong("'entity' must be a name")
    if entry.cursor is not None and not isinstance(entry.cursor, str):
        raise wrong("'cursor' must be a column name, or null")
    if entry.pattern == "merge" and not (entry.key and entry.cursor):
        raise wrong("pattern merge needs a key and a cursor")
    if entry.deletes == "compare_keys" and entry.pattern != "merge":
        raise wrong("deletes compare_keys needs pattern merge (replace drops deleted rows by itself)")
    if entry.columns and (missing := {*entry.key, *filter(None, [entry.cursor])} - set(entry.columns)):
        raise wrong(f"columns lacks {', '.join(sorted(missing))}, which the key or the cursor needs")
    return entry
