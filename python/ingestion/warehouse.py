"""The DuckDB file: one writer at a time among our own invocations, and patience with other programs that hold it."""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from ingestion.errors import ConfigError, LoadError, first_line

DEFAULT_TIMEOUT = 60.0  # seconds to wait for a program that is not one of ours
DEFAULT_MEMORY = "200MB"
ANNOUNCE_AFTER = 5.0  # seconds of silent waiting for our own kind: usually they are done by then


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@contextmanager
def exclusive(path: Path, whom: str) -> Iterator[None]:
    """Holds a lock file, however long its holder needs: the system frees it when that process ends."""
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=ANNOUNCE_AFTER)
    except Timeout:
        say(f"waiting for {whom} ({path})")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


class Warehouse:
    """A destination that serves any number of invocations at once."""

    def held(self) -> AbstractContextManager[None]:
        """Ours inside, as far as that is needed. Raises LoadError."""
        return nullcontext()

    def has_more_memory(self, error: BaseException) -> bool:
        """Whether a load that failed so may succeed when it is held again."""
        return False


class DuckDbFile(Warehouse):
    """Gives access to one DuckDB file at a time. `path` is absolute."""

    def __init__(self, path: Path):
        self.path = path
        self._wanted = os.environ.get("DUCKDB_MEMORY_LIMIT")
        self.memory: str | None = self._wanted or DEFAULT_MEMORY
        """None: what DuckDB takes when nobody says anything, which is 80 % of what there is."""
        text = os.environ.get("DUCKDB_LOCK_TIMEOUT") or DEFAULT_TIMEOUT
        try:
            self.timeout = float(text)
        except ValueError as error:
            raise ConfigError(f"DUCKDB_LOCK_TIMEOUT is {text!r}, expected a number of seconds") from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """The file is ours inside. Raises LoadError when another program does not let go, or when it is no database.

        Our connection stays open inside, so nobody slips in between the several connections that dlt opens (DuckDB
        shares one database within a process), and so that the file is checkpointed once instead of once for each.
        """
        with exclusive(self.path.with_name(self.path.name + ".lock"), f"another load into {self.path.name}"):
            connection = self._connect()
            try:
                # Of all connections of this process. It takes no longer, and what does not fit goes to the disk.
                if self.memory is not None:
                    connection.execute("set global memory_limit = $limit", {"limit": self.memory})
                yield
            finally:
                connection.close()

    def has_more_memory(self, error: BaseException) -> bool:
        """Most loads need little. What a transaction changes in wide rows DuckDB cannot put onto the disk."""
        if "Out of Memory" not in str(error) or self._wanted or self.memory is None:
            return False
        say(f"{self.memory} are not enough for DuckDB: once more, with what it takes by itself")
        self.memory = None
        return True

    def _connect(self):  # type: ignore[no-untyped-def]
        import duckdb

        deadline, told = time.monotonic() + self.timeout, False
        while True:
            try:
                return duckdb.connect(str(self.path))
            except duckdb.Error as error:
                text = str(error)
                if "lock" not in text.lower():
                    raise LoadError(
                        "the DuckDB file cannot be opened", where=str(self.path), why=first_line(text),
                        hint="if it is damaged: move it (and its .wal) away and run again, which loads everything anew",
                    ) from error  # fmt: skip
                pid = re.search(r"PID (\d+)", text)
                holder = f"process {pid[1]}" if pid else "another process"
                if time.monotonic() >= deadline:
                    raise LoadError(
                        f"the DuckDB file is held by {holder}", where=str(self.path),
                        why=f"it was not released within {self.timeout:g} s (DUCKDB_LOCK_TIMEOUT)",
                        hint=f"close what holds it ({f'ps -p {pid[1]}' if pid else 'a notebook?'}), then run again",
                    ) from error  # fmt: skip
                if not told:
                    say(f"{self.path.name} is held by {holder}, waiting up to {self.timeout:g} s")
                    told = True
                time.sleep(0.2)
