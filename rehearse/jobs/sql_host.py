"""Run in a task's own process: SQL against DuckDB or PostgreSQL. The request is JSON in REHEARSE_SQL (see `sql`)."""

from __future__ import annotations

import contextlib
import datetime
import decimal
import json
import operator
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MAX_ROWS = 1000
LOCK_SECONDS = 60
_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, ">": operator.gt, "<": operator.lt, ">=": operator.ge, "<=": operator.le,
}  # fmt: skip
Row = tuple[Any, ...]


def main() -> int:
    folder = Path(sys.argv[1])
    request = json.loads(os.environ.pop("REHEARSE_SQL"))
    print(request["sql"], flush=True)
    try:
        rows, count = _on_duckdb(request) if request["path"] else _on_postgres(request)
    except Exception as e:
        message = f"{type(e).__name__}: {str(e).strip()}"
        print(message, file=sys.stderr)
        _write(folder, {"status": "FAILED", "message": message.splitlines()[0]})
        return 1
    print(f"{count} row(s)", flush=True)
    result: dict[str, Any] = {"status": "SUCCEEDED", "message": None, "outputs": {}}
    if request["error"]:
        measured = float(count)
        if count == 1 and len(rows[0]) == 1 and _is_aggregate(request["sql"], request["dialect"]):
            value = rows[0][0]
            measured = float(value or 0) if isinstance(value, (int, float, decimal.Decimal, type(None))) else 1.0
        result["status"], result["message"] = judge(measured, request["error"], request["warn"])
        print(result["message"], flush=True)
    elif request["set_outputs"]:
        result["outputs"] = {"results": [[_json_value(cell) for cell in row] for row in rows]}
    _write(folder, result)
    return 0 if result["status"] != "FAILED" else 1


def judge(measured: float, error: str, warn: str) -> tuple[str, str]:
    """Status of a test, and why: the error threshold is looked at first (section 9.7)."""
    for status, threshold in (("FAILED", error), ("WARNING", warn)):
        sign, number = re.fullmatch(r"\s*(=|!=|>=|<=|>|<)\s*(\d+)\s*", threshold).groups()  # type: ignore[union-attr]
        if _COMPARE[sign](measured, int(number)):
            return status, f"measured {measured:g}, which is {threshold.strip()}"
    return "SUCCEEDED", f"measured {measured:g}"


def _is_aggregate(sql: str, dialect: str | None) -> bool:
    """Whether the last statement selects one aggregate: then its value is measured, else the number of rows (9.7)."""
    import sqlglot
    from sqlglot import exp

    try:
        last = [statement for statement in sqlglot.parse(sql, read=dialect or "duckdb") if statement is not None][-1]
    except (sqlglot.errors.SqlglotError, IndexError):
        return False  # the database understood it and we do not: count rows
    if not isinstance(last, exp.Select) or len(last.expressions) != 1:
        return False
    return isinstance(last.expressions[0].unalias(), (exp.Count, exp.Sum, exp.Min, exp.Max, exp.Avg))


def _on_duckdb(request: dict[str, Any]) -> tuple[list[Row], int]:
    import duckdb

    sql = request["sql"]
    if request["dialect"]:
        import sqlglot

        sql = ";\n".join(sqlglot.transpile(sql, read=request["dialect"], write="duckdb"))
    reads_only = bool(request["error"])
    if reads_only and not Path(request["path"]).exists():
        raise FileNotFoundError(f"there is no DuckDB file {request['path']}: load something first")
    connection = _open_patiently(duckdb, request["path"], reads_only)
    with connection:
        cursor = connection.execute(sql)
        return _fetch(cursor) if cursor.description else ([], 0)


def _open_patiently(duckdb: Any, path: str, read_only: bool) -> Any:
    """One process writes a DuckDB file at a time: wait for our turn, saying who has it."""
    if not read_only:
        _create(duckdb, path)
    deadline = time.monotonic() + LOCK_SECONDS
    said = False
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.IOException as e:
            if "lock" not in str(e).lower() or time.monotonic() > deadline:
                raise
            if not said:
                print(f"waiting for the DuckDB file: {e}", file=sys.stderr, flush=True)
                said = True
            time.sleep(0.1)


def _create(duckdb: Any, path: str) -> None:
    """Put a complete database where there is no file: of two that make the same one, DuckDB tells one that it is broken."""
    target = Path(path)
    if target.exists():
        return
    with (
        contextlib.suppress(OSError),  # it is there by now; or the folder takes none, which connecting puts into words
        tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as folder,
    ):
        new = Path(folder, target.name)
        duckdb.connect(str(new)).close()
        os.link(new, target)


def _on_postgres(request: dict[str, Any]) -> tuple[list[Row], int]:
    import psycopg

    with psycopg.connect(request["url"], connect_timeout=10, autocommit=False) as connection:
        if request["error"]:
            connection.read_only = True
        cursor = connection.execute(request["sql"])
        while cursor.nextset():  # the results of the last statement count
            pass
        return _fetch(cursor) if cursor.description else ([], 0)


def _fetch(cursor: Any) -> tuple[list[Row], int]:
    """The first rows, and how many there are; the others are counted without being kept."""
    rows: list[Row] = cursor.fetchmany(MAX_ROWS)
    count = len(rows)
    while chunk := cursor.fetchmany(10_000):
        count += len(chunk)
    return rows, count


def _json_value(value: Any) -> Any:
    if isinstance(value, decimal.Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if value is None or isinstance(value, (str, int, float, bool, list, dict)):
        return value
    return str(value)


def _write(folder: Path, result: dict[str, Any]) -> None:
    (folder / "result.json").write_text(json.dumps(result, default=str))


if __name__ == "__main__":
    sys.exit(main())
