"""Connections: what a task's `connection` means on this machine."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rehearse.bindings import secrets
from rehearse.bindings.fields import COMMON, MODES, MORE, SECRET, STUB, check_entry, is_path, is_secret_field
from rehearse.bindings.places import Places
from rehearse.errors import BindingError
from rehearse.planning.secrets import is_secret_name

__all__ = ["MODES", "SECRET", "STUB", "Connection", "make_connection"]
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
        """Everything that must be looked through for secrets, under names that tell which are: the variables; the fields; and
        variables with telling names that are part of a field.

        A field that is not needed, and whose variable is not there, is left out; `url` always is needed.
        """
        found = self.variables()
        for name, written in self.written():
            try:
                value = self.fill(written)
            except BindingError:
                if name == "url":
                    raise
                continue
            secret = is_secret_field(self.integration, name) or (name not in self.fields and is_secret_name(name))
            found[f"{'SECRET' if secret and not is_path(name, value) else 'field'} {len(found)}"] = value
            for variable in filter(is_secret_name, secrets.names_in(written)):
                found[variable] = self.fill(f"${{{variable}:-}}")
        return found

    def exported(self) -> dict[str, str]:
        """`<INTEGRATION>__<CONNECTION_ID>__<FIELD>` for tasks that this connection is linked to (section 10)."""
        named = {name: value for name, value in self.fields.items() if name not in COMMON}
        return {
            "__".join(_word(part) for part in (self.integration, self.id, name)): self._text(value)
            for name, value in (named | dict(self.fields.get(MORE, {}))).items()
        }

    def get(self, name: str) -> str | None:
        """A field with its variables looked up; None without it. Raises BindingError as `fill` does."""
        value = self.fields.get(name)
        return None if value is None else self.fill(str(value))

    def ending(self, job: str, task_id: str) -> dict[str, Any]:
        """How a stub ends this job of this task: keys of STUB, those that are declared."""
        declared: dict[str, Any] = {name: self.fields[name] for name in STUB if name in self.fields}
        for table, name in (("jobs", job), ("tasks", task_id)):
            declared |= self.fields.get(table, {}).get(name, {})
        return declared

    def written(self) -> list[tuple[str, str]]:
        """(field, what is written there) of what leads to the system, texts inside of further fields too."""
        entries = [(name, value) for name, value in self.fields.items() if name not in COMMON]
        return [(name, text) for key, value in (*entries, *self.fields.get(MORE, {}).items())
                for name, text in _texts(key, value)]  # fmt: skip

    def _text(self, value: Any) -> str:
        """A field as the text of a variable, lists and tables as JSON."""
        if isinstance(value, (dict, list)):
            return json.dumps(self._deep(value))
        return str(value).lower() if isinstance(value, bool) else self.fill(str(value))

    def _deep(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._deep(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._deep(item) for item in value]
        return self.fill(value) if isinstance(value, str) else value

    def fill(self, text: str) -> str:
        """A text with its variables looked up. Raises BindingError naming the missing one and where we looked."""
        given: dict[str, str] | None = None

        def known(variable: str) -> str | None:
            nonlocal given
            given = self.variables() if given is None else given
            if value := os.environ.get(variable) or given.get(variable):
                return value
            found = secrets.locate_written(variable, self.root, self.env_file)
            return found[1] if found else None

        try:
            return secrets.substitute(text, known, secrets.from_keyring)
        except KeyError as e:
            hint = self.fields.get("hint", f"export {e.args[0]}")
            looked = secrets.places(self.root, self.env_file)
            raise BindingError(f"connection '{self.id}' needs {e.args[0]}, which is not in {looked}", hint) from e


def make_connection(places: Places, connection_id: str, entry: Mapping[str, Any]) -> Connection:
    """From its table in the file. Raises BindingError with what is wrong with it, and where."""
    check_entry(places, connection_id, entry)
    root = places.path.parent
    try:
        env_file = root / secrets.substitute(entry["env_file"], os.environ.get) if "env_file" in entry else None
    except KeyError as e:
        where = f"{places.at('connections', connection_id, 'env_file')}: [connections.{connection_id}]"
        raise BindingError(f"{where}: env_file needs the variable {e.args[0]}", "write ${NAME:-default}") from e
    fields = {key: value for key, value in entry.items() if key not in _ABOUT}
    return Connection(
        connection_id, entry["integration"], entry.get("mode", "local"), bool(entry.get("default")),
        tuple(entry.get("env", ())), env_file, root, fields,
    )  # fmt: skip


def _texts(name: str, value: Any) -> list[tuple[str, str]]:
    """(name, text) of every text inside a value. In a table the name inside counts, unless the one around it is telling."""
    if isinstance(value, dict):
        return [found for key, item in value.items() for found in _texts(name if is_secret_name(name) else key, item)]
    if isinstance(value, list):
        return [found for item in value for found in _texts(name, item)]
    return [(name, str(value))] if isinstance(value, (str, int, float)) and not isinstance(value, bool) else []


def _word(text: str) -> str:
    return re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_")
