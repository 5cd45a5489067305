"""The objects catalogue: python/objects/<source>.yml says what can be ingested and how. See docs/ingest.md."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal, get_args

from ingestion.errors import UsageError, did_you_mean

OBJECTS = Path(__file__).resolve().parent.parent / "objects"
SETTINGS = "_source"
"""The key of a catalogue file that describes the source itself; every other key is an object."""

Pattern = Literal["merge", "replace", "append", "history", "snapshot"]
Deletes = Literal["none", "flag", "compare_keys"]
Contract = Literal["evolve", "freeze", "quarantine"]
Mask = Literal["hash", "null"]
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


@dataclass(frozen=True)
class Entry:
    """One object of a source.

    entity: the source's own name for it; key: its key columns, as the source spells them; cursor: the column that grows
    with every change (None: no incremental load); pattern: how rows get into the table; deletes: how deleted rows are
    found; columns: the columns to read, all when empty; lag: how far below the last cursor an incremental load reads again,
    for rows that are committed late (`15m`, or a number for a cursor that is one); types: what columns must be, in
    DuckDB's names; contract: what becomes of rows and columns that the table does not know; mask: column -> hash or null;
    read: options of the source's own.
    """

    source: str
    name: str
    entity: str
    key: tuple[str, ...]
    cursor: str | None
    pattern: Pattern
    deletes: Deletes = "none"
    columns: tuple[str, ...] = ()
    lag: str | int | None = None
    types: Mapping[str, str] = field(default_factory=dict)
    contract: Contract = "evolve"
    mask: Mapping[str, Mask] = field(default_factory=dict)
    read: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return f"raw_{self.source}.{self.name}"

    @property
    def is_incremental(self) -> bool:
        """Whether an invocation reads only what is new. Rows that vanish from a history show up in a complete read only."""
        return self.cursor is not None and (
            self.pattern in ("merge", "append") or (self.pattern == "history" and self.deletes == "flag")
        )

    @property
    def lag_value(self) -> float:
        """Seconds, or the number that is taken off a numeric cursor."""
        return _lag(self.lag) if self.lag else 0


@dataclass(frozen=True)
class SourceSettings:
    """What a catalogue file says of its source. kind: the module that reads it; options: what that module wants to know."""

    name: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)


def known_sources(folder: Path = OBJECTS) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.yml"))


def read_source(source: str, folder: Path = OBJECTS) -> dict[str, Entry]:
    """Every entry of one source by its name. Raises UsageError naming the file and the object."""
    document, path = _document(source, folder)
    return {
        str(name): entry_of(source, str(name), raw, f"{path}: {name}")
        for name, raw in document.items()
        if name != SETTINGS
    }


def find_entry(source: str, name: str, folder: Path = OBJECTS) -> Entry:
    """One entry. Raises UsageError listing what is known, with a suggestion."""
    entries = read_source(source, folder)
    if name not in entries:
        raise UsageError(
            f"unknown object {name!r} of source {source}.{did_you_mean(name, entries)}",
            hint=f"known objects of {source}: {', '.join(entries)}; any other one with --key or --pattern replace",
        )
    return entries[name]


def find_settings(source: str, folder: Path = OBJECTS) -> SourceSettings:
    """What reads a source: its catalogue file says, else the module of the same name. Raises UsageError."""
    document, path = _document(source, folder)
    raw = document.get(SETTINGS, {})
    if not isinstance(raw, dict) or not isinstance(raw.get("kind", source), str):
        raise UsageError(f"the source {source} is not described well", where=str(path), why="_source: {kind: ...}")
    return SourceSettings(
        source, raw.get("kind", source), {name: value for name, value in raw.items() if name != "kind"}
    )


def entry_of(source: str, name: str, raw: Any, where: str) -> Entry:
    """An entry, checked. Raises UsageError."""

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
    for key in ("types", "mask", "read"):
        values[key] = values.get(key) or {}
        if not isinstance(values[key], dict) or not all(isinstance(name, str) for name in values[key]):
            raise wrong(f"{key!r} must be a mapping")
    values["mask"] = {column: "null" if how is None else how for column, how in values["mask"].items()}
    choices: list[tuple[str, Any, tuple[str, ...]]] = [
        ("pattern", values["pattern"], get_args(Pattern)),
        ("deletes", values.get("deletes", "none"), get_args(Deletes)),
        ("contract", values.get("contract", "evolve"), get_args(Contract)),
        *((f"mask of {column}", how, get_args(Mask)) for column, how in values["mask"].items()),
    ]
    for key, value, allowed in choices:
        if value not in allowed:
            raise wrong(f"{key} is {value!r}, expected one of {', '.join(allowed)}.{did_you_mean(str(value), allowed)}")
    entry = Entry(source=source, name=name, **values)
    if problem := _contradiction(entry):
        raise wrong(problem)
    return entry


def _contradiction(entry: Entry) -> str | None:
    if not isinstance(entry.entity, str) or not entry.entity:
        return "'entity' must be a name"
    if entry.cursor is not None and not isinstance(entry.cursor, str):
        return "'cursor' must be a column name, or null"
    if entry.pattern == "merge" and not (entry.key and entry.cursor):
        return "pattern merge needs a key and a cursor"
    if entry.pattern == "append" and not entry.cursor:
        return "pattern append needs a cursor: without one each invocation would append every row again"
    if entry.pattern == "history" and not entry.key:
        return "pattern history needs a key: it tells which row a new version belongs to"
    if entry.deletes == "compare_keys" and entry.pattern != "merge":
        return "deletes compare_keys needs pattern merge (the other patterns read or keep every row)"
    if entry.lag is not None:
        if entry.pattern != "merge":
            return "lag needs pattern merge: rows that are read again would be there twice"
        try:
            _lag(entry.lag)
        except ValueError:
            return f"lag is {entry.lag!r}, expected a number with s, m, h or d (15m), or just a number"
    if not all(isinstance(kind, str) for kind in entry.types.values()):
        return "'types' must map columns to types, such as decimal(12,2)"
    if entry.columns and (missing := {*entry.key, *filter(None, [entry.cursor])} - set(entry.columns)):
        return f"columns lacks {', '.join(sorted(missing))}, which the key or the cursor needs"
    if entry.cursor in entry.mask:
        return f"the cursor {entry.cursor} cannot be masked: its values are compared"
    return None


def _lag(text: str | int) -> float:
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        return float(text)
    match = re.fullmatch(r"(\d+)([smhd])", str(text).strip())
    if not match:
        raise ValueError(text)
    return timedelta(**{_UNITS[match[2]]: int(match[1])}).total_seconds()


def _document(source: str, folder: Path) -> tuple[dict[str, Any], Path]:
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
    return document, path
