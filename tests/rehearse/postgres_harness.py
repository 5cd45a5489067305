"""A real PostgreSQL for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from sandbox.home import Home
from sandbox.postgres import Postgres


class Server(Postgres):
    """A cluster of our own. `administrator`: the superuser's URL, which `create_database` forgets otherwise."""

    administrator = ""

    def begin(self) -> None:
        self.create()
        self.start()
        state = self.state
        self.administrator = f"postgresql://sandbox:{state['superuser']}@127.0.0.1:{state['port']}/postgres"
        self.create_database()

    def fetch(self, sql: str) -> list[Any]:
        # What is committed stays, even if the server is killed.
        with psycopg.connect(self.url(), autocommit=True, options="-c synchronous_commit=on") as client:
            cursor = client.execute(sql)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def running_server(folder: Path) -> Iterator[Server]:
    """Made in a folder of its own, removed at the end."""
    server = Server(Home(folder))
    try:
        server.begin()
        yield server
    finally:
        server.stop()
        server.remove()
