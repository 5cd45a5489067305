"""PostgreSQL, and what speaks its protocol (Redshift), through psycopg.

All statements go to the server in one message, which splits them itself and takes them for one transaction: after an error
or a lost connection nothing is left behind. A statement that wants no transaction, such as VACUUM, works when it is alone.
"""

from __future__ import annotations

import select
import time
from typing import Any

from rehearse.jobs.sql_session import MAX_ROWS, Result, Session, SqlError, Unreachable, last_only, patiently, scrub
from rehearse.jobs.sql_targets import Target
from rehearse.jobs.sql_values import Row

# Reasons that may pass: it starts or stops, or has no place for another connection.
_PASSING = ("57P03", "57P01", "53300", "53400")
_PASSING_TEXTS = (
    "refused", "starting up", "shutting down", "recovery", "accepting connections", "too many", "timeout",
    "remaining connection slots", "closed the connection", "reset by peer",
)  # fmt: skip


def connect(target: Target) -> Session:
    return Postgres(target)


class Postgres(Session):
    dialect = "postgres"

    def __init__(self, target: Target):
        import psycopg

        super().__init__(target)
        if target["dialect"] == "redshift":
            self.dialect = "redshift"
        names = {"host": "host", "port": "port", "user": "user", "password": "password", "database": "dbname"}
        given = {word: str(self.options[name]) for name, word in names.items() if name in self.options}
        # libpq tries each address of a host for this long; Redshift names its encoding in a way Python does not know.
        timeout = max(2, min(10, int(target["connect_seconds"])))
        settings = {"connect_timeout": timeout, "client_encoding": "utf8", "application_name": "rehearse"}
        self.connection = patiently(
            target,
            lambda: psycopg.connect(self.options.get("url", ""), autocommit=True, **settings, **given),  # type: ignore[arg-type]
            _is_passing,
        )
        self.connection.add_notice_handler(
            lambda notice: print(scrub(target, f"{notice.severity}: {notice.message_primary}"), flush=True)
        )
        if self.options.get("schema"):
            from psycopg import sql

            self.connection.execute(sql.SQL("set search_path to {}").format(sql.Identifier(self.options["schema"])))

    def run(self, sql: str) -> list[Result]:
        import psycopg

        try:
            return self._run(sql)
        except psycopg.Error as e:
            if self.connection.pgconn.status == psycopg.pq.ConnStatus.OK:
                raise SqlError(scrub(self.target, f"{type(e).__name__}: {_in_words(e)}")) from e
            where, why = self.target["where"], scrub(self.target, str(e))
            raise Unreachable(
                f"the connection to {where} was lost, and what was not committed is rolled back: {why}",
                "run the task again",
            ) from e

    def _run(self, sql: str) -> list[Result]:
        from psycopg import pq
        from psycopg.adapt import Transformer
        from psycopg.errors import error_from_result

        server = self.connection.pgconn
        server.send_query(sql.encode())
        self._flush()
        # Rows arrive in portions: psycopg's own cursors would hold all of them in memory.
        if pq.version() >= 170000:
            server.set_chunked_rows_mode(MAX_ROWS)
        else:
            server.set_single_row_mode()
        portions = {getattr(pq.ExecStatus, name, None) for name in ("SINGLE_TUPLE", "TUPLES_CHUNK")}
        transformer = Transformer(self.connection)
        results: list[Result] = []
        current, error, started = Result(), None, time.monotonic()
        while True:
            self._wait()
            answer = server.get_result()
            if answer is None:
                break
            if answer.status in (pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_OUT):
                self.connection.close()
                raise SqlError("COPY ... FROM STDIN and TO STDOUT are not possible in a SQL task",
                               "COPY with a file of the server, or a Python task")  # fmt: skip
            if answer.status == pq.ExecStatus.FATAL_ERROR:
                error = error or error_from_result(answer, encoding="utf-8")
                continue
            if answer.status in portions or answer.status == pq.ExecStatus.TUPLES_OK:
                current.gives_rows = True
                current.count = (current.count or 0) + answer.ntuples
                wanted = min(answer.ntuples, MAX_ROWS - len(current.rows))
                current.rows += _load(transformer, answer, wanted)
            elif answer.status == pq.ExecStatus.COMMAND_OK:
                current.count = answer.command_tuples
            if answer.status not in portions:
                current.seconds = time.monotonic() - started
                results.append(current)
                last_only(results)
                current, started = Result(), time.monotonic()
        if error is not None:
            raise error
        return results

    def _flush(self) -> None:
        """Send what is still to be sent, reading meanwhile: a server that writes and we that write would both wait."""
        server = self.connection.pgconn
        while server.flush():
            readable, _, _ = select.select([server.socket], [server.socket], [])
            if readable:
                server.consume_input()

    def _wait(self) -> None:
        server = self.connection.pgconn
        while server.is_busy():
            select.select([server.socket], [], [])
            server.consume_input()

    def cancel(self) -> None:
        self.connection.cancel_safe(timeout=1)

    def close(self) -> None:
        self.connection.close()

    def defaults(self) -> tuple[str | None, str | None]:
        return self.connection.info.dbname, self.options.get("schema") or "public"


def _load(transformer: Any, answer: Any, wanted: int) -> list[Row]:
    """Values of the first rows; as the server's text where Python has no such value ('infinity'::date)."""
    import psycopg

    if not wanted:
        return []
    transformer.set_pgresult(answer)
    try:
        return list(transformer.load_rows(0, wanted, tuple))
    except psycopg.DataError:
        return [
            tuple(_cell(transformer, answer, row, column) for column in range(answer.nfields)) for row in range(wanted)
        ]


def _cell(transformer: Any, answer: Any, row: int, column: int) -> Any:
    import psycopg

    raw = answer.get_value(row, column)
    alone = [raw if each == column else None for each in range(answer.nfields)]
    try:
        return transformer.load_sequence(alone)[column]
    except psycopg.DataError:
        return raw.decode(errors="replace")


def _is_passing(error: Exception) -> bool:
    state = getattr(error, "sqlstate", None)
    text = str(error)
    return state in _PASSING or (state is None and any(word in text for word in _PASSING_TEXTS))


def _in_words(error: Any) -> str:
    """What the server says, with its hint and where in the SQL it stands."""
    diagnosis = error.diag
    parts = [diagnosis.message_primary or str(error), diagnosis.message_detail, diagnosis.message_hint]
    if diagnosis.statement_position:
        parts.append(f"(at character {diagnosis.statement_position})")
    return " ".join(part for part in parts if part)
