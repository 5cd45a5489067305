"""Warehouses through their own clients: MySQL, SQL Server and Fabric, Databricks, ClickHouse. See `sql_cloud` for others.

Each class is one client's way to connect, run several statements, and stop; everything else is in `sql_session`.
"""

from __future__ import annotations

import re
import ssl
import time
import uuid
from collections.abc import Iterator
from typing import Any

from rehearse.jobs.sql_session import MAX_ROWS, Result, Session, SqlError, fetch, last_only, patiently, speaking
from rehearse.jobs.sql_targets import Target

_COMMENTS = re.compile(r"^(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/|\()+", re.DOTALL)
_PASSING = ("refused", "timed out", "timeout", "too many connections", "lost connection", "reset by peer", "not open")


def connect(target: Target) -> Session:
    return {"mysql": MySQL, "mssql": SQLServer, "databricks": Databricks, "clickhouse": ClickHouse}[target["engine"]](
        target
    )


def split(sql: str, dialect: str) -> Iterator[str]:
    """The statements of `sql`, as they are written, for clients that take one at a time."""
    import sqlglot

    try:
        tokens = sqlglot.tokenize(sql, read=dialect)
    except sqlglot.errors.SqlglotError as e:
        raise SqlError(f"the SQL cannot be split into statements: {' '.join(str(e).split())}") from e
    start = 0
    for end in [token.start for token in tokens if token.token_type.name == "SEMICOLON"] + [len(sql)]:
        statement = sql[start:end].strip()
        if _COMMENTS.sub("", statement):
            yield statement
        start = end + 1


def first_word(statement: str) -> str:
    return (re.match(r"\w*", _COMMENTS.sub("", statement)) or [""])[0].upper()


def is_on(switch: Any) -> bool:
    """A switch of the connection: true in the file, which arrives as text."""
    return str(switch).lower() == "true"


def is_passing(error: Exception) -> bool:
    return any(word in str(error).lower() for word in _PASSING)


class Cursors(Session):
    """For clients with DB-API cursors. `rows_of` is called after each statement."""

    connection: Any

    def __init__(self, target: Target):
        super().__init__(target)
        self.dialect = target["dialect"]

    def result_of(self, cursor: Any, started: float) -> Result:
        if not cursor.description:
            count = cursor.rowcount if isinstance(cursor.rowcount, int) and cursor.rowcount >= 0 else None
            return Result(count=count, seconds=time.monotonic() - started)
        rows, count = fetch(cursor)
        names = tuple(str(column[0]).lower() for column in cursor.description)
        return Result(rows, count, True, time.monotonic() - started, names)

    def close(self) -> None:
        self.connection.close()


class Batches(Cursors):
    """All statements go to the server in one batch, in one transaction as far as the warehouse has them."""

    def new_cursor(self) -> Any:
        return self.connection.cursor()

    def run(self, sql: str) -> list[Result]:
        results: list[Result] = []
        with speaking(self.target):
            cursor = self.new_cursor()
            started = time.monotonic()
            cursor.execute(sql)
            while True:
                results.append(self.result_of(cursor, started))
                last_only(results)
                started = time.monotonic()
                if not cursor.nextset():
                    break
            self.connection.commit()
        return results


class MySQL(Batches):
    """PyMySQL. DDL commits by itself, as always in MySQL; the rest is one transaction."""

    def __init__(self, target: Target):
        super().__init__(target)
        self.connection = self._open(self.target["connect_seconds"])

    def _open(self, seconds: float) -> Any:
        import pymysql  # type: ignore[import-untyped]
        from pymysql.constants import CLIENT  # type: ignore[import-untyped]

        options = self.options
        tls = {"ssl": ssl.create_default_context()} if is_on(options.get("secure")) else {}
        return patiently(
            self.target,
            lambda: pymysql.connect(
                host=options["host"], port=int(options.get("port", 3306)), user=options["user"],
                password=options.get("password", ""), database=options.get("database"), charset="utf8mb4",
                connect_timeout=max(1, int(seconds)), client_flag=CLIENT.MULTI_STATEMENTS, **tls,
            ),
            is_passing,
        )  # fmt: skip

    def new_cursor(self) -> Any:
        from pymysql.cursors import SSCursor  # type: ignore[import-untyped]

        return self.connection.cursor(SSCursor)  # rows stay on the server until they are asked for

    def cancel(self) -> None:
        other = self._open(1)
        with other.cursor() as cursor:
            cursor.execute(f"kill query {int(self.connection.thread_id())}")
        other.close()

    def defaults(self) -> tuple[str | None, str | None]:
        return None, self.options.get("database")


class SQLServer(Batches):
    """mssql-python, for SQL Server, Azure SQL and Fabric. It brings its driver along."""

    def __init__(self, target: Target):
        import mssql_python

        super().__init__(target)
        options = self.options
        port = f",{options['port']}" if "port" in options else ""
        words = {
            "Server": f"{options['host']}{port}", "Database": options.get("database"), "UID": options.get("user"),
            "PWD": options.get("password"), "Authentication": options.get("authentication"),
            "Encrypt": "yes" if is_on(options.get("encrypt", True)) else "no",
            "TrustServerCertificate": "yes" if is_on(options.get("trust_certificate")) else "no",
        }  # fmt: skip
        text = "".join(f"{word}={_braced(str(value))};" for word, value in words.items() if value is not None)
        timeout = max(1, int(target["connect_seconds"]))
        try:
            self.connection = patiently(
                target, lambda: mssql_python.connect(text, autocommit=False, timeout=timeout), is_passing
            )
        except SqlError as e:
            if "load the driver" in str(e):  # it brings the driver along, but not what that is linked with
                e.hint = (
                    "the driver needs libraries of the system; on Debian: apt-get install libltdl7 libgssapi-krb5-2"
                )
            raise

    def defaults(self) -> tuple[str | None, str | None]:
        return self.options.get("database"), "dbo"


def _braced(value: str) -> str:
    """A value of a connection string, whatever is in it."""
    return value if re.fullmatch(r"[\w.,:@-]*", value) else "{" + value.replace("}", "}}") + "}"


class Databricks(Cursors):
    """databricks-sql-connector; each statement is committed by itself."""

    def __init__(self, target: Target):
        from databricks import sql

        super().__init__(target)
        options = self.options
        # The id that the task names beats the path of the connection.
        path = (
            f"/sql/1.0/warehouses/{options['warehouse_id']}" if "warehouse_id" in options else options.get("http_path")
        )
        if not path:
            raise SqlError(f"connection '{target['connection']}' lacks http_path", "or give warehouse_id in the task")
        host, _, port = options["host"].removeprefix("https://").rstrip("/").partition(":")
        seconds = max(1, int(target["connect_seconds"]))
        self._cursor: Any = None
        self.connection = patiently(
            target,
            lambda: sql.connect(
                host, path, options["token"], catalog=options.get("database"), schema=options.get("schema"),
                user_agent_entry="rehearse", enable_telemetry=False, _port=int(port or 443), _socket_timeout=max(60, seconds),
                _retry_stop_after_attempts_count=5, _retry_stop_after_attempts_duration=seconds,
            ),
            lambda e: False,  # it tries again by itself
        )  # fmt: skip

    def run(self, sql: str) -> list[Result]:
        results: list[Result] = []
        for statement in split(sql, "databricks"):
            with speaking(self.target):
                started = time.monotonic()
                self._cursor = self.connection.cursor()
                self._cursor.execute(statement)
                results.append(self.result_of(self._cursor, started))
                self._cursor.close()
            last_only(results)
        return results

    def cancel(self) -> None:
        if self._cursor is not None:
            self._cursor.cancel()


class ClickHouse(Session):
    """clickhouse-connect, over HTTP. One session, so that SET and temporary tables last."""

    _GIVES_ROWS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "VALUES", "FROM")

    def __init__(self, target: Target):
        super().__init__(target)
        self.dialect = target["dialect"]
        self._query_id = ""
        self.client = patiently(target, self._open, is_passing)

    def _open(self) -> Any:
        import clickhouse_connect

        options = self.options
        secure = is_on(options.get("secure"))
        return clickhouse_connect.get_client(
            host=options["host"], port=int(options.get("port", 8443 if secure else 8123)), secure=secure,
            username=options.get("user", "default"), password=options.get("password", ""),
            database=options.get("database", "default"), connect_timeout=max(1, int(self.target["connect_seconds"])),
            send_receive_timeout=86_400, query_retries=0, client_name="rehearse",
        )  # fmt: skip

    def run(self, sql: str) -> list[Result]:
        results: list[Result] = []
        for statement in split(sql, "clickhouse"):
            self._query_id = str(uuid.uuid4())
            with speaking(self.target):
                started = time.monotonic()
                result = self._one(statement)
                result.seconds = time.monotonic() - started
                results.append(result)
            last_only(results)
        return results

    def _one(self, statement: str) -> Result:
        settings = {"query_id": self._query_id}
        if first_word(statement) not in self._GIVES_ROWS:
            self.client.command(statement, settings=settings)
            return Result()
        result = Result([], 0, True)
        with self.client.query_row_block_stream(statement, settings=settings) as blocks:
            for block in blocks:
                result.count = (result.count or 0) + len(block)
                result.rows += [tuple(row) for row in block[: MAX_ROWS - len(result.rows)]]
        return result

    def cancel(self) -> None:
        self._open().command(f"kill query where query_id = '{self._query_id}'")

    def close(self) -> None:
        self.client.close()

    def defaults(self) -> tuple[str | None, str | None]:
        return None, self.options.get("database", "default")
