"""The keys of a project: made at the first start, readable by their owner only (security rules 11 and 13)."""

from __future__ import annotations

import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from rehearse.errors import UsageError

READ_WRITE, READ_ONLY = "read-write", "read-only"
_FILES = {READ_WRITE: "token", READ_ONLY: "token-read-only"}


@dataclass(frozen=True)
class Keys:
    read_write: str = field(repr=False)
    read_only: str = field(repr=False)

    def role(self, key: str) -> str | None:
        """`read-write`, `read-only`, or None for a key that is not ours. Takes the same time for every wrong key."""
        found = None
        for role, ours in ((READ_WRITE, self.read_write), (READ_ONLY, self.read_only)):
            if hmac.compare_digest(key.encode("utf-8", "surrogateescape"), ours.encode()):
                found = role
        return found


def load_keys(root: Path) -> Keys:
    """Those under `.rehearse/`, made if they are not there. Raises UsageError when others may read them."""
    folder = root / ".rehearse"
    folder.mkdir(mode=0o700, exist_ok=True)
    return Keys(*(_load(folder / name) for name in _FILES.values()))


def _load(file: Path) -> str:
    temporary = file.with_name(f"{file.name}.{os.getpid()}")
    if not file.exists():
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as new:
            new.write(secrets.token_urlsafe(32))
        try:
            os.link(temporary, file)  # somebody may have been faster; a half-written key is never seen
        except FileExistsError:
            pass
        finally:
            temporary.unlink()
    mode = file.stat().st_mode
    if mode & 0o077:
        raise UsageError(f"{file} may be read by others (mode {mode & 0o777:o})", f"chmod 600 {file}")
    key = file.read_text(encoding="utf-8").strip()
    if len(key) < 16:
        raise UsageError(f"{file} holds no key", f"delete it, and a new one is made: rm {file}")
    return key
