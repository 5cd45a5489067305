"""Run in a task's own process: SQL, wherever the request says (see `sql_targets`; it comes in REHEARSE_SQL).

A thread works, the main thread waits for signals: at SIGINT or SIGTERM the database is asked to stop the query, and the
process ends within two seconds whatever the client does. What came out is told with `jobs.report`.
"""

from __future__ import annotations

import datetime
import importlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from rehearse.errors import RehearseError
from rehearse.jobs import sql_lineage
from rehearse.jobs.report import report
from rehearse.jobs.sql_execution import Open, Outcome, execute
from rehearse.jobs.sql_session import Result, Session, connect
from rehearse.jobs.sql_targets import Target, unpack
from rehearse.jobs.sql_values import is_aggregate, json_value, judge, measure

_SHOWN = 10_000  # characters of SQL that the log repeats
_MESSAGE = 2_000
_CANCEL_SECONDS = 1.0
_CLOSE_SECONDS = 5.0


def main() -> int:
    work = _Work(unpack(os.environ))
    thread = threading.Thread(target=work.run, daemon=True)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    thread.start()
    try:
        work.done.wait()
    except KeyboardInterrupt:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        return work.stop()
    thread.join(_CLOSE_SECONDS)
    if thread.is_alive():
        _leave(work.code)  # a client that does not come back from closing
    return work.code


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Work:
    """`done` is set when the end is told; closing the session comes after."""

    def __init__(self, request: dict[str, Any]):
        self.request = request
        self.done = threading.Event()
        self.code = 1
        self.started = datetime.datetime.now(datetime.UTC)
        self._session: Session | None = None
        self._stopping = False

    def run(self) -> None:
        what = self.request["do"]
        name = self.request.get("name") or sql_lineage.first_words(self.request.get("sql", what))
        try:
            outcome = _DO[what](self.request, self.open)
        except RehearseError as e:
            outcome = self._failed(name, f"{e}; {e.hint}" if e.hint else str(e))
        except Exception as e:
            outcome = self._failed(name, f"{type(e).__name__}: {str(e).strip()}")
        if self._stopping:
            return
        self._tell(outcome)
        self.code = 1 if outcome.status == "FAILED" else 0
        self.done.set()
        with suppress(Exception):
            if self._session is not None:
                self._session.close()

    def _failed(self, name: str, message: str) -> Outcome:
        message = message[:_MESSAGE]
        kind = "QUERY" if self.request["do"] == "query" else "TEST"
        operation = sql_lineage.operation(kind, name, "FAILED", self.started, message=message)
        return Outcome("FAILED", message, {}, [operation])

    def _tell(self, outcome: Outcome) -> None:
        if outcome.message:
            print(outcome.message, file=sys.stderr if outcome.status == "FAILED" else sys.stdout, flush=True)
        report(outcome.status, outcome.message, outcome.outputs, outcome.operations)

    @contextmanager
    def open(self, target: Target) -> Iterator[Session]:
        """A session that a signal can stop. The last one is closed after the end is told, the others at once."""
        if self._session is not None:
            self._session.close()
        self._session = connect(target)
        yield self._session

    def stop(self) -> int:
        """Ask the database to stop, and end."""
        self._stopping = True
        session = self._session
        print("stopping" + (f" the query on {session.target['where']}" if session else ""), file=sys.stderr, flush=True)
        if session is not None:
            canceller = threading.Thread(target=_quietly, args=(session.cancel,), daemon=True)
            canceller.start()
            canceller.join(_CANCEL_SECONDS)
            closer = threading.Thread(target=_quietly, args=(session.close,), daemon=True)
            closer.start()
            closer.join(_CANCEL_SECONDS / 2)
        _leave(130)
        return 130


def _quietly(do: Callable[[], None]) -> None:
    with suppress(Exception):
        do()


def _query(request: dict[str, Any], open_session: Open) -> Outcome:
    started = datetime.datetime.now(datetime.UTC)
    (target,) = request["targets"]
    _show(request["sql"])
    with open_session(target) as session:
        results, executed = execute(session, request["sql"])
        last = results[-1] if results else Result()
        operations = sql_lineage.queries(
            executed, session.dialect, target["integration"], session.defaults(), results, started
        )
    outputs = {"results": [[json_value(cell) for cell in row] for row in last.rows]} if request["set_outputs"] else {}
    changed = "" if last.gives_rows else " changed"
    return Outcome("SUCCEEDED", None if last.count is None else f"{last.count} row(s){changed}", outputs, operations)


def _test(request: dict[str, Any], open_session: Open) -> Outcome:
    started = datetime.datetime.now(datetime.UTC)
    (target,) = request["targets"]
    sql = request["sql"]
    _show(sql)
    with open_session(target) as session:
        session.must_exist = True
        results, executed = execute(session, sql)
        last = results[-1] if results and results[-1].gives_rows else Result([], 0, True)
        measured = measure(last.rows, last.count or 0, lambda: is_aggregate(sql, target["dialect"]))
        status, message = judge(measured, request["error"], request["warn"])
        upstream = sql_lineage.tables_read(executed, session.dialect, target["integration"], session.defaults())
    operation = sql_lineage.operation(
        "TEST", sql_lineage.first_words(sql), status, started, message=message, rows=last.count, upstream=upstream
    )
    return Outcome(status, message, {}, [operation])


def _show(sql: str) -> None:
    print(sql if len(sql) <= _SHOWN else f"{sql[:_SHOWN]}\n... ({len(sql):,} characters)", flush=True)


def _elsewhere(module: str, function: str) -> Callable[[dict[str, Any], Open], Outcome]:
    def do(request: dict[str, Any], open_session: Open) -> Outcome:
        found: Callable[[dict[str, Any], Open], Outcome] = getattr(
            importlib.import_module(f"rehearse.jobs.{module}"), function
        )
        return found(request, open_session)

    return do


_DO: dict[str, Callable[[dict[str, Any], Open], Outcome]] = {
    "query": _query,
    "test": _test,
    "values": _elsewhere("reconciliation_host", "compare_values"),
    "cursor": _elsewhere("reconciliation_host", "compare_cursors"),
    "schema": _elsewhere("schema_validation_host", "validate"),
}

if __name__ == "__main__":
    sys.exit(main())
