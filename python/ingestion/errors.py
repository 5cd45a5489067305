"""Every error that the ingestion raises on purpose.

IngestError              shown in two to four lines, never as a traceback; `exit_code` says how the process ends
├── UsageError           exit 2: a flag, a variable, an unknown source or object, an invalid catalogue file
├── ConfigError          exit 2: credentials or settings that are missing or cannot be read
├── SourceError          exit 1: the source system cannot be reached, refuses, or answers nonsense
└── LoadError            exit 1: the destination cannot be opened or written
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class IngestError(Exception):
    """`message` says what; `where` a place without credentials; `why` the cause; `hint` the next command."""

    exit_code = 3

    def __init__(self, message: str, *, where: str | None = None, why: str | None = None, hint: str | None = None):
        super().__init__(message)
        self.where, self.why, self.hint = where, why, hint


class UsageError(IngestError):
    exit_code = 2


class ConfigError(IngestError):
    exit_code = 2


class SourceError(IngestError):
    exit_code = 1


class LoadError(IngestError):
    exit_code = 1


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """' Did you mean x?' or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f" Did you mean {close[0]}?" if close else ""


def place(url: str) -> str:
    """The URL without user, password, query and fragment, fit for a message."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        host = f"[{host}]" if ":" in host else host
        return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:
        return "(unreadable address)"


def first_line(error: object, limit: int = 300) -> str:
    """The first non-empty line of an error's text, without anything that looks like a URL's credentials."""
    line = next((part.strip() for part in str(error).splitlines() if part.strip()), type(error).__name__)
    return re.sub(r"://[^/\s@]+@", "://***@", line)[:limit]


def unreachable(source: str, url: str, error: object) -> SourceError:
    """The SourceError for a system that does not answer; on loopback it is the sandbox, and the hint starts it."""
    try:
        loopback = urlsplit(url).hostname in LOOPBACK
    except ValueError:
        loopback = False
    hint = f"python -m sandbox up {source}" if loopback else "check the network, the address and the credentials"
    return SourceError(f"{source} does not answer", where=place(url), why=first_line(error), hint=hint)
