"""What an invocation asks for: a flag beats a variable, a variable beats PARAMS, and an empty variable counts as absent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ingestion.catalogue import Entry, SourceSettings, entry_of, find_entry, find_settings, known_sources, read_source
from ingestion.errors import UsageError, did_you_mean

VARIABLES = ("SOURCE", "OBJECT", "DESTINATION", "FULL_REFRESH", "PARAMS")
"""dlt reads these variables too, where they mean something else: FULL_REFRESH would switch on its development mode, which
loads into a dataset of another name."""
KEYS = (
    "source", "object", "destination", "full_refresh", "from", "to", "date", "limit", "dry_run", "verify", "entity", "key",
    "cursor", "pattern", "table_format",
)  # fmt: skip
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")
EXAMPLE = "PARAMS='{\"full_refresh\": true}'"


@dataclass(frozen=True)
class Parameters:
    """As text and flags, before the catalogue was asked."""

    source: str
    object: str
    destination: str
    full_refresh: bool
    dry_run: bool
    verify: bool
    limit: int | None
    lower: str | None
    upper: str | None
    day: date | None
    given: Mapping[str, str]
    """What is said of an object without the catalogue: entity, key, cursor, pattern."""
    table_format: str | None = None


def resolve(flags: Mapping[str, Any]) -> Parameters:
    """Raises UsageError."""
    options = _options(flags.get("params"))
    values = {name: _first(flags.get(name), os.environ.get(name.upper()) if name.upper() in VARIABLES else None,
                           options.get(name)) for name in KEYS}  # fmt: skip
    for name in VARIABLES:
        os.environ.pop(name, None)
    if missing := [name for name in ("source", "object") if not values[name]]:
        raise UsageError(
            f"which {' and '.join(missing)}?",
            why=" and ".join(f"neither --{name} nor {name.upper()} is given" for name in missing),
            hint=f"known sources: {', '.join(known_sources())}; python python/ingest.py --help",
        )
    given = {name: str(values[name]) for name in ("entity", "key", "cursor", "pattern") if values[name]}
    return Parameters(
        source=str(values["source"]), object=str(values["object"]), destination=str(values["destination"] or "duckdb"),
        full_refresh=_flag("full_refresh", values["full_refresh"]), dry_run=_flag("dry_run", values["dry_run"]),
        verify=_flag("verify", values["verify"]), limit=_number("limit", values["limit"]),
        lower=_text(values["from"]), upper=_text(values["to"]), day=_day(values["date"]),
        table_format=_text(values["table_format"]), given=given,
    )  # fmt: skip


def entry_and_settings(parameters: Parameters) -> tuple[Entry, SourceSettings]:
    """From the catalogue, or from what --key and others say of an object that it does not have. Raises UsageError."""
    settings = find_settings(parameters.source)
    if not parameters.given:
        return find_entry(parameters.source, parameters.object), settings
    if parameters.object in (known := read_source(parameters.source)):
        raise UsageError(
            f"{parameters.source}.{parameters.object} stands in the catalogue",
            why=f"--{next(iter(parameters.given))} is for objects that do not",
            hint=f"change python/objects/{parameters.source}.yml, or load it under another name with --entity "
            f"{known[parameters.object].entity}",
        )
    key = [part.strip() for part in parameters.given.get("key", "").split(",") if part.strip()]
    cursor = parameters.given.get("cursor")
    raw = {
        "entity": parameters.given.get("entity", parameters.object), "key": key, "cursor": cursor,
        "pattern": parameters.given.get("pattern", "merge" if key and cursor else "replace"),
    }  # fmt: skip
    name = parameters.object.rpartition(".")[2].lower()
    return entry_of(parameters.source, name, raw, "--key, --cursor, --pattern and --entity"), settings


def bound(text: str | None) -> Any | None:
    """A bound of a range as its cursor compares it: a time in UTC, a number, or the text itself."""
    if text is None:
        return None
    try:
        return int(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        pass
    else:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    try:
        return Decimal(text)
    except InvalidOperation:
        return text


def _options(text: str | None) -> dict[str, Any]:
    text = text or os.environ.get("PARAMS") or "{}"
    try:
        options = json.loads(text)
    except ValueError as error:
        raise UsageError("PARAMS is not JSON", why=str(error), hint=EXAMPLE) from error
    if not isinstance(options, dict):
        raise UsageError("PARAMS must be a JSON object", hint=EXAMPLE)
    for key in options:
        if key not in KEYS:
            raise UsageError(
                f"PARAMS has an unknown key {key!r}.{did_you_mean(key, KEYS)}", hint=f"known: {', '.join(KEYS)}"
            )
    return options


def _first(*values: Any) -> Any:
    """Orchestra's inputs arrive as text: True, False, None, or nothing at all."""
    return next((value for value in values if _text(value) is not None), None)


def _text(value: Any) -> str | None:
    text = "" if value is None else str(value).strip()
    return None if text.lower() in ("", "none", "null") else text


def _flag(name: str, value: Any) -> bool:
    text = (_text(value) or "false").lower()
    if text not in TRUE + FALSE:
        raise UsageError(f"{name} is {value!r}, expected True or False")
    return text in TRUE


def _number(name: str, value: Any) -> int | None:
    text = _text(value)
    if text is None:
        return None
    if not text.isdecimal() or not int(text):
        raise UsageError(f"{name} is {value!r}, expected a number of rows")
    return int(text)


def _day(value: Any) -> date | None:
    text = _text(value)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise UsageError(f"date is {value!r}, expected YYYY-MM-DD") from error
