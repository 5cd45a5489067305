"""What SQL reads and writes, for the record of a task: operations as `jobs.report` takes them.

Best effort, and never a reason for a task to fail: what sqlglot cannot read has no assets.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from rehearse.jobs.sql_session import Result

if TYPE_CHECKING:
    from sqlglot import exp

LONGEST = 100_000
_NAMES_TABLES = re.compile(r"\b(from|into|update|table|view|join|using|copy)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
Operation = dict[str, Any]


def utc(at: datetime.datetime) -> str:
    return at.astimezone(datetime.UTC).isoformat().replace("+00:00", "Z")


def operation(kind: str, name: str, status: str, started: datetime.datetime, **more: Any) -> Operation:
    """One operation that ends now. `kind`: QUERY or TEST."""
    plain: Operation = {"message": None, "rows": None, "asset": None, "upstream": []}
    ended = datetime.datetime.now(datetime.UTC)
    return (
        {"type": kind, "name": name, "status": status, "started_at": utc(started), "ended_at": utc(ended)}
        | plain
        | more
    )


def first_words(sql: str) -> str:
    """A name for a statement: its first eight words, without comments."""
    words = _COMMENTS.sub(" ", sql).split()
    return " ".join(words[:8])[:80] + (" ..." if len(words) > 8 else "") if words else "nothing"


def queries(
    sql: str, dialect: str, integration: str, defaults: tuple[str | None, str | None], results: Sequence[Result],
    started: datetime.datetime,
) -> list[Operation]:  # fmt: skip
    """One operation for each statement of `sql`. `defaults`: the database and schema of names without them."""
    statements = _parse(sql, dialect)
    if not statements:
        rows = results[-1].count if results else None
        return [operation("QUERY", first_words(sql), "SUCCEEDED", started, rows=rows)]
    found, at = [], started
    one_each = len(statements) == len(results)
    for number, statement in enumerate(statements):
        result = results[number] if one_each else results[-1] if results and statement is statements[-1] else Result()
        asset, upstream = assets(statement, dialect, integration, defaults)
        each = operation("QUERY", first_words(statement.sql(dialect)), "SUCCEEDED", at, rows=result.count)
        if one_each:
            each["started_at"] = utc(at)
            at += datetime.timedelta(seconds=result.seconds)
            each["ended_at"] = utc(at)
        found.append(each | {"asset": asset, "upstream": upstream})
    return found


def tables_read(sql: str, dialect: str, integration: str, defaults: tuple[str | None, str | None]) -> list[str]:
    """All tables that some SQL reads."""
    read = [name for each in _parse(sql, dialect) for name in assets(each, dialect, integration, defaults)[1]]
    return list(dict.fromkeys(read))


def _parse(sql: str, dialect: str) -> list[Any]:
    if len(sql) > LONGEST or not _NAMES_TABLES.search(sql):
        return []  # importing sqlglot costs more than most queries
    import logging

    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.ERROR)
    try:
        return [each for each in sqlglot.parse(sql, read=dialect) if each is not None and each.key != "semicolon"]
    except (sqlglot.errors.SqlglotError, RecursionError):
        return []


def assets(
    statement: exp.Expr, dialect: str, integration: str, defaults: tuple[str | None, str | None]
) -> tuple[dict[str, str] | None, list[str]]:
    """(what a statement writes, the names of what it reads). Names have as many parts as are known."""
    from sqlglot import exp

    named = _Namer(dialect, defaults)
    target, kind = _written(statement)
    written = None
    if isinstance(target, str):
        written = {"integration": integration, "name": target, "type": "FILE"}
    elif target is not None:
        written = {"integration": integration, "name": named(target), "type": kind}
    ctes = {cte.alias.lower() for cte in statement.find_all(exp.CTE)}
    read = []
    for node in statement.find_all(exp.Table, exp.ReadCSV, exp.ReadParquet):
        if node is target:
            continue
        if isinstance(node, exp.Table):
            if isinstance(node.this, exp.Identifier) and (node.args.get("db") or node.name.lower() not in ctes):
                is_file = dialect == "duckdb" and node.this.quoted and "." in node.name  # FROM 'x.parquet'
                read.append(node.name if is_file else named(node))
        else:
            read += [literal.name for literal in node.find_all(exp.Literal) if literal.is_string][:1]
    if isinstance(statement, exp.Copy) and statement.args.get("kind"):  # FROM files
        read += [each.name for each in statement.args.get("files") or [] if each.name]
    if isinstance(statement, (exp.Use, exp.Drop, exp.Set, exp.Command, exp.Describe, exp.Grant, exp.Alter)):
        return None, []
    return written, [name for name in dict.fromkeys(read) if written is None or name != written["name"]]


def _written(statement: exp.Expr) -> tuple[Any, str]:
    """(the table node, or the name of a file, that is written; TABLE or VIEW); (None, "") for what only reads."""
    from sqlglot import exp

    if isinstance(statement, exp.Create):
        kind = str(statement.kind or "").upper()
        if kind in ("TABLE", "VIEW"):
            return _table(statement.this), kind
        return None, ""
    if isinstance(statement, (exp.Insert, exp.Merge, exp.Update, exp.Delete)):
        return _table(statement.this), "TABLE"
    if isinstance(statement, exp.TruncateTable):
        return _table(statement.expressions[0]) if statement.expressions else None, "TABLE"
    if isinstance(statement, exp.Copy):
        if statement.args.get("kind"):
            return _table(statement.this), "TABLE"
        files = statement.args.get("files") or []
        return (files[0].name or None, "FILE") if files else (None, "")
    if isinstance(statement, exp.Select) and statement.args.get("into"):
        return _table(statement.args["into"].this), "TABLE"
    return None, ""


def _table(node: Any) -> Any:
    from sqlglot import exp

    if isinstance(node, exp.Schema):  # t (a, b)
        node = node.this
    return node if isinstance(node, exp.Table) and node.name else None


class _Namer:
    """`db.schema.table` in the case that the database keeps names in."""

    def __init__(self, dialect: str, defaults: tuple[str | None, str | None]):
        from sqlglot import Dialect

        self.dialect = Dialect.get_or_raise(dialect)
        self.database, self.schema = defaults

    def __call__(self, table: exp.Table) -> str:
        parts = list(self._parts(table))
        if len(parts) == 1 and self.schema:
            parts.insert(0, self._plain(self.schema))
        if len(parts) == 2 and self.database:
            parts.insert(0, self._plain(self.database))
        return ".".join(parts)

    def _parts(self, table: exp.Table) -> Iterator[str]:
        for part in table.parts:
            yield self.dialect.normalize_identifier(part.copy()).name

    def _plain(self, name: str) -> str:
        from sqlglot import exp

        return self.dialect.normalize_identifier(exp.to_identifier(name, quoted=False)).name
