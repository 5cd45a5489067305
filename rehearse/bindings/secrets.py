"""Where values come from that `rehearse.toml` only names: the process environment, then files that only their owner reads,
then the keyring. Never from the file itself.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from rehearse.errors import BindingError, ExpressionError
from rehearse.planning.secrets import MASK

FILES = (".env.local", ".env")
"""In the root of the repository, the first one wins; git-ignored, and readable by their owner alone."""
SERVICE = "rehearse"
ENVIRONMENT, KEYRING = "the environment", "the keyring"
NAME = re.compile(r"[A-Za-z_]\w*")
_VARIABLE = re.compile(r"\$\{(\w+)(?::-([^}]*))?\}")
_ASKING = ("EncryptedKeyring", "GoogleDocsKeyring")  # backends that read a password from the terminal


def find(name: str, root: Path, env_file: Path | None = None) -> str | None:
    """The value of a variable; None when no place has it. Raises BindingError for a file that others can read."""
    found = locate(name, root, env_file)
    return found[1] if found else None


def locate(name: str, root: Path, env_file: Path | None = None) -> tuple[str, str] | None:
    """(where, value) of the first place that has the variable. The keyring is asked when nothing else has it."""
    return locate_written(name, root, env_file) or _located(KEYRING, from_keyring(name))


def locate_written(name: str, root: Path, env_file: Path | None = None) -> tuple[str, str] | None:
    """The same without the keyring."""
    if name in os.environ:
        return ENVIRONMENT, os.environ[name]
    for path in (*([env_file] if env_file else ()), *(root / file for file in FILES)):
        found = read_env_file(path)
        if name in found:
            return os.path.relpath(path, root), found[name]
    return None


def places(root: Path, env_file: Path | None = None) -> str:
    """Where `find` looks, in words."""
    files = [os.path.relpath(env_file)] if env_file else []
    return ", ".join([ENVIRONMENT, *files, *FILES]) + f" or {KEYRING}"


class SecretVariables(Mapping[str, str]):
    """`secrets.NAME` of expressions: looked up when an expression reads it, and not before.

    It has no names to go through, since nobody can list a keyring. `found` holds what was read, to be masked.
    """

    def __init__(self, root: Path):
        self.found: dict[str, str] = {}
        self._root = root

    def __getitem__(self, name: str) -> str:
        """Raises ExpressionError naming each place that was looked in."""
        try:
            value = find(name, self._root)
            if value is None and not name.isupper():  # names count whatever their case
                value = find(name.upper(), self._root)
        except BindingError as e:
            raise ExpressionError(f"secrets.{name}: {e}", hint=e.hint) from e
        if value is None:
            hint = f"export {name}=..., or keep it with: rehearse secret set {name}"
            raise ExpressionError(f"secrets.{name} is not in {places(self._root)}", hint=hint)
        self.found[name] = value
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def values_read(variables: Mapping[str, Any]) -> tuple[str, ...]:
    """The secrets that expressions have read so far."""
    return tuple(variables.found.values()) if isinstance(variables, SecretVariables) else ()


def hide(text: str, variables: Mapping[str, Any]) -> str:
    """A text, such as the message of an error, without the secrets that expressions have read."""
    for value in sorted(values_read(variables), key=len, reverse=True):
        text = text.replace(value, MASK) if value else text
    return text


# ${NAME}


def substitute(
    text: str, known: Callable[[str], str | None], last: Callable[[str], str | None] = lambda name: None
) -> str:
    """Replace `${NAME}` and `${NAME:-default}`. Raises KeyError with the name of a variable that is not known.

    `last` is asked for what is neither known nor has a default that says something: it may be slow.
    """

    def value(match: re.Match[str]) -> str:
        found = known(match[1])
        if found is None and not match[2]:
            found = last(match[1])
        if found is None:
            found = match[2]
        if found is None:
            raise KeyError(match[1])
        return found

    return _VARIABLE.sub(value, text)


def names_in(text: str) -> list[str]:
    """The variables that a text names."""
    return [match[1] for match in _VARIABLE.finditer(text)]


def written(text: str) -> str:
    """What a text says without its variables: only their defaults."""
    return _VARIABLE.sub(lambda match: match[2] or "", text)


def is_reference(text: str) -> bool:
    """Whether a text says nothing itself, as secrets must not: it is made of variables without a default to tell."""
    return not written(text).strip()


# Files


def read_env_file(path: Path) -> dict[str, str]:
    """NAME=VALUE lines; nothing when there is no such file.

    `export ` may stand before the name. A value in single quotes is what stands between them; in double quotes it may have
    the escapes of JSON, such as \\n. Raises BindingError when others can read the file, or it cannot be read.
    """
    try:
        mode = path.stat().st_mode
    except OSError:
        return {}
    if mode & 0o077:
        raise BindingError(f"{path} holds secrets and can be read by others", f"chmod 600 {path}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as e:
        reason = e.strerror if isinstance(e, OSError) else "it is no text in UTF-8"
        raise BindingError(f"{path} cannot be read: {reason}", "it holds lines of NAME=VALUE") from None
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#") and "=" in line)
    return {name.removeprefix("export ").strip(): _unquoted(value.strip()) for name, value in pairs}


def write_env_file(path: Path, name: str, value: str) -> None:
    """Set one variable, and leave the other lines as they are. Raises BindingError as reading does."""
    read_env_file(path)  # a file that others can read gets no secret
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in old if line.partition("=")[0].strip().removeprefix("export ").strip() != name]
    plain = value == value.strip() and value.isprintable() and value[:1] not in ("'", '"')
    lines = [*kept, f"{name}={value if plain else json.dumps(value)}", ""]
    descriptor, temporary = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)  # mkstemp: mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write("\n".join(lines))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _unquoted(value: str) -> str:
    if len(value) < 2 or value[0] != value[-1] or value[0] not in "'\"":
        return value
    if value[0] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            pass
    return value[1:-1]


# Keyring


def from_keyring(name: str) -> str | None:
    """Only if it is installed, and without a question on the terminal: a backend that would ask is taken to be empty."""
    try:
        backend = _backend()
        value = backend.get_password(SERVICE, name) if backend else None
    except Exception:  # locked, no session bus, ...
        return None
    return str(value) if value is not None else None


def keep_in_keyring(name: str, value: str) -> None:
    """Raises BindingError when there is no keyring to keep it in."""
    hint = "keep it in .env.local instead: rehearse secret set --file NAME"
    try:
        backend = _backend()
    except ImportError:
        raise BindingError("the Python package keyring is not installed", f"pip install keyring; or {hint}") from None
    if backend is None:
        raise BindingError("this machine has no keyring that can be used without a question", hint)
    try:
        backend.set_password(SERVICE, name, value)
    except Exception as e:
        raise BindingError(f"the keyring did not take it: {type(e).__name__}", hint) from None


def _backend() -> Any:
    """The keyring, or None when there is none or it would ask. Raises ImportError."""
    import keyring
    from keyring.backends import fail, null

    backend = keyring.get_keyring()
    unusable = isinstance(backend, (fail.Keyring, null.Keyring)) or type(backend).__name__ in _ASKING
    return None if unusable else backend


def _located(where: str, value: str | None) -> tuple[str, str] | None:
    return None if value is None else (where, value)
