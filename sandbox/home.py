"""The state folder `.sandbox/`: what was generated, which processes run, on which ports, with which credentials.

company.json      seed, scale, and how many days of `change` every system has
<system>.json     port, credentials, pid and process start time, whether its data is complete
env               NAME=value lines, while anything is up
lock              held by every command that writes here
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from sandbox.errors import UsageError


class Home:
    """One state folder: SANDBOX_HOME, or `.sandbox/` in the current directory."""

    def __init__(self, path: Path | str | None = None):
        self.path = Path(path or os.environ.get("SANDBOX_HOME") or ".sandbox").absolute()

    @property
    def is_default(self) -> bool:
        """Whether this is the folder that commands use when nobody names one."""
        return self.path == Path(".sandbox").absolute()

    @property
    def exists(self) -> bool:
        return (self.path / "company.json").exists()

    def read(self, name: str) -> dict[str, Any]:
        """The content of `<name>.json`, {} if there is none."""
        try:
            content: dict[str, Any] = json.loads((self.path / f"{name}.json").read_text())
            return content
        except FileNotFoundError:
            return {}

    def write(self, name: str, content: dict[str, Any]) -> None:
        self.write_text(f"{name}.json", json.dumps(content, indent=1))

    def update(self, name: str, **changes: Any) -> dict[str, Any]:
        content = {**self.read(name), **changes}
        self.write(name, content)
        return content

    def write_text(self, name: str, text: str) -> None:
        """Replace a file in one step, readable by its owner only: a reader never sees half a file."""
        temporary = f"{name}.{os.getpid()}.new"
        with self.new_file(temporary) as file:
            file.write(text)
        os.replace(self.path / temporary, self.path / name)

    def new_file(self, name: str) -> TextIO:
        """An empty file that only its owner can read, opened for writing."""
        return open(os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w")

    def remove(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    @contextlib.contextmanager
    def lock(self, patience: float = 600.0) -> Iterator[None]:
        """Only one command at a time changes this folder. Raises UsageError after `patience` seconds."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        deadline = time.monotonic() + patience
        while True:
            self.path.mkdir(mode=0o700, exist_ok=True)
            self.path.chmod(0o700)
            handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # `reset` may have removed the file between open and lock; then this lock excludes nobody
                if os.fstat(handle).st_ino == os.stat(self.path / "lock").st_ino:
                    break
            except (BlockingIOError, FileNotFoundError):
                pass
            os.close(handle)
            if time.monotonic() > deadline:
                raise UsageError(f"another sandbox command has been working in {self.path} for {patience:.0f} s")
            time.sleep(0.05)
        try:
            yield
        finally:
            os.close(handle)
