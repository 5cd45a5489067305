"""Connections: that what they name is there, and that they lead somewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

from rehearse.bindings.connections import Connection
from rehearse.bindings.fields import is_secret_field
from rehearse.bindings.secrets import FILES, read_env_file
from rehearse.checks.base import FAIL, OK, WARN, Finding, Patient, would_take
from rehearse.errors import BindingError
from rehearse.language.words import did_you_mean
from rehearse.planning.secrets import SHORTEST, is_secret_name

REACH_SECONDS = 1.0
_ADDRESSES = ("url", "base_url", "endpoint_url", "api_endpoint", "host")
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "mysql": 3306}
_DEFAULT_PORTS = {
    "SFTP": 22, "LINUX_SSH": 22, "WINDOWS_SSH": 22, "POSTGRES": 5432, "AWS_REDSHIFT": 5439, "MYSQL": 3306, "SQL_SERVER": 1433,
    "FABRIC_SYNAPSE": 1433, "AZURE_SYNAPSE_ANALYTICS": 1433, "CLICKHOUSE": 8123, "DATABRICKS": 443, "SNOWFLAKE": 443,
    "AWS_SES": 587,
}  # fmt: skip
_CLIENTS = {
    "SNOWFLAKE": "snowflake.connector", "GCP_BIG_QUERY": "google.cloud.bigquery", "DATABRICKS": "databricks.sql",
    "CLICKHOUSE": "clickhouse_connect", "MYSQL": "pymysql", "SQL_SERVER": "mssql_python", "FABRIC_SYNAPSE": "mssql_python",
    "AZURE_SYNAPSE_ANALYTICS": "mssql_python",
    "AWS_S3": "boto3", "AWS_SES": "boto3", "SFTP": "paramiko", "LINUX_SSH": "paramiko", "WINDOWS_SSH": "paramiko",
}  # fmt: skip


def variables(patient: Patient) -> Iterator[Finding]:
    """Every `${NAME}` of a connection that is used for real has a value."""
    for connection in _real(patient):
        what = f"connection '{connection.id}'"
        try:
            connection.variables()
        except BindingError as e:
            yield Finding(WARN, what, _why(e, connection), e.hint)
            continue
        missing = []
        for name, text in connection.written():
            try:
                connection.fill(text)
            except BindingError as e:
                missing.append(Finding(WARN, f"{what}, {name}", _why(e, connection), e.hint))
        yield from missing or [Finding(OK, f"{what} ({connection.mode}) has all that it names")]


def credentials(patient: Patient) -> Iterator[Finding]:
    """Variables of the type integration_credential name connections."""
    for environment, variables in patient.bindings.credentials.items():
        for variable, connection_id in variables.items():
            if connection_id not in patient.bindings.connections:
                what = f"{variable} of the environment '{environment}'"
                hint = did_you_mean(connection_id, patient.bindings.connections)
                then = hint or f"add [connections.{connection_id}] to rehearse.toml"
                yield Finding(WARN, what, f"there is no connection '{connection_id}'", then)


def secrets(patient: Patient) -> Iterator[Finding]:
    """Secrets can be masked, and their files are private and out of git's sight."""
    for connection in _real(patient):
        for name in _short(connection):
            why = f"it is shorter than {SHORTEST} characters, and so not masked in logs"
            yield Finding(WARN, f"connection '{connection.id}', {name}", why, "make it longer")
    named = {c.env_file for c in patient.bindings.connections.values() if c.env_file}
    for path in sorted({*named, *(patient.root / name for name in FILES)}):
        if not path.exists():
            continue
        try:
            read_env_file(path)
        except BindingError as e:
            yield Finding(FAIL, _shown(patient, path), str(e).removeprefix(f"{path} "), e.hint)
        if would_take(patient.root, str(path)):
            yield Finding(
                FAIL,
                _shown(patient, path),
                "holds secrets, and git does not ignore it",
                f"echo {path.name} >> .gitignore",
            )


def clients(patient: Patient) -> Iterator[Finding]:
    """Remote connections have their client library."""
    for connection in _real(patient):
        module = _CLIENTS.get(connection.integration)
        if module is None or not {"path", "url"}.isdisjoint(connection.fields):
            continue  # with those it is DuckDB or PostgreSQL
        try:
            found = find_spec(module) is not None
        except ImportError:
            found = False
        if not found:
            why = f"the Python module {module} is not installed"
            yield Finding(FAIL, f"connection '{connection.id}'", why, "install the group `clients` of pyproject.toml")


def reach(patient: Patient) -> Iterator[Finding]:
    """Somebody listens where connections lead; all are asked at the same time."""
    if patient.offline:
        return
    targets = {}
    for connection in _real(patient):
        try:
            target = _target(connection)
        except BindingError:
            continue  # `variables` says so
        except ValueError:  # its text may quote a password
            why = "its address cannot be read, so its tasks fail"
            yield Finding(
                FAIL, f"connection '{connection.id}'", why, "write scheme://host:port, the port from 1 to 65535"
            )
            continue
        if target is not None:
            targets[connection.id] = target
    for connection_id, problem in _knock(targets).items():
        host, port = targets[connection_id]
        what = f"connection '{connection_id}', {host}:{port}"
        hint = patient.bindings.connections[connection_id].fields.get("hint")
        yield Finding(OK, f"{what} answers") if problem is None else Finding(WARN, what, problem, hint)


def _shown(patient: Patient, path: Path) -> str:
    return str(path.relative_to(patient.root) if path.is_relative_to(patient.root) else path)


def _why(error: BindingError, connection: Connection) -> str:
    """What the error says, without the connection that is named before it."""
    return str(error).removeprefix(f"connection '{connection.id}' ")


def _short(connection: Connection) -> list[str]:
    """Secret variables and fields that are there and too short."""
    try:
        values = {name: value for name, value in connection.variables().items() if is_secret_name(name)}
    except BindingError:
        return []  # `variables` says so
    for name in connection.fields:
        if is_secret_field(connection.integration, name):
            try:
                values[name] = connection.get(name) or ""
            except BindingError:
                continue
    return sorted(name for name, value in values.items() if 0 < len(value) < SHORTEST)


def _real(patient: Patient) -> list[Connection]:
    return [c for c in patient.bindings.connections.values() if c.mode in ("local", "remote")]


def _target(connection: Connection) -> tuple[str, int] | None:
    """Raises BindingError, and ValueError for what is no address."""
    for name in _ADDRESSES:
        text = connection.get(name)
        if not text:
            continue
        parts = urlsplit(text if "://" in text else f"//{text}")
        default = _PORTS.get(parts.scheme, 0) or _DEFAULT_PORTS.get(connection.integration, 0)
        port = parts.port or int(connection.get("port") or default)
        if not 0 <= port < 65536:
            raise ValueError
        return (parts.hostname, port) if parts.hostname and port else None
    return None


def _knock(targets: dict[str, tuple[str, int]]) -> dict[str, str | None]:
    """connection -> why nobody answers, or None. Threads that nobody waits for: looking up a name takes no timeout."""
    answers: dict[str, str | None] = dict.fromkeys(targets, f"nobody answers within {REACH_SECONDS:g} s")

    def ask(connection_id: str) -> None:
        answers[connection_id] = _answers(targets[connection_id])

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in targets]
    for thread in threads:
        thread.start()
    end = time.monotonic() + 2 * REACH_SECONDS
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return dict(answers)


def _answers(target: tuple[str, int]) -> str | None:
    """Why not, or None."""
    try:
        socket.create_connection(target, REACH_SECONDS).close()
    except UnicodeError:
        return "this is no name of a host"
    except OSError as e:
        return f"nobody answers: {e.strerror or e}"
    return None
