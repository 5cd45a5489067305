"""A stand-in for Snowflake: fakesnow's server (Snowflake's HTTP protocol over DuckDB), with what dbt needs and it lacks.

    .venv/clients/fakesnow/bin/python sandbox/snowflake_server.py [PORT]

fakesnow wants versions of DuckDB and sqlglot that nothing else here can have, so this file runs in an environment of its own
and imports nothing of this folder. It listens on 127.0.0.1, takes any user and password, and forgets everything at the end.
What it prints first is the port. Known gaps: no tasks, streams, procedures; a transaction is not atomic.
"""

from __future__ import annotations

import re
import socket
import sys
from typing import Any

import duckdb
import fakesnow.arrow
import fakesnow.cursor
import fakesnow.server
import fakesnow.transforms
import pyarrow as pa
import pyarrow.compute as pc
import snowflake.connector.errors
import sqlglot
import uvicorn
from sqlglot import exp

DONE = "select 'Statement executed successfully.' as status"
COMMENTS = re.compile(r"/\*.*?\*/|--[^\n]*", re.S)
# Rights and tags have no meaning here. fakesnow keeps its own tables in a second file, and DuckDB has no transaction over two.
IGNORED = re.compile(
    r"\s*(grant|revoke|begin|commit|rollback|start\s+transaction)\b|\s*alter\s+session\s+(set\s+query_tag|unset)\b"
    r"|\s*alter\s+table\s+\S+\s+(drop\s+clustering|cluster\s+by|resume\s+recluster)\b",
    re.I,
)
PARAMETER = re.compile(r"\s*show\s+parameters\s+like\s+'(\w+)'", re.I)
# dbt makes temporary tables in the schema of the model; DuckDB would have them in a database of their own.
TEMPORARY = re.compile(
    r"\b(create\s+(?:or\s+replace\s+)?)(?:local\s+|global\s+)?temp(?:orary)?\s+(table|view)\s+(\S+)", re.I
)

_execute = fakesnow.cursor.FakeSnowflakeCursor.execute


def execute(self: Any, command: str, *arguments: Any, **options: Any) -> Any:
    """fakesnow's, for one statement or several; what fails is an SQL error to the client, and no broken transaction stays."""
    statements = _split(command)
    for statement in statements[:-1]:
        execute(self, statement)
    statement = statements[-1] if statements else command
    bare = COMMENTS.sub("", statement)
    if IGNORED.match(bare):
        statement = DONE
    elif found := PARAMETER.match(bare):
        statement = f"select '{found[1].upper()}' as \"key\", '' as \"value\""
    elif found := TEMPORARY.search(statement):
        other = "view" if found[2].lower() == "table" else "table"
        try:
            _execute(self, f"drop {other} if exists {found[3]}")
        except Exception:  # it is not of the other kind
            _undo(self)
        statement = TEMPORARY.sub(r"\1\2 \3", statement)
    elif bare.lstrip()[:6].lower() == "merge ":
        statement = _qualified(statement)
    try:
        return _execute(self, statement, *arguments, **options)
    except snowflake.connector.errors.Error:
        raise
    except Exception as error:
        _undo(self)
        raise snowflake.connector.errors.ProgrammingError(
            msg=str(error)[:2000], errno=1003, sqlstate="42000"
        ) from error


def _undo(cursor: Any) -> None:
    """A failed statement leaves a broken transaction behind, in which everything fails; or none."""
    try:
        cursor._duck_conn.rollback()
    except duckdb.Error:
        pass
    cursor._conn._in_transaction = False


def _split(command: str) -> list[str]:
    if ";" not in command:
        return [command]
    parts, start = [], 0
    for token in sqlglot.tokenize(command, read="snowflake"):
        if token.token_type.name == "SEMICOLON":
            parts.append(command[start : token.start])
            start = token.end + 1
    return [part for part in [*parts, command[start:]] if COMMENTS.sub("", part).strip()]


def _qualified(merge: str) -> str:
    """A merge with its source named in front of every column that is read: DuckDB calls bare ones ambiguous."""
    tree = sqlglot.parse_one(merge, read="snowflake")
    source = tree.args["using"]
    name = source.args["alias"].this if source.args.get("alias") else source.this
    for clause in tree.args["whens"].expressions:
        then = clause.args.get("then")
        values = list(then.expression.expressions) if isinstance(then, exp.Insert) and then.expression else []
        values += [assignment.expression for assignment in then.expressions] if isinstance(then, exp.Update) else []
        for value in values:
            for column in value.find_all(exp.Column):
                if not column.args.get("table"):
                    column.set("table", name.copy())
    return tree.sql(dialect="snowflake")


_to_struct = fakesnow.arrow.timestamp_to_sf_struct


def with_nulls(times: Any) -> Any:
    """A missing time stays missing; fakesnow would send 1970-01-01."""
    struct = _to_struct(times)
    if isinstance(times, pa.ChunkedArray):
        times = times.combine_chunks()
    if not times.null_count:
        return struct
    fields = [struct.field(at) for at in range(struct.type.num_fields)]
    return pa.StructArray.from_arrays(fields, fields=list(struct.type), mask=pc.is_null(times))


def serve(port: int) -> None:
    fakesnow.cursor.FakeSnowflakeCursor.execute = execute
    fakesnow.arrow.timestamp_to_sf_struct = with_nulls
    fakesnow.transforms.numeric_agg_implicit_cast = lambda expression: expression  # it adds up amounts in binary
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(listener.getsockname()[1], flush=True)
        server = uvicorn.Server(uvicorn.Config(fakesnow.server.app, log_level="warning"))
        server.run(sockets=[listener])


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)
