"""Connections: that what they name is there, and that they lead somewhere."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from importlib.util import find_spec
from urllib.parse import urlsplit

from rehearse.bindings.connections import SECRET, Connection
from rehearse.bindings.secrets import FILES
from rehearse.checks.base import FAIL, OK, WARN, Finding, Patient, would_take
from rehearse.errors import BindingError
from rehearse.planning.secrets import SHORTEST, is_secret_name

REACH_SECONDS = 1.0
_ADDRESSES = ("url", "base_url", "endpoint_url", "api_endpoint", "host")
_PORTS = {"http": 80, "https": 443, "postgresql": 5432, "postgres": 5432, "mysql": 3306}
_HOST_PORTS = {
    "SFTP": 22, "LINUX_SSH": 22, "WINDOWS_SSH": 22, "POSTGRES": 5432, "AWS_REDSHIFT": 5439, "MYSQL": 3306,
    "SQL_SERVER": 1433, "FABRIC_SYNAPSE": 1433, "SNOWFLAKE": 443, "DATABRICKS": 443,
}  # fmt: skip
"""Of a `host` that names no port."""
_CLIENTS = {
    "SNOWFLAKE": "snowflake.connector", "GCP_BIG_QUERY": "google.cloud.bigquery", "DATABRICKS": "databricks.sql",
    "CLICKHOUSE": "clickhouse_connect", "MYSQL": "pymysql", "SQL_SERVER": "mssql_python", "FABRIC_SYNAPSE": "mssql_python",
    "AWS_S3": "boto3", "AWS_SES": "boto3", "SFTP": "paramiko", "LINUX_SSH": "paramiko", "WINDOWS_SSH": "paramiko",
}  # fmt: skip


def variables(patient: Patient) -> Iterator[Finding]:
    """Every `${NAME}` of a connection that is used for real has a value."""
    for connection in _real(patient):
        missing = []
        for name, value in connection.fields.items():
            if isinstance(value, str) and "${" in value:
                try:
                    connection.get(name)
                except BindingError as e:
                    missing.append(Finding(WARN, f"connection '{connection.id}', {name}", str(e), e.hint))
        yield from missing or [Finding(OK, f"connection '{connection.id}' ({connection.mode}) has all that it names")]


def secrets(patient: Patient) -> Iterator[Finding]:
    """Secrets can be masked, and their files are private and out of git's sight."""
    for connection in _real(patient):
        try:
            known = connection.variables()
        except BindingError as e:
            if "others" in str(e):
                yield Finding(FAIL, f"connection '{connection.id}'", str(e), e.hint)
            continue
        values = {name: value for name, value in known.items() if is_secret_name(name)} | _secret_fields(connection)
        short = sorted(name for name, value in values.items() if 0 < len(value) < SHORTEST)
        for name in short:
            why = f"it is shorter than {SHORTEST} characters, and so not masked in logs"
            yield Finding(WARN, f"connection '{connection.id}', {name}", why, "make it longer")
    for path in (patient.root / name for name in FILES):
        if path.exists() and path.stat().st_mode & 0o077:
            yield Finding(FAIL, path.name, "it holds secrets, and others can read it", f"chmod 600 {path}")
    for path in sorted({c.env_file for c in patient.bindings.connections.values() if c.env_file}):
        if path.exists() and would_take(patient.root, str(path)):
            yield Finding(
                FAIL, str(path), "it holds secrets, and git does not ignore it", f"echo {path.name} >> .gitignore"
            )


def clients(patient: Patient) -> Iterator[Finding]:
    """Remote connections have their client library."""
    for connection in _real(patient):
        module = _CLIENTS.get(connection.integration)
        if module is None or (connection.mode == "local" and connection.fields.get("path")):
            continue
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


def _real(patient: Patient) -> list[Connection]:
    return [c for c in patient.bindings.connections.values() if c.mode in ("local", "remote")]


def _secret_fields(connection: Connection) -> dict[str, str]:
    """The fields that are secrets by themselves, whatever their variables are called."""
    found = {}
    for name in (name for name in SECRET if name != "private_key"):  # that may be a path
        try:
            found[name] = connection.get(name) or ""
        except BindingError:
            continue  # `variables` says so
    return found


def _target(connection: Connection) -> tuple[str, int] | None:
    """Raises BindingError, and ValueError for what is no address."""
    for name in _ADDRESSES:
        text = connection.get(name)
        if not text:
            continue
        parts = urlsplit(text if "://" in text else f"//{text}")
        default = _PORTS.get(parts.scheme, 0) or _HOST_PORTS.get(connection.integration, 0)
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
