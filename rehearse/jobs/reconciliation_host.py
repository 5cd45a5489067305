"""The comparing of two sides, in the task's own process (see `sql_host`, which calls this).

Without thresholds, numbers that differ are reported and the task succeeds, while other values that differ make it fail
(question 9 of the language reference).
"""

from __future__ import annotations

import datetime
import decimal
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rehearse.jobs import sql_lineage
from rehearse.jobs.sql_execution import Open, Outcome, execute
from rehearse.jobs.sql_session import SqlError
from rehearse.jobs.sql_targets import KINDS, Target
from rehearse.jobs.sql_values import is_number, json_value, judge

SIDES = ("source", "destination")
_SEVERITY = ("SUCCEEDED", "WARNING", "FAILED")


def compare_values(request: Mapping[str, Any], open_session: Open) -> Outcome:
    """MANUAL_QUERY: one value of each side."""
    started = datetime.datetime.now(datetime.UTC)
    values: list[Any] = []
    upstream: list[str] = []
    for side, target, sql in zip(SIDES, request["targets"], request["queries"], strict=True):
        print(f"{side}, {target['where']}:\n{sql}", flush=True)
        with open_session(target) as session:
            results, executed = execute(session, sql)
            rows = results[-1].rows if results else []
            count = (results[-1].count or 0) if results and results[-1].gives_rows else 0
            if count != 1 or len(rows[0]) != 1:
                columns = len(rows[0]) if rows else 0
                raise SqlError(
                    f"the query of the {side} must give one value, and gave {count} row(s) of {columns} column(s)",
                    "select one aggregate, such as count(*), in its last statement",
                )
            values.append(rows[0][0])
            upstream += sql_lineage.tables_read(executed, session.dialect, target["integration"], session.defaults())
    status, message = compare(values[0], values[1], request["error"], request["warn"])
    return _outcome(request, status, message, started, upstream)


def compare(source: Any, destination: Any, error: str | None, warn: str | None) -> tuple[str, str]:
    """Status, and why. Thresholds are for the absolute difference of two numbers only."""
    shown = f"source {_text(source)}, destination {_text(destination)}"
    if is_number(source) and is_number(destination):
        apart = difference(source, destination)
        status, why = judge(apart, error, warn)
        if error is None and warn is None:
            return status, f"{shown}: " + (f"they differ by {apart}, no threshold is set" if apart else "equal")
        return status, f"{shown}: {why.replace('measured', 'they differ by', 1)}"
    if json_value(source) == json_value(destination):
        return "SUCCEEDED", f"{shown}: equal"
    return "FAILED", f"{shown}: they differ, and are not both numbers"


def difference(a: Any, b: Any) -> Any:
    """|a - b|: exact unless one is a float."""
    if isinstance(a, float) or isinstance(b, float):
        return abs(float(a) - float(b))
    return abs(a - b)


def _text(value: Any) -> str:
    return json.dumps(json_value(value), ensure_ascii=False)[:200]


def compare_cursors(request: Mapping[str, Any], open_session: Open) -> Outcome:
    """CURSOR_FIELD: how many rows each side has, and up to which value, after the cursor."""
    started = datetime.datetime.now(datetime.UTC)
    cursor = _starting_cursor(request)
    if cursor is not None:
        print(f"only what is after {_text(cursor)}", flush=True)
    counts: list[int] = []
    maxima: list[Any] = []
    upstream: list[str] = []
    for side, target, column in zip(SIDES, request["targets"], request["columns"], strict=True):
        sql = cursor_query(column["table"], column["column"], cursor, target)
        print(f"{side}, {target['where']}:\n{sql}", flush=True)
        with open_session(target) as session:
            results, executed = execute(session, sql)
            count, maximum = results[-1].rows[0]
            counts.append(int(count))
            maxima.append(maximum)
            upstream += sql_lineage.tables_read(executed, session.dialect, target["integration"], session.defaults())
    worst, messages = "SUCCEEDED", []
    for what, limits in request["checks"].items():
        values = counts if what == "count" else maxima
        status, message = _drift(what, values[0], values[1], limits)
        messages.append(message)
        worst = max(worst, status, key=_SEVERITY.index)
    if worst == "SUCCEEDED" and request["cache"]:
        _remember(Path(request["cache"]), request, _reached(maxima), cursor)
    return _outcome(request, worst, "; ".join(messages), started, upstream)


def cursor_query(table: str, column: str, cursor: Any, target: Target) -> str:
    """`select count(*), max(column) from table where column > cursor`, in the dialect of the target.

    Raises SqlError when the names are more than names: they come from the pipeline's parameters.
    """
    import sqlglot
    from sqlglot import exp

    dialect = KINDS[target["integration"]].dialect
    try:
        relation = exp.maybe_parse(table, into=exp.Table, dialect=dialect)
        field = exp.maybe_parse(column, into=exp.Column, dialect=dialect)
    except sqlglot.errors.SqlglotError as e:
        raise SqlError(f"'{table}' or '{column}' is not a name: {' '.join(str(e).split())}") from e
    if isinstance(field, exp.Identifier):
        field = exp.column(field)
    if not isinstance(relation.this, exp.Identifier) or relation.args.get("alias") or not isinstance(field, exp.Column):
        raise SqlError(f"'{table}' must be the name of a table, and '{column}' of a column")
    query = exp.select(exp.Count(this=exp.Star()), exp.Max(this=field.copy())).from_(relation)
    if cursor is not None:
        query = query.where(exp.GT(this=field, expression=_literal(cursor)))
    return query.sql(dialect)


def _literal(value: Any) -> Any:
    from sqlglot import exp

    if isinstance(value, datetime.datetime):
        kind = "timestamp" if value.tzinfo is None else "timestamptz"
        return exp.cast(exp.Literal.string(value.isoformat(sep=" ")), kind)
    if isinstance(value, datetime.date):
        return exp.cast(exp.Literal.string(value.isoformat()), "date")
    if is_number(value):
        return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))
    return exp.Literal.string(str(value))


def _drift(what: str, source: Any, destination: Any, limits: Mapping[str, str]) -> tuple[str, str]:
    shown = f"{'rows' if what == 'count' else 'maximum'}: source {_text(source)}, destination {_text(destination)}"
    if (source is None) != (destination is None):
        return "FAILED", f"{shown}: one side has no value"
    status, why = judge(distance(source, destination), limits["error"], limits["warn"])
    return status, f"{shown}: {why.replace('measured', 'drift', 1)}"


def distance(a: Any, b: Any) -> Any:
    """Of numbers their difference, of timestamps seconds, of dates days, of other values 0 or 1."""
    if is_number(a) and is_number(b):
        return difference(a, b)
    if type(a) is datetime.date and type(b) is datetime.date:
        return abs((a - b).days)
    if isinstance(a, datetime.date) and isinstance(b, datetime.date):
        return abs((_moment(a) - _moment(b)).total_seconds())
    return 0 if json_value(a) == json_value(b) else 1


def _moment(value: datetime.date) -> datetime.datetime:
    """A day is its beginning, and a time without a zone is in UTC."""
    moment = value if isinstance(value, datetime.datetime) else datetime.datetime.combine(value, datetime.time())
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.UTC)


def _starting_cursor(request: Mapping[str, Any]) -> Any:
    override = request["override"]
    if override not in (None, ""):
        return _number(override)
    if not request["cache"]:
        return None
    path = Path(request["cache"])
    if not path.exists():
        return None
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return _READ[kept["type"]](kept["value"])
    except (ValueError, KeyError, TypeError, ArithmeticError) as e:
        raise SqlError(
            f"the kept cursor {path} cannot be read: {type(e).__name__}: {e}", f"delete it: rm '{path}'"
        ) from e


def _number(text: Any) -> Any:
    """A number where the text is one: warehouses do not compare numbers with text."""
    if not isinstance(text, str):
        return text
    try:
        number = decimal.Decimal(text.strip())
    except decimal.InvalidOperation:
        return text
    return number if number.is_finite() else text


_READ: dict[str, Any] = {
    "number": decimal.Decimal,
    "timestamp": datetime.datetime.fromisoformat,
    "date": datetime.date.fromisoformat,
    "text": str,
}


def _reached(maxima: list[Any]) -> Any:
    """Up to where both sides were seen: the lower maximum, so that nothing is ever left out."""
    a, b = maxima
    if a is None or b is None:
        return None
    if isinstance(a, datetime.date) and isinstance(b, datetime.date):
        return min(a, b, key=_moment)
    if is_number(a) and is_number(b):
        return min(a, b)
    return min(a, b, key=str)


def _remember(path: Path, request: Mapping[str, Any], value: Any, cursor: Any) -> None:
    """Keep the cursor for the next run: written in one step, after success only."""
    if value is None or value == cursor:
        return
    if is_number(value):
        kind, text = "number", str(value)
    elif isinstance(value, datetime.date):
        kind, text = ("timestamp" if isinstance(value, datetime.datetime) else "date"), value.isoformat()
    else:
        kind, text = "text", str(value)
    content = {"type": kind, "value": text, "columns": request["columns"],
               "at": sql_lineage.utc(datetime.datetime.now(datetime.UTC))}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _outcome(
    request: Mapping[str, Any], status: str, message: str, started: datetime.datetime, upstream: list[str]
) -> Outcome:
    operation = sql_lineage.operation(
        "TEST", request["name"], status, started, message=message, upstream=list(dict.fromkeys(upstream))
    )
    return Outcome(status, message, {}, [operation])
