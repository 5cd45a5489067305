"""`rehearse.toml`: environments and connections. Values name variables as `${NAME}` or `${NAME:-default}`; the file
holds no secret itself.

Variables are looked up in the process environment, then in the connection's `env_file`.
"""

from __future__ import annotations

import difflib
import fnmatch
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.errors import BindingError
from rehearse.language.integrations import INTEGRATIONS
from rehearse.language.words import did_you_mean

FILE = "rehearse.toml"
MODES = ("local", "remote", "recorded", "stub")
_STATUSES = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED")
_NETWORK_KEYS = (
    "base_url", "auth_type", "user", "password", "token", "header_name", "header_value", "allow_private", "endpoint_url",
    "region", "access_key_id", "secret_access_key", "session_token", "host", "port", "private_key", "private_key_passphrase",
    "known_hosts", "host_key", "sender", "security",
)  # fmt: skip
_KEYS = {
    "integration",
    "default",
    "mode",
    "env",
    "env_file",
    "url",
    "path",
    "status",
    "outputs",
    "message",
    "seconds",
    "hint",
    "paths",
    *_NETWORK_KEYS,
}
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Connection:
    """`local`: run for real on this machine. `stub`: not run; ends with the declared status and outputs.

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
        found = _read_env_file(self.env_file) if self.env_file else {}
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
        """Everything that must be looked through for secrets: the variables, and the URL that they make up."""
        return self.variables() | {"URL": self.get("url") or ""}

    def get(self, name: str) -> str | None:
        """A field with its variables looked up. Raises BindingError naming the missing one and where we looked."""
        value = self.fields.get(name)
        if value is None:
            return None
        try:
            return _substitute(str(value), {**self.variables(), **os.environ})
        except KeyError as e:
            looked = f"the environment or {os.path.relpath(self.env_file)}" if self.env_file else "the environment"
            hint = self.fields.get("hint", f"export {e.args[0]}")
            raise BindingError(f"connection '{self.id}' needs {e.args[0]}, which is not in {looked}", hint) from e


@dataclass(frozen=True)
class Bindings:
    """`root`: the folder of rehearse.toml, from which tasks run. The first environment is the default."""

    root: Path
    environments: Mapping[str, Mapping[str, Any]]
    connections: Mapping[str, Connection]
    ignored_warnings: frozenset[str] = frozenset()
    """Codes of `rehearse validate` that this repository does not want to see."""

    def environment(self, name: str | None) -> tuple[str, dict[str, Any]]:
        """Name and variables of an environment. Raises BindingError for an unknown one."""
        if name is None:
            name = next(iter(self.environments), "local")
            return name, dict(self.environments.get(name, {}))
        if name not in self.environments:
            close = difflib.get_close_matches(name, self.environments, 1)
            known = ", ".join(self.environments) or "none"
            hint = f"did you mean '{close[0]}'?" if close else f"{FILE} has: {known}"
            raise BindingError(f"there is no environment '{name}'", hint)
        return name, dict(self.environments[name])

    def connection(self, integration: str, connection_id: str | None) -> Connection | None:
        """The named connection, else the default one of the integration, else None."""
        if connection_id and connection_id != "default_00000":
            found = self.connections.get(connection_id)
            if found is None:
                close = difflib.get_close_matches(connection_id, self.connections, 1)
                hint = f"did you mean '{close[0]}'?" if close else f"add [connections.{connection_id}] to {FILE}"
                raise BindingError(f"there is no connection '{connection_id}' for this {integration} task", hint)
            return found
        defaults = [c for c in self.connections.values() if c.integration == integration and c.default]
        return defaults[0] if defaults else None


def find_root(start: Path) -> Path:
    """The nearest folder upwards that has a rehearse.toml, else the nearest git checkout, else `start`."""
    folders = [start, *start.parents]
    for marker in (FILE, ".git"):
        for folder in folders:
            if (folder / marker).exists():
                return folder
    return start


def load_bindings(root: Path) -> Bindings:
    """Read rehearse.toml in `root`; without one there are no bindings. Raises BindingError with file and place."""
    path = root / FILE
    if not path.exists():
        return Bindings(root, {}, {})
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as e:
        raise BindingError(f"{path}: {e}", "correct that place; rehearse/README.md has the keys") from e
    except (OSError, UnicodeDecodeError) as e:
        raise BindingError(f"{path} cannot be read: {e}", "it is a text file in UTF-8 that you can read") from e
    unknown = set(content) - {"environments", "connections", "validate"}
    if unknown:
        raise BindingError(
            f"{path}: unknown table [{sorted(unknown)[0]}]", "known: [environments.NAME], [connections.ID], [validate]"
        )
    for table in ("environments", "connections"):
        if not isinstance(content.get(table, {}), dict):
            raise BindingError(f"{path}: {table} must be tables", f"write [{table}.NAME]")
        for name, entry in content.get(table, {}).items():
            if not isinstance(entry, dict):
                raise BindingError(f"{path}: [{table}] {name} must be a table", f"write [{table}.{name}]")
    connections = {cid: _connection(path, cid, entry) for cid, entry in content.get("connections", {}).items()}
    defaults: dict[str, str] = {}
    for connection in connections.values():
        first = defaults.setdefault(connection.integration, connection.id) if connection.default else connection.id
        if first != connection.id:
            both = f"'{first}' and '{connection.id}'"
            raise BindingError(
                f"{path}: {both} are both the default of {connection.integration}", "keep one default = true"
            )
    return Bindings(root, content.get("environments", {}), connections, _ignored(path, content.get("validate", {})))


def _ignored(path: Path, table: Any) -> frozenset[str]:
    codes = table.get("ignore", []) if isinstance(table, dict) and set(table) <= {"ignore"} else None
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise BindingError(
            f"{path}: [validate] holds 'ignore', a list of codes", 'for example: ignore = ["raw-splice"]'
        )
    return frozenset(codes)


def _connection(path: Path, connection_id: str, entry: Mapping[str, Any]) -> Connection:
    where = f"{path}: [connections.{connection_id}]"
    for key in entry:
        if key not in _KEYS:
            close = difflib.get_close_matches(key, _KEYS, 1)
            raise BindingError(f"{where}: unknown key '{key}'", f"did you mean '{close[0]}'?" if close else None)
    _check_types(where, entry)
    if "integration" not in entry:
        raise BindingError(f"{where}: 'integration' is missing", 'for example: integration = "POSTGRES"')
    if entry["integration"] not in INTEGRATIONS:
        hint = did_you_mean(entry["integration"], INTEGRATIONS) or "rehearse explain lists them"
        raise BindingError(f"{where}: unknown integration '{entry['integration']}'", hint)
    mode = entry.get("mode", "local")
    if mode not in MODES:
        raise BindingError(f"{where}: mode '{mode}' is not known", f"one of {', '.join(MODES)}")
    try:
        env_file = path.parent / _substitute(entry["env_file"], os.environ) if "env_file" in entry else None
    except KeyError as e:
        raise BindingError(f"{where}: env_file needs the variable {e.args[0]}", "write ${NAME:-default}") from e
    fields = {k: v for k, v in entry.items() if k not in ("integration", "mode", "default", "env", "env_file")}
    return Connection(
        connection_id,
        entry["integration"],
        mode,
        bool(entry.get("default")),
        tuple(entry.get("env", ())),
        env_file,
        path.parent,
        fields,
    )


def _check_types(where: str, entry: Mapping[str, Any]) -> None:
    for key, value in entry.items():
        if key in ("env", "paths"):
            fits, wanted = isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of texts"
        elif key == "outputs":
            fits, wanted = isinstance(value, dict), "a table"
        elif key in ("default", "allow_private"):
            fits, wanted = isinstance(value, bool), "true or false"
        elif key == "seconds":
            fits, wanted = (
                isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0,
                "a number from 0 on",
            )
        elif key == "port":
            fits, wanted = (
                isinstance(value, (int, str)) and not isinstance(value, bool),
                "a number, or the name of a variable with one",
            )
        elif key == "status":
            fits, wanted = value in _STATUSES, f"one of {', '.join(_STATUSES)}"
        else:
            fits, wanted = isinstance(value, str), "text"
        if not fits:
            raise BindingError(f"{where}: '{key}' must be {wanted}, not {value!r}")


def _substitute(text: str, known: Mapping[str, str]) -> str:
    """Replace `${NAME}` and `${NAME:-default}`. Raises KeyError with the name of a variable that is not known."""
    return _VARIABLE.sub(lambda m: known[m[1]] if m[1] in known or m[2] is None else m[2], text)


def _read_env_file(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        raise BindingError(f"{path} holds secrets and can be read by others", f"chmod 600 {path}")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#") and "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}
