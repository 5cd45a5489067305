"""Connections: what a task's `connection` means on this machine."""

from __future__ import annotations

import difflib
import fnmatch
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings import secrets
from rehearse.errors import BindingError
from rehearse.language.integrations import INTEGRATIONS
from rehearse.language.words import did_you_mean

MODES = ("local", "remote", "recorded", "stub")
STATUSES = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED")
STUB = ("status", "outputs", "message", "seconds", "failures")
"""How a stub ends: of the connection, of its `jobs.JOB`, or of its `tasks.TASK`, which win in this order."""
_ADDRESSES = ("url", "path", "base_url", "endpoint_url", "api_endpoint", "host", "port", "protocol", "http_path")
SECRET = (
    "password", "token", "header_value", "access_key_id", "secret_access_key", "session_token", "private_key",
    "private_key_passphrase", "credentials_json",
)  # fmt: skip
_NEVER_WRITTEN = tuple(name for name in SECRET if name not in ("header_value", "access_key_id"))
_OTHERS = (
    "auth_type", "authentication", "user", "header_name", "region", "known_hosts", "host_key", "sender", "security",
    "account", "role", "warehouse", "warehouse_id", "database", "schema", "catalog", "project", "dataset", "location",
    "profiles", "profiles_dir",
)  # fmt: skip
_SWITCHES = ("default", "allow_private", "record", "encrypt", "secure", "trust_certificate", "enable_drive_scope")
_LISTS = ("env", "paths", "links")
_TABLES = ("outputs", "jobs", "tasks")
KEYS = {
    "integration", "mode", "env_file", "hint", *STUB, *_ADDRESSES, *SECRET, *_OTHERS, *_SWITCHES, *_LISTS, *_TABLES,
}  # fmt: skip
_ABOUT = ("integration", "mode", "default", "env", "env_file")  # of the connection itself, not of what it leads to


@dataclass(frozen=True)
class Connection:
    """`local`: done on this machine, or by a stand-in. `remote`: by the real system. `recorded`: as it was when that was
    recorded. `stub`: not done; it ends with the declared status and outputs.

    `fields` are the entries of the file, variables not yet looked up. `env` lists patterns of variables that tasks of this
    connection may see from the process environment.
    """

    id: str
    integration: str
    mode: str = "local"
    default: bool = False
    env: tuple[str, ...] = ()
    env_file: Path | None = None
    root: Path = Path()
    fields: Mapping[str, Any] = field(default_factory=dict)

    def variables(self) -> dict[str, str]:
        """The variables that this connection gives to its tasks.

        Raises BindingError for an `env_file` that others can read, or that is missing while the process environment has
        none of the variables either.
        """
        found = secrets.read_env_file(self.env_file) if self.env_file else {}
        for name, value in os.environ.items():
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in self.env):
                found[name] = value
        if self.env_file and not found and not self.env_file.exists():
            file = os.path.relpath(self.env_file)
            raise BindingError(f"connection '{self.id}' reads {file}, which does not exist", self.fields.get("hint"))
        for name in self.fields.get("paths", ()):
            if found.get(name):
                found[name] = str(self.root / found[name])  # tasks run in other folders than the caller
        return found

    def known_values(self) -> dict[str, str]:
        """Everything that must be looked through for secrets: the variables, the URL, and what the secret fields say.

        A field that is not needed, and whose variable is not there, is left out.
        """
        found = self.variables()
        for name in ("url", *SECRET):
            if name in self.fields:
                try:
                    found[f"{self.id}.{name}_SECRET" if name in SECRET else name] = self.get(name) or ""
                except BindingError:
                    if name == "url":
                        raise
        return found

    def exported(self) -> dict[str, str]:
        """`<INTEGRATION>__<CONNECTION_ID>__<FIELD>` for tasks that this connection is linked to (section 10)."""
        named = {name: value for name, value in self.fields.items() if name in (*_ADDRESSES, *SECRET, *_OTHERS)}
        return {
            "__".join(_word(part) for part in (self.integration, self.id, name)): (
                json.dumps(value) if isinstance(value, (dict, list)) else self.get(name) or ""
            )
            for name, value in named.items()
        }

    def get(self, name: str) -> str | None:
        """A field with its variables looked up. Raises BindingError naming the missing one and where we looked."""
        value = self.fields.get(name)
        if value is None:
            return None
        given = self.variables()

        def known(variable: str) -> str | None:
            return os.environ.get(variable) or given.get(variable) or secrets.find(variable, self.root, self.env_file)

        try:
            return secrets.substitute(str(value), known)
        except KeyError as e:
            hint = self.fields.get("hint", f"export {e.args[0]}")
            looked = secrets.places(self.root, self.env_file)
            raise BindingError(f"connection '{self.id}' needs {e.args[0]}, which is not in {looked}", hint) from e

    def ending(self, job: str, task_id: str) -> dict[str, Any]:
        """How a stub ends this job of this task: keys of STUB, those that are declared."""
        declared: dict[str, Any] = {name: self.fields[name] for name in STUB if name in self.fields}
        for table, name in (("jobs", job), ("tasks", task_id)):
            declared |= self.fields.get(table, {}).get(name, {})
        return declared


def make_connection(path: Path, connection_id: str, entry: Mapping[str, Any]) -> Connection:
    """From its table in the file `path`. Raises BindingError with what is wrong with it."""
    where = f"{path}: [connections.{connection_id}]"
    check_keys(where, entry, KEYS)
    for key, value in entry.items():
        _check(where, key, value)
    for table in ("jobs", "tasks"):
        for name, ending in entry.get(table, {}).items():
            inside = f"{path}: [connections.{connection_id}.{table}.{name}]"
            if not isinstance(ending, dict):
                raise BindingError(f"{inside} must be a table", f"with some of {', '.join(STUB)}")
            check_keys(inside, ending, STUB)
            for key, value in ending.items():
                _check(inside, key, value)
    if "integration" not in entry:
        raise BindingError(f"{where}: 'integration' is missing", 'for example: integration = "POSTGRES"')
    if entry["integration"] not in INTEGRATIONS:
        hint = did_you_mean(entry["integration"], INTEGRATIONS) or "rehearse explain lists them"
        raise BindingError(f"{where}: unknown integration '{entry['integration']}'", hint)
    mode = entry.get("mode", "local")
    if mode not in MODES:
        raise BindingError(f"{where}: mode '{mode}' is not known", f"one of {', '.join(MODES)}")
    try:
        env_file = path.parent / secrets.substitute(entry["env_file"], os.environ.get) if "env_file" in entry else None
    except KeyError as e:
        raise BindingError(f"{where}: env_file needs the variable {e.args[0]}", "write ${NAME:-default}") from e
    fields = {key: value for key, value in entry.items() if key not in _ABOUT}
    return Connection(
        connection_id, entry["integration"], mode, bool(entry.get("default")), tuple(entry.get("env", ())), env_file,
        path.parent, fields,
    )  # fmt: skip


def check_keys(where: str, entry: Mapping[str, Any], known: Any) -> None:
    """Raises BindingError for a key that is not known, with a suggestion."""
    for key in entry:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean '{close[0]}'?" if close else "rehearse/README.md lists the keys"
            raise BindingError(f"{where}: unknown key '{key}'", hint)


def _check(where: str, key: str, value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key in _LISTS:
        fits, wanted = isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of texts"
    elif key in _TABLES:
        fits, wanted = isinstance(value, dict), "a table"
    elif key in _SWITCHES:
        fits, wanted = isinstance(value, bool), "true or false"
    elif key == "seconds":
        fits, wanted = is_number and value >= 0, "a number from 0 on"
    elif key == "failures":
        fits, wanted = is_number and isinstance(value, int) and value >= 0, "a whole number from 0 on"
    elif key == "port":
        fits = isinstance(value, (int, str)) and not isinstance(value, bool)
        wanted = "a number, or the name of a variable with one"
    elif key == "status":
        fits, wanted = value in STATUSES, f"one of {', '.join(STATUSES)}"
    else:
        fits, wanted = isinstance(value, str), "text"
    if not fits:
        shown = type(value).__name__ if key in SECRET else repr(value)  # a password of digits without quotes is no text
        raise BindingError(f"{where}: '{key}' must be {wanted}, not {shown}")
    if key in _NEVER_WRITTEN and not secrets.is_reference(value) and (key != "private_key" or "PRIVATE KEY" in value):
        raise BindingError(
            f"{where}: '{key}' is a secret, which must not stand in the file",
            'write "${NAME}" and keep the value in the environment, .env.local or the keyring',
        )


def _word(text: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
