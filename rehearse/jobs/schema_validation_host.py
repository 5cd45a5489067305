"""The looking at one column, in the task's own process (see `sql_host`, which calls this).

Types are compared as Snowflake sees them: INTEGER is NUMBER(38,0), TEXT is VARCHAR. A type without a length or a precision
stands for all of its family. A column is unique when a UNIQUE constraint has it alone; of one that is the whole primary
key, both answers are right.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rehearse.jobs import sql_lineage
from rehearse.jobs.sql_execution import Open, Outcome
from rehearse.jobs.sql_session import Session, SqlError

_NUMBERS = (
    "TINYINT", "SMALLINT", "MEDIUMINT", "INT", "BIGINT", "INT128", "INT256",
    "UTINYINT", "USMALLINT", "UINT", "UBIGINT", "UINT128", "UINT256",
)  # fmt: skip
_FAMILIES = {
    **dict.fromkeys((*_NUMBERS, "DECIMAL"), "NUMBER"),
    **dict.fromkeys(("VARCHAR", "TEXT", "CHAR", "NVARCHAR", "NCHAR"), "VARCHAR"),
    **dict.fromkeys(("DOUBLE", "FLOAT"), "FLOAT"),
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMPNTZ", "DATETIME"), "TIMESTAMP_NTZ"),
    "TIMESTAMPTZ": "TIMESTAMP_TZ", "TIMESTAMPLTZ": "TIMESTAMP_LTZ",
    **dict.fromkeys(("BINARY", "VARBINARY"), "BINARY"),
    **dict.fromkeys(("STRUCT", "MAP", "OBJECT"), "OBJECT"),
    **dict.fromkeys(("ARRAY", "LIST"), "ARRAY"),
    "JSON": "VARIANT",
}  # fmt: skip
_DUCKDB_ALIKE = ({"TIMESTAMP_TZ", "TIMESTAMP_LTZ"}, {"VARIANT", "OBJECT", "ARRAY"})
_BARE = ("NUMBER", "DECIMAL", "NUMERIC", "DEC")


@dataclass(frozen=True)
class ColumnType:
    """`sizes`: length, or precision and scale; None where any is meant or nobody knows."""

    family: str
    sizes: tuple[int, ...] | None = None

    def __str__(self) -> str:
        return f"{self.family}({','.join(map(str, self.sizes))})" if self.sizes else self.family


@dataclass(frozen=True)
class Column:
    type: ColumnType
    is_nullable: bool
    is_primary_key: bool
    is_only_key: bool
    is_unique: bool
    table: str


def validate(request: Mapping[str, Any], open_session: Open) -> Outcome:
    started = datetime.datetime.now(datetime.UTC)
    (target,) = request["targets"]
    on_duckdb = target["engine"] == "duckdb"
    expected = read_type(request["expected_type"], "snowflake")
    with open_session(target) as session:
        session.must_exist = True
        column = (_on_duckdb if on_duckdb else _on_snowflake)(session, request["table_name"], request["column_name"])
    differences = list(_differences(request, expected, column, on_duckdb))
    status = "FAILED" if differences else "SUCCEEDED"
    message = f"{column.table}.{request['column_name']}: " + ("; ".join(differences) or f"is {column.type} as expected")
    operation = sql_lineage.operation(
        "TEST", request["name"], status, started, message=message, upstream=[column.table]
    )
    return Outcome(status, message, {}, [operation])


def _differences(request: Mapping[str, Any], expected: ColumnType, column: Column, on_duckdb: bool) -> Any:
    if not fits(expected, column.type, on_duckdb):
        yield f"its type is {column.type}, expected {request['expected_type']}"
    elif on_duckdb and expected.family in ("VARCHAR", "BINARY") and expected.sizes:
        print("the length is not compared: DuckDB keeps none", flush=True)
    for name, actual, words in (
        ("is_nullable", column.is_nullable, "nullable"),
        ("is_primary_key", column.is_primary_key, "in the primary key"),
        ("is_unique", column.is_unique, "unique"),
    ):
        if request[name] != actual and not (name == "is_unique" and column.is_only_key):
            yield f"it is {'' if actual else 'not '}{words}, expected {'' if request[name] else 'not '}{words}"


def read_type(text: str, dialect: str) -> ColumnType:
    """Raises SqlError for what is no type."""
    from sqlglot import errors, exp

    try:
        read = exp.DataType.build(text, dialect=dialect)
    except (errors.SqlglotError, ValueError) as e:
        raise SqlError(f"expected_type '{text}' is no type of Snowflake", "for example NUMBER(38,0) or VARCHAR") from e
    kind = read.this.name
    family = _FAMILIES.get(kind, kind)
    sizes = tuple(int(each.name) for each in read.expressions if each.name.isdigit())
    if kind in _NUMBERS:
        return ColumnType(family, (38, 0))
    if family == "NUMBER":
        if text.strip().upper() in _BARE:
            return ColumnType(family)
        return ColumnType(family, (sizes[0], sizes[1] if len(sizes) > 1 else 0) if sizes else None)
    if kind in ("CHAR", "NCHAR") and not sizes:
        sizes = (1,)
    return ColumnType(family, sizes or None)


def fits(expected: ColumnType, actual: ColumnType, on_duckdb: bool) -> bool:
    alike = on_duckdb and any({expected.family, actual.family} <= group for group in _DUCKDB_ALIKE)
    if expected.family != actual.family and not alike:
        return False
    return expected.sizes is None or actual.sizes is None or expected.sizes == actual.sizes


def _parts(name: str) -> list[tuple[str, bool]]:
    """`db.schema."Table"` to (name, whether it was quoted), the last part last."""
    from sqlglot import errors, exp

    try:
        table = exp.to_table(name, dialect="snowflake")
        return [(part.name, bool(part.args.get("quoted"))) for part in table.parts]
    except (errors.SqlglotError, AttributeError) as e:
        raise SqlError(f"'{name}' is not the name of a table or column") from e


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _on_duckdb(session: Session, table: str, column: str) -> Column:
    """From DuckDB's catalogue. Names are compared without their case, as DuckDB does."""
    *above, name = [part for part, _ in _parts(table)]
    column = _parts(column)[-1][0]
    schema = _quoted(above[-1]) if above else "current_schema()"
    if above and above[-1].lower() == "public" and "public" not in session.names()[1]:
        schema = "'main'"
    place = (
        f"database_name = current_database() and lower(schema_name) = lower({schema})"
        f" and lower(table_name) = lower({_quoted(name)})"
    )
    columns = session.run(
        "select column_name, data_type, is_nullable, database_name || '.' || schema_name || '.' || table_name"
        f" from duckdb_columns() where {place}"
    )[-1].rows
    found = next((row for row in columns if row[0].lower() == column.lower()), None)
    if found is None:
        raise _missing(session, table, column, [row[0] for row in columns])
    keys = session.run(
        f"select constraint_type, list_transform(constraint_column_names, x -> lower(x)) from duckdb_constraints() where {place}"
    )[-1].rows
    indexes = session.run(f"select expressions from duckdb_indexes() where is_unique and {place}")[-1].rows
    primary: list[str] = next((names for kind, names in keys if kind == "PRIMARY KEY"), [])
    alone = [[column.lower()]]
    unique = [names for kind, names in keys if kind == "UNIQUE"] + [
        [each.strip(" '\"").lower() for each in str(row[0]).strip("[]").split(",")] for row in indexes
    ]
    return Column(
        read_type(found[1], "duckdb"), bool(found[2]), column.lower() in primary, [primary] == alone,
        alone[0] in unique, found[3],
    )  # fmt: skip


def _on_snowflake(session: Session, table: str, column: str) -> Column:
    """From the information schema, and SHOW ... KEYS, because the information schema has no columns of constraints."""
    *above, name = [part if quoted else part.upper() for part, quoted in _parts(table)]
    column = next(part if quoted else part.upper() for part, quoted in _parts(column))
    database, default_schema = session.defaults()
    schema = above[-1] if above else (default_schema or "").upper()
    catalog = above[-2] if len(above) > 1 else (database or "").upper()
    prefix = f'"{catalog}".' if catalog else ""
    place = f"table_name = {_quoted(name)} and table_schema = " + (_quoted(schema) if schema else "current_schema()")
    rows = session.run(
        "select column_name, data_type, is_nullable, character_maximum_length, numeric_precision, numeric_scale"
        f" from {prefix}information_schema.columns where {place}"
    )[-1].rows
    found = next((row for row in rows if row[0] == column), None)
    if found is None:
        raise _missing(session, table, column, [row[0] for row in rows])
    full = ".".join(f'"{part}"' for part in (catalog, schema, name) if part)
    primary = _keys(session, "primary", full)
    unique = _keys(session, "unique", full)
    only = [column] in primary.values()
    kind = ColumnType(read_type(found[1], "snowflake").family)
    if kind.family == "NUMBER" and found[4] is not None:
        kind = ColumnType(kind.family, (int(found[4]), int(found[5] or 0)))
    elif kind.family == "VARCHAR" and found[3] is not None:
        kind = ColumnType(kind.family, (int(found[3]),))
    return Column(
        kind, str(found[2]).upper() in ("YES", "TRUE"), any(column in names for names in primary.values()), only,
        [column] in unique.values(), full.replace('"', ""),
    )  # fmt: skip


def _keys(session: Session, kind: str, table: str) -> dict[str, list[str]]:
    """Constraint -> its columns."""
    result = session.run(f"show {kind} keys in table {table}")[-1]
    found: dict[str, list[str]] = {}
    for row in result.rows:
        values = dict(zip(result.columns, row, strict=True))
        found.setdefault(str(values.get("constraint_name")), []).append(str(values["column_name"]))
    return found


def _missing(session: Session, table: str, column: str, known: list[str]) -> SqlError:
    where = session.target["where"]
    if not known:
        return SqlError(f"there is no table {table} in {where}", "check its schema and database, and that it is loaded")
    return SqlError(f"{table} has no column {column} in {where}", f"it has {', '.join(known[:20])}")
