"""Where values come from that `rehearse.toml` only names: the process environment, then files that only their owner reads,
then the keyring. Never from the file itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

from rehearse.errors import BindingError

FILES = (".env.local", ".env")
"""In the root of the repository, the first one wins; git-ignored, and readable by their owner alone."""
SERVICE = "rehearse"
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")


def find(name: str, root: Path, env_file: Path | None = None) -> str | None:
    """The value of a variable; None when no place has it. Raises BindingError for a file that others can read."""
    if name in os.environ:
        return os.environ[name]
    for path in (*([env_file] if env_file else ()), *(root / file for file in FILES)):
        found = read_env_file(path)
        if name in found:
            return found[name]
    return _from_keyring(name)


def places(root: Path, env_file: Path | None = None) -> str:
    """Where `find` looks, in words."""
    files = [os.path.relpath(env_file)] if env_file else []
    return ", ".join(["the environment", *files, *FILES]) + " or the keyring"


def substitute(text: str, known: Callable[[str], str | None]) -> str:
    """Replace `${NAME}` and `${NAME:-default}`. Raises KeyError with the name of a variable that is not known."""

    def value(match: re.Match[str]) -> str:
        found = known(match[1])
        if found is None:
            found = match[2]
        if found is None:
            raise KeyError(match[1])
        return found

    return _VARIABLE.sub(value, text)


def names_in(text: str) -> list[str]:
    """The variables that a text needs, without those that have a default."""
    return [match[1] for match in _VARIABLE.finditer(text) if match[2] is None]


def is_reference(text: str) -> bool:
    """Whether a text says nothing itself, as secrets must not: it is made of variables without a default to tell."""
    return not _VARIABLE.sub(lambda match: match[2] or "", text).strip()


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE lines; nothing when there is no such file. Raises BindingError when others can read it."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return {}
    if mode & 0o077:
        raise BindingError(f"{path} holds secrets and can be read by others", f"chmod 600 {path}")
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#") and "=" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def _from_keyring(name: str) -> str | None:
    """Only if it is installed, and without a question: a backend that would ask is taken to be empty."""
    try:
        import keyring
        from keyring.backends import fail
    except ImportError:
        return None
    try:
        if isinstance(keyring.get_keyring(), fail.Keyring):
            return None
        return keyring.get_password(SERVICE, name)
    except Exception:  # locked, no session bus, ...
        return None
