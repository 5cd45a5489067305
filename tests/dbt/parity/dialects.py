"""SQL of Fabric, BigQuery and Databricks as DuckDB understands it: sqlglot, and what it does not know of dbt's statements.

A statement is parsed in its own dialect first, strictly, so SQL that the warehouse could not parse fails here. Then names
lose their database (DuckDB has one file), types and functions become DuckDB's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

DIALECTS = {"fabric": "fabric", "bigquery": "bigquery", "databricks": "databricks"}
EPOCH = "cast('1900-01-01' as timestamp)"  # what the integer 0 means to T-SQL where it wants a time


def statements(sql: str, warehouse: str) -> Iterator[str]:
    """The statements of one text that the adapter sends, in DuckDB's SQL. Raises sqlglot.ParseError."""
    for text in _split(sql, warehouse):
        for tree in sqlglot.parse(text, read=DIALECTS[warehouse], error_level=sqlglot.ErrorLevel.RAISE):
            if tree is not None and not isinstance(tree, exp.Semicolon):
                if isinstance(tree, exp.Insert) and tree.args.get("overwrite"):
                    tree.set("overwrite", False)
                    yield f"delete from {tree.find(exp.Table).sql(dialect='duckdb', comments=False)}".replace(
                        '"analytics".', ""
                    )
                if isinstance(tree, exp.Create) and isinstance(tree.this, exp.Schema) and tree.expression:
                    query = tree.expression.pop()  # DuckDB makes a table from columns or from a query
                    yield _duckdb(tree, warehouse)
                    tree = exp.Insert(this=tree.this.this.copy(), expression=query)
                yield _duckdb(tree, warehouse)


TUNING = re.compile(
    r"\b(create|update|drop) +statistics\b", re.I
)  # they change no row, and DuckDB has no word for them


def _split(sql: str, warehouse: str) -> Iterator[str]:
    if warehouse == "fabric":
        yield from _fabric(sql)
    elif warehouse == "bigquery":
        if not re.search(r"\bset\s+options\s*\(", sql, re.I):
            yield from _bigquery(sql)
    elif not NOT_THERE.search(sql):
        if found := REPLACE_ON.search(sql):
            table, condition, query = found.groups()
            # One statement there. Here the rows are kept first: the query may read the table that the delete empties.
            yield f"create or replace table replacing as {query}"
            yield f"delete from {table} as target where exists (select 1 from replacing as temp where {condition})"
            yield f"insert into {table} select * from replacing"
            return
        yield re.sub(r"\bchange\s+column\b(?=\s+\S+\s+set\b)", "alter column", sql, flags=re.I)


NOT_THERE = re.compile(  # rights to rows and columns, unenforced constraints, tuning
    r"information_schema`?\.`?(row_filters|column_masks|column_tags|table_tags)|\badd\s+constraint\b|\boptimize\s+`",
    re.I,
)
REPLACE_ON = re.compile(
    r"insert\s+into\s+table\s+(\S+)\s+as\s+target\s+replace\s+on\s+\((.*?)\)\s*\((.*)\)\s*as\s+temp", re.I | re.S
)
EXEC = re.compile(r"\bexec(?:ute)?\s*\(\s*'((?:[^']|'')*)'\s*\)\s*;?", re.I)


def _fabric(sql: str) -> Iterator[str]:
    """T-SQL batches: `use`, dynamic SQL, and statements that no semicolon ends."""
    if TUNING.search(sql):
        return
    sql = re.sub(r"^\s*use\s+\[[^]]*\]\s*;", "", sql, flags=re.I | re.M)
    sql = re.sub(r"\boption\s*\(\s*label\s*=\s*'[^']*'\s*\)", "", sql, flags=re.I)
    position = 0
    for found in EXEC.finditer(sql):
        yield sql[position : found.start()]
        yield from _fabric(found[1].replace("''", "'"))
        position = found.end()
    yield sql[position:]


def _bigquery(sql: str) -> Iterator[str]:
    """Scripts: dbt declares one array of partitions, sets it from a query, and merges with it."""
    declared = re.search(r"declare\s+(\w+)\s+array<\w+>\s*;", sql, re.I)
    if not declared:
        yield sql
        return
    name = declared[1]
    for text in (sql[: declared.start()] + sql[declared.end() :],):
        for part in (piece for piece in text.split(";") if re.sub(r"--[^\n]*", "", piece).strip()):
            if found := re.search(rf"set\s*\(\s*{name}\s*\)\s*=\s*\((.*)\)\s*$", part, re.I | re.S):
                query = re.sub(r"select\s+as\s+struct", "select", found[1], flags=re.I)
                values = f"select unnest(value) as value from ({query}) as _(value)"
                yield f"create or replace table {name} as select value from ({values})"
            else:
                yield re.sub(rf"unnest\(\s*{name}\s*\)", f"(select value from {name})", part, flags=re.I)


def _duckdb(tree: exp.Expression, warehouse: str) -> str:
    for table in tree.find_all(exp.Table):
        table.set("catalog", None)
    for kind in tree.find_all(exp.DataType):
        if any(size.name.upper() == "MAX" for size in kind.expressions):
            kind.set("expressions", [])
        if warehouse == "fabric" and kind.this is exp.DataType.Type.BIT:
            kind.set("this", exp.DataType.Type.BOOLEAN)
    for constraint in list(tree.find_all(exp.ColumnConstraint)):
        if warehouse == "bigquery" and isinstance(constraint.kind, exp.PrimaryKeyColumnConstraint):
            constraint.pop()  # not enforced, says the rest of it
    if warehouse == "fabric":
        _zero_is_1900(tree)
        for node in list(tree.find_all(exp.Add)):
            if _is_text(node.this) or _is_text(node.expression):
                node.replace(exp.DPipe(this=node.this, expression=node.expression))
        for node in list(tree.find_all(exp.Convert)):  # convert(varchar(32), hashbytes('MD5', x), 2)
            if isinstance(node.expression, exp.MD5):
                node.replace(exp.Upper(this=node.expression))
    return tree.sql(dialect="duckdb", unsupported_level=sqlglot.ErrorLevel.IGNORE, comments=False)


def _is_text(node: exp.Expression) -> bool:
    """Whether T-SQL's plus means concatenation here."""
    if isinstance(node, (exp.Paren, exp.Coalesce, exp.Add)):
        return _is_text(node.this) or (isinstance(node, exp.Add) and _is_text(node.expression))
    return (
        (isinstance(node, exp.Literal) and node.is_string)
        or isinstance(node, exp.DPipe)
        or (isinstance(node, (exp.Cast, exp.TryCast)) and node.to.this in exp.DataType.TEXT_TYPES)
    )


def _zero_is_1900(tree: exp.Expression) -> None:
    """dateadd(month, datediff(month, 0, x), 0), which dbt-fabric's date_trunc is: 0 stands for 1900-01-01."""
    kinds = (exp.DateAdd, exp.DateDiff, exp.TsOrDsAdd, exp.TsOrDsDiff, exp.TimestampAdd, exp.TimestampDiff)
    for node in tree.find_all(*kinds):
        adds = isinstance(node, (exp.DateAdd, exp.TsOrDsAdd, exp.TimestampAdd))
        for key in ("this",) if adds else ("this", "expression"):
            inner = node.args[key]
            while isinstance(inner, (exp.Cast, exp.Paren, exp.TsOrDsToTimestamp, exp.TsOrDsToDate)):
                inner = inner.this
            if isinstance(inner, exp.Literal) and not inner.is_string and inner.this == "0":
                node.set(key, sqlglot.parse_one(EPOCH, read="duckdb"))
