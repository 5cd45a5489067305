"""Where SQL runs: a connection and the overrides of a task, made into one JSON value for the host (a target).

A target is {"engine": which client, "integration": str, "dialect": of the SQL as written, "connection": id, "where": in
words, "options": {what the client needs}}. A connection with `path` is a DuckDB file, one with `url` a PostgreSQL server,
in every mode. Otherwise `remote` means the integration's own client; rehearse/README.md has the fields of each.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import JobError

VARIABLE = "REHEARSE_SQL"
_CHUNK = 100_000  # one variable of the environment holds at most 128 KB on Linux
_LIMIT = 1_000_000
Target = dict[str, Any]


class Kind(NamedTuple):
    """What an integration speaks (`dialect`, of sqlglot), which client talks to it, and the fields that client reads."""

    dialect: str
    engine: str | None
    fields: tuple[str, ...] = ()
    required: tuple[str, ...] = ()


_SERVER = ("host", "port", "user", "password", "database")
_MSSQL = (*_SERVER, "authentication", "encrypt", "trust_certificate")
KINDS: dict[str, Kind] = {
    "DUCKDB": Kind("duckdb", "duckdb"),
    "MOTHERDUCK": Kind("duckdb", "motherduck", ("token", "database"), ("token",)),
    "BAUPLAN": Kind("duckdb", None),
    "POSTGRES": Kind("postgres", "postgres", _SERVER, ("host", "user", "database")),
    "AWS_REDSHIFT": Kind("redshift", "postgres", _SERVER, ("host", "user", "database")),
    "SNOWFLAKE": Kind(
        "snowflake",
        "snowflake",
        ("account", "user", "password", "token", "private_key", "private_key_passphrase", "authentication",
         "role", "warehouse", "database", "schema", "host", "port", "protocol"),
        ("account", "user"),
    ),
    "SQL_SERVER": Kind("tsql", "mssql", _MSSQL, ("host",)),
    "FABRIC_SYNAPSE": Kind("fabric", "mssql", _MSSQL, ("host",)),
    "AZURE_SYNAPSE_ANALYTICS": Kind("tsql", "mssql", _MSSQL, ("host",)),
    "GCP_BIG_QUERY": Kind(
        "bigquery", "bigquery",
        ("project", "credentials_json", "dataset", "location", "api_endpoint", "enable_drive_scope"), ("project",)
    ),
    "DATABRICKS": Kind(
        "databricks",
        "databricks",
        ("host", "http_path", "warehouse_id", "token", "catalog", "schema"),
        ("host", "token"),
    ),
    "CLICKHOUSE": Kind("clickhouse", "clickhouse", (*_SERVER, "secure"), ("host",)),
    "MYSQL": Kind("mysql", "mysql", (*_SERVER, "secure"), ("host", "user")),
    "DREMIO": Kind("dremio", None),
}  # fmt: skip
NAMES = {
    "duckdb": "DuckDB", "postgres": "PostgreSQL", "redshift": "Redshift", "snowflake": "Snowflake", "tsql": "SQL Server",
    "fabric": "Fabric", "bigquery": "BigQuery", "databricks": "Databricks", "clickhouse": "ClickHouse",
    "mysql": "MySQL", "dremio": "Dremio", "mssql": "SQL Server", "motherduck": "MotherDuck",
}  # fmt: skip
# The schema that a warehouse begins with: here that is DuckDB's `main`.
DEFAULT_SCHEMAS = {
    "snowflake": "public", "postgres": "public", "redshift": "public", "tsql": "dbo", "fabric": "dbo",
    "clickhouse": "default", "databricks": "default",
}  # fmt: skip
# Dialects in which the word before the table is the highest there is: their databases are DuckDB's schemas.
TWO_LEVELS = ("mysql", "clickhouse")
OVERRIDES = ("role", "warehouse", "database", "schema", "location", "warehouse_id", "enable_drive_scope")
_OPTION_OF = {"catalog": "database", "dataset": "schema"}  # other words for the same in BigQuery and Databricks
_SECRET_OPTIONS = ("password", "token", "private_key", "private_key_passphrase", "credentials_json")


def target_of(
    integration: str, connection: Connection | None, root: Path, overrides: Mapping[str, Any], needed_by: str
) -> Target:
    """Raises BindingError when there is no such connection or it lacks something, JobError when there is no client."""
    kind = KINDS.get(integration)
    if kind is None:
        raise JobError(
            f"{needed_by} wants SQL of {integration}, which is no SQL integration", f"one of {', '.join(KINDS)}"
        )
    if connection is None:
        raise BindingError(
            f"{needed_by} names no connection of {integration} and none is the default",
            f'add one to rehearse.toml: integration = "{integration}", default = true',
        )
    if connection.mode not in ("local", "remote"):
        raise JobError(
            f"connection '{connection.id}' is {connection.mode}, and {needed_by} needs a database that answers",
            'bind it with mode = "local" and a path, or mode = "remote"',
        )
    path, url = connection.get("path"), connection.get("url")
    given = {name: overrides[name] for name in OVERRIDES if overrides.get(name) not in (None, "")}
    if path:
        file = path if path == ":memory:" else str(root / path)
        options = {"path": file, "schema": connection.get("schema"), **given}
        return _target("duckdb", kind, integration, connection, f"DuckDB file {path}", options)
    if url and url.startswith(("postgresql://", "postgres://")):
        options = {"url": url, "schema": connection.get("schema") if kind.engine == "postgres" else None, **given}
        return _target("postgres", kind, integration, connection, _where_url(url, given), options)
    if connection.mode == "local":
        if url:
            scheme = urlsplit(url).scheme
            raise BindingError(f"connection '{connection.id}': the url begins with '{scheme}', not with postgresql://")
        raise BindingError(
            f"connection '{connection.id}' has neither 'path' (DuckDB) nor 'url' (PostgreSQL)",
            'add one of them, or mode = "remote" with the fields of its own client',
        )
    return _remote(integration, kind, connection, given)


def _remote(integration: str, kind: Kind, connection: Connection, given: dict[str, Any]) -> Target:
    if kind.engine in (None, "duckdb"):
        raise JobError(
            f"connection '{connection.id}': rehearse has no client for a remote {integration}",
            "give it a 'path' (its SQL then runs on that DuckDB file), or declare a stub",
        )
    options: dict[str, Any] = {_OPTION_OF.get(name, name): connection.get(name) for name in kind.fields}
    missing = [name for name in kind.required if not options.get(name)]
    if missing:
        raise BindingError(
            f"connection '{connection.id}' is remote and lacks {', '.join(missing)}",
            f'add to [connections.{connection.id}]: {missing[0]} = "${{...}}"',
        )
    options |= given
    where = f"{NAMES[str(kind.engine)]} {_place(options)}"
    return _target(str(kind.engine), kind, integration, connection, where, options)


def _place(options: Mapping[str, Any]) -> str:
    """host:port, database and user, as far as they are known: what an error may name."""
    host = options.get("host") or options.get("account") or options.get("api_endpoint") or options.get("project") or ""
    port = f":{options['port']}" if options.get("port") else ""
    rest = [
        f"{name} {options[name]}" for name in ("project", "database", "user") if options.get(name) not in (None, host)
    ]
    return ", ".join([f"{host}{port}", *rest]).strip(", ")


def _where_url(url: str, given: Mapping[str, Any]) -> str:
    parts = urlsplit(url)
    database = given.get("database") or parts.path.lstrip("/")
    host = parts.hostname or "localhost"
    user = f", user {unquote(parts.username)}" if parts.username else ""
    return f"PostgreSQL {host}:{parts.port or 5432}, database {database}{user}"


def _target(
    engine: str, kind: Kind, integration: str, connection: Connection, where: str, options: Mapping[str, Any]
) -> Target:
    return {
        "engine": engine,
        "dialect": kind.dialect,
        "integration": integration,
        "connection": connection.id,
        "where": where,
        "options": {name: value for name, value in options.items() if value not in (None, "")},
        # Read here, because the host's environment is an allowlisted one.
        "lock_seconds": _seconds("REHEARSE_DUCKDB_LOCK_SECONDS", os.environ.get("REHEARSE_DUCKDB_LOCK_SECONDS"), 60),
        "connect_seconds": _seconds("REHEARSE_CONNECT_SECONDS", os.environ.get("REHEARSE_CONNECT_SECONDS"), 10),
    }


def _seconds(name: str, text: str | None, default: float) -> float:
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1
    if not 0 <= value <= 86_400:
        raise BindingError(f"{name}={text} is not a number of seconds", f"export {name}={default}")
    return value


def secrets_of(target: Target) -> tuple[str, ...]:
    """Texts of a target that nobody may see, if they are long enough to be told from others."""
    options = target["options"]
    found = [str(options[name]) for name in _SECRET_OPTIONS if name in options and not is_path(name, options[name])]
    if "://" in options.get("url", ""):
        password = urlsplit(options["url"]).password
        found += [password, unquote(password)] if password else []
    return tuple(dict.fromkeys(each for each in found if len(each) >= 4))  # shorter ones are everywhere in a text


def is_path(name: str, value: str) -> bool:
    """Whether a key or credentials are given as the path of a file, instead of as the text itself."""
    return (name == "private_key" and "PRIVATE KEY" not in value) or (
        name == "credentials_json" and not value.lstrip().startswith("{")
    )


def pack(request: Mapping[str, Any]) -> dict[str, str]:
    """The variables that carry a request to its host. Not arguments: it has passwords, and arguments are visible to every
    user. Raises JobError when it is too long."""
    text = json.dumps(request)
    if len(text) > _LIMIT:
        raise JobError(f"the SQL of this task takes {len(text):,} bytes; more than {_LIMIT:,} cannot be passed on",
                       "load the values from a file, or split the task")  # fmt: skip
    chunks = [text[start : start + _CHUNK] for start in range(0, len(text), _CHUNK)]
    return {VARIABLE if not number else f"{VARIABLE}_{number}": chunk for number, chunk in enumerate(chunks)}


def unpack(environment: Any) -> dict[str, Any]:
    """Take a request out of the environment, so that nothing started later inherits it."""
    text = environment.pop(VARIABLE)
    number = 1
    while f"{VARIABLE}_{number}" in environment:
        text += environment.pop(f"{VARIABLE}_{number}")
        number += 1
    request: dict[str, Any] = json.loads(text)
    return request
