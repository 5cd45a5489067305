"""`rehearse.toml`: environments and connections. Values name variables as `${NAME}` or `${NAME:-default}`; the file
holds no secret itself: see `secrets`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings.connections import MODES, Connection, make_connection
from rehearse.bindings.environments import credentials, make_environment
from rehearse.bindings.fields import check_key
from rehearse.bindings.places import Places
from rehearse.bindings.schedules import Policies, make_policies
from rehearse.errors import BindingError
from rehearse.language.words import did_you_mean

__all__ = ["FILE", "MODES", "Bindings", "Connection", "find_root", "load_bindings"]
FILE = "rehearse.toml"


@dataclass(frozen=True)
class Bindings:
    """`root`: the folder of rehearse.toml, from which tasks run. The first environment is the default."""

    root: Path
    environments: Mapping[str, Mapping[str, Any]]
    connections: Mapping[str, Connection]
    ignored_warnings: frozenset[str] = frozenset()
    """Codes of `rehearse validate` that this repository does not want to see."""
    credentials: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Environment -> variable -> connection id, for variables of the type integration_credential."""
    schedules: Policies = field(default_factory=Policies)

    def environment(self, name: str | None) -> tuple[str, dict[str, Any]]:
        """Name and variables of an environment. Raises BindingError for an unknown one."""
        if name is None:
            name = next(iter(self.environments), "local")
            return name, dict(self.environments.get(name, {}))
        if name not in self.environments:
            known = ", ".join(self.environments) or "none"
            hint = did_you_mean(name, self.environments) or f"{FILE} has: {known}"
            raise BindingError(f"there is no environment '{name}'", hint)
        return name, dict(self.environments[name])

    def connection(self, integration: str, connection_id: str | None) -> Connection | None:
        """The named connection, else the default one of the integration, else None."""
        if connection_id and connection_id != "default_00000":
            found = self.connections.get(connection_id)
            if found is None:
                hint = did_you_mean(connection_id, self.connections) or f"add [connections.{connection_id}] to {FILE}"
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
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise BindingError(f"{path}: {e}", "correct that place; rehearse/README.md has the keys") from e
    except (OSError, UnicodeDecodeError) as e:
        raise BindingError(f"{path} cannot be read: {e}", "it is a text file in UTF-8 that you can read") from e
    places = Places(path, text)
    unknown = sorted(set(content) - {"environments", "connections", "validate", "doctor", "schedules"})
    if unknown:
        raise BindingError(
            f"{places.at(unknown[0])}: unknown table [{unknown[0]}]",
            "known: [environments.NAME], [connections.ID], [schedules], [validate], [doctor]",
        )
    for table in ("environments", "connections"):
        if not isinstance(content.get(table, {}), dict):
            raise BindingError(f"{places.at(table)}: {table} must be tables", f"write [{table}.NAME]")
        for name, entry in content.get(table, {}).items():
            if not isinstance(entry, dict):
                where = places.at(table, name)
                raise BindingError(f"{where}: [{table}] {name} must be a table", f"write [{table}.{name}]")
    connections = {cid: make_connection(places, cid, entry) for cid, entry in content.get("connections", {}).items()}
    tables = content.get("environments", {})
    environments = {name: make_environment(places, name, entry) for name, entry in tables.items()}
    defaults: dict[str, str] = {}
    for connection in connections.values():
        first = defaults.setdefault(connection.integration, connection.id) if connection.default else connection.id
        if first != connection.id:
            both = f"'{first}' and '{connection.id}'"
            where = places.at("connections", connection.id, "default")
            raise BindingError(
                f"{where}: {both} are both the default of {connection.integration}", "keep one default = true"
            )
    named = {name: credentials(entry) for name, entry in tables.items()}
    policies = make_policies(places, content.get("schedules", {}))
    return Bindings(root, environments, connections, _ignored(path, content.get("validate", {})), named, policies)


def _ignored(path: Path, table: Any) -> frozenset[str]:
    codes = table.get("ignore", []) if isinstance(table, dict) and set(table) <= {"ignore"} else None
    if not isinstance(codes, list) or not all(isinstance(code, str) for code in codes):
        raise BindingError(
            f"{path}: [validate] holds 'ignore', a list of codes", 'for example: ignore = ["raw-splice"]'
        )
    return frozenset(codes)


def allowed_files(root: Path) -> list[str]:
    """`[doctor] allow`: patterns of files in which something that looks like a secret is none. Raises BindingError."""
    path = root / FILE
    table = tomllib.loads(path.read_text(encoding="utf-8")).get("doctor", {}) if path.exists() else {}
    if not isinstance(table, dict):
        raise BindingError(f"{path}: doctor must be a table", 'write [doctor], and for example: allow = ["tests/**"]')
    for key in table:
        check_key(f"{path}: [doctor]", key, ("allow",))
    patterns = table.get("allow", [])
    if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
        raise BindingError(f"{path}: [doctor] allow must be a list of patterns", 'for example: allow = ["tests/**"]')
    return patterns
