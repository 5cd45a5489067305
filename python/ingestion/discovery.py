"""Entries for the catalogue, written from what a source has."""

from __future__ import annotations

import re
from contextlib import closing
from fnmatch import fnmatchcase

from ingestion.catalogue import find_settings, read_source
from ingestion.errors import UsageError
from ingestion.sources import Found, open_source

_CURSORS = (
    "updated_at", "systemmodstamp", "lastmodifieddate", "modified_at", "last_modified", "changed_at", "lastchangedatetime",
    "modified", "updated", "changed_on", "updated_on", "last_update",
)  # fmt: skip
"""Names that such columns have, the likeliest first."""


def discovered(source: str, like: str = "*") -> str:
    """YAML of the entities that the catalogue lacks. Raises UsageError, ConfigError, SourceError."""
    known = {entry.entity for entry in read_source(source).values()}
    with closing(open_source(find_settings(source))) as opened:
        entities = getattr(opened, "entities", None)
        if entities is None:
            raise UsageError(f"{source} does not tell what it has", hint="write the entry: see docs/ingest.md")
        found = [f for f in entities() if fnmatchcase(f.entity, like) and f.entity not in known]
    if not found:
        return f"# {source}: nothing that is like {like} and not in the catalogue yet\n"
    return "".join(_entry(f) for f in sorted(found, key=lambda f: f.entity))


def _entry(found: Found) -> str:
    cursor = _cursor(found)
    pattern = "merge" if cursor and found.key else "replace"
    name = re.sub(r"\W+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", found.entity.rpartition(".")[2])).lower()
    others = [column for column, is_time in found.columns.items() if is_time and column != cursor]
    hint = f"                              # or: {', '.join(others)}" if others else ""
    lines = [f"{name}:", f"  entity: {found.entity}", f"  key: [{', '.join(found.key)}]", f"  cursor: {cursor or 'null'}{hint}",
             f"  pattern: {pattern}"]  # fmt: skip
    if pattern == "merge":
        lines.append("  deletes: compare_keys")
    return "\n".join(lines) + "\n"


def _cursor(found: Found) -> str | None:
    times = {column.lower(): column for column, is_time in found.columns.items() if is_time}
    return next((times[name] for name in _CURSORS if name in times), None)
