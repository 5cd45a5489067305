"""One `serve` per store of SQLite; several on PostgreSQL know of each other."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rehearse.engine.processes import is_alive, start_time
from rehearse.errors import UsageError
from rehearse.store import servers
from rehearse.store.records import Store, timestamp

SILENCE = timedelta(seconds=30)
"""A server on another host that has not been heard of for so long is taken to be dead."""


class Lease:
    """Raises UsageError when another server has the store already."""

    def __init__(self, store: Store, address: str | None):
        pid = os.getpid()
        now = timestamp(datetime.now(UTC)) or ""
        name = servers.ONLY_ONE if store.is_sqlite else f"{socket.gethostname()}/{pid}"
        self.lost = False
        self._row = {
            "id": name, "pid": pid, "started": start_time(pid) or "", "host": socket.gethostname(), "since": now,
            "address": address, "heartbeat_at": now,
        }  # fmt: skip
        other = servers.register(store.database, self._row, _serves, SILENCE)
        if other is not None:
            raise UsageError(
                f"rehearse serves from this store already: process {other['pid']} on {other['host']} since {other['since']}",
                f"it is at {other['address']}" if other["address"] else f"stop it with: kill {other['pid']}",
            )

    def beat(self, store: Store) -> None:
        """We are alive. `lost` from then on: somebody took us for dead, and serves in our place."""
        self.lost = not servers.beat(store.database, self._row, timestamp(datetime.now(UTC)) or "")

    def leave(self, store: Store) -> None:
        servers.leave(store.database, self._row)


def _serves(row: Mapping[str, Any]) -> bool:
    if row["host"] == socket.gethostname():
        return is_alive(row["pid"], row["started"] or None)
    return datetime.now(UTC) - datetime.fromisoformat(row["heartbeat_at"]) < SILENCE
