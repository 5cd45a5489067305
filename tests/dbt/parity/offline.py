"""dbt's real adapters for Fabric, BigQuery and Databricks, with DuckDB where their connection would be.

Nothing of dbt is replaced but the wire: models, tests, snapshots and incremental builds are compiled by the adapter's own
macros, and every statement that it would send goes through dialects.py to a DuckDB file. What an adapter asks its
warehouse's catalogue (which tables exist, which columns they have), DuckDB's catalogue answers.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from dialects import statements


class Result(NamedTuple):
    columns: list[tuple[str, str]]  # name, DuckDB's type
    rows: list[tuple[Any, ...]]


class Engine:
    """The DuckDB file. One statement at a time: threads of dbt share it."""

    def __init__(self, warehouse: str, path: Path):
        self.warehouse = warehouse
        self.connection = duckdb.connect(str(path))
        self.connection.execute("set TimeZone = 'UTC'")
        self.lock = threading.RLock()
        self.log = open(path.with_suffix(".log"), "a")  # noqa: SIM115

    def send(self, sql: str) -> Result:
        """Run what the adapter sends; the result of the last statement. Raises with both versions of the SQL."""
        with self.lock:
            result = Result([], [])
            translated = "(not parsed)"
            try:
                for translated in statements(sql, self.warehouse):
                    result = self.run(translated)
            except Exception as error:
                raise RuntimeError(f"{error}\n-- sent:\n{sql}\n-- run:\n{translated}") from error
            return result

    def run(self, sql: str, parameters: Any = None) -> Result:
        with self.lock:
            print(sql, end=";\n\n", file=self.log, flush=True)
            cursor = self.connection.execute(sql, parameters)
            columns = [(name, str(kind)) for name, kind, *_ in cursor.description or ()]
            return Result(columns, cursor.fetchall() if columns else [])

    def schemas(self) -> list[str]:
        return [
            name for (name,) in self.run("select distinct schema_name from duckdb_schemas() where not internal").rows
        ]

    def relations(self, schema: str) -> list[tuple[str, str]]:
        """(name, `table` or `view`) of what a schema has."""
        query = (
            "select table_name, case table_type when 'VIEW' then 'view' else 'table' end from information_schema.tables "
            "where lower(table_schema) = lower(?) order by 1"
        )
        return [(name, kind) for name, kind in self.run(query, [schema]).rows]

    def columns(self, schema: str, name: str) -> list[tuple[str, str]]:
        query = (
            "select column_name, data_type from duckdb_columns() join (select table_oid, temporary from duckdb_tables() "
            "union all select view_oid, temporary from duckdb_views()) using (table_oid) "
            "where (lower(schema_name) = lower(?) or temporary) and lower(table_name) = lower(?) order by column_index"
        )
        return [(column, kind) for column, kind in self.run(query, [schema, name]).rows]


class Cursor:
    """What the adapters of DB-API clients read from."""

    def __init__(self, engine: Engine):
        self.engine, self.result, self.position = engine, Result([], []), 0
        self.rowcount, self.messages, self.query_id = -1, [], "offline"

    @property
    def description(self) -> list[tuple[Any, ...]]:
        return [(name, kind, None, None, None, None, None) for name, kind in self.result.columns]

    def execute(self, sql: str, bindings: Any = None, **_: Any) -> Cursor:
        if bindings:
            parameters = list(bindings)
            sql = re.sub(r"\?|%s", lambda _: _literal(parameters.pop(0)), sql)
        self.result, self.position = self.engine.send(sql), 0
        return self

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self.result.rows[self.position :]

    def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        rows = self.result.rows[self.position : self.position + size]
        self.position += len(rows)
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        return next(iter(self.fetchmany(1)), None)

    def nextset(self) -> bool:
        return False

    def close(self) -> None: ...

    def get_response(self) -> Any:
        from dbt.adapters.contracts.connection import AdapterResponse

        return AdapterResponse("OK", query_id=self.query_id)


def _literal(value: Any) -> str:
    return (
        "null"
        if value is None
        else str(value)
        if isinstance(value, (int, float))
        else "'" + str(value).replace("'", "''") + "'"
    )


class Handle:
    """The connection of an adapter's client."""

    session_id, dbr_version = "offline", (99, 0)

    def __init__(self, engine: Engine):
        self.engine = engine

    def cursor(self) -> Cursor:
        return Cursor(self.engine)

    def execute(self, sql: str, bindings: Any = None) -> Cursor:
        return Cursor(self.engine).execute(sql, bindings)

    def close(self) -> None: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def cancel(self) -> None: ...


def connect(warehouse: str, path: Path) -> Engine:
    """Put DuckDB behind the adapter of this process, before dbt runs. Returns the engine, to fill and read tables with."""
    engine = Engine(warehouse, path)
    {"fabric": _fabric, "databricks": _databricks, "bigquery": _bigquery}[warehouse](engine)
    return engine


def _opener(engine: Engine) -> Any:
    def open_(cls: Any, connection: Any) -> Any:
        connection.handle, connection.state = Handle(engine), "open"
        return connection

    return classmethod(open_)


def _catalogue(adapter: Any, engine: Engine) -> None:
    """The questions that every adapter asks."""

    def relations(self: Any, schema_relation: Any, *_: Any) -> list[Any]:
        return [
            self.Relation.create(
                database=schema_relation.database, schema=schema_relation.schema, identifier=name, type=kind,
                quote_policy=schema_relation.quote_policy,
            )
            for name, kind in engine.relations(schema_relation.schema)
        ]  # fmt: skip

    def create_schema(self: Any, relation: Any) -> None:
        engine.run(f'create schema if not exists "{relation.schema}"')

    def drop(self: Any, relation: Any) -> None:
        for name, kind in engine.relations(relation.schema):
            if name == relation.identifier:
                engine.run(f'drop {kind} "{relation.schema}"."{name}"')
        self.cache_dropped(relation)

    def rename(self: Any, source: Any, target: Any) -> None:
        kind = dict(engine.relations(source.schema))[source.identifier]
        engine.run(f'alter {kind} "{source.schema}"."{source.identifier}" rename to "{target.identifier}"')
        self.cache_renamed(source, target)

    adapter.list_relations_without_caching = relations
    adapter.rename_relation = rename
    adapter.list_schemas = lambda self, database: engine.schemas()
    adapter.check_schema_exists = lambda self, database, schema: schema in engine.schemas()
    adapter.create_schema = create_schema
    adapter.drop_relation = drop


def _fabric(engine: Engine) -> None:
    from dbt.adapters.fabric.fabric_adapter import FabricAdapter
    from dbt.adapters.fabric.fabric_connection_manager import FabricConnectionManager

    FabricConnectionManager.open = _opener(engine)
    FabricConnectionManager.data_type_code_to_name = classmethod(lambda cls, code: code)
    _catalogue(FabricAdapter, engine)
    FabricAdapter.get_columns_in_relation = lambda self, relation: [
        self.Column.from_description(name, kind) for name, kind in engine.columns(relation.schema, relation.identifier)
    ]


def _databricks(engine: Engine) -> None:
    from dbt.adapters.databricks.connections import DatabricksConnectionManager
    from dbt.adapters.databricks.impl import DatabricksAdapter

    DatabricksConnectionManager.open = _opener(engine)
    _catalogue(DatabricksAdapter, engine)
    plain = DatabricksAdapter.list_relations_without_caching

    def relations(self: Any, schema_relation: Any, *rest: Any) -> list[Any]:
        found = plain(self, schema_relation, *rest)
        return [
            self.Relation.from_dict({**relation.to_dict(), "is_delta": relation.type == "table"}) for relation in found
        ]

    DatabricksAdapter.list_relations_without_caching = relations
    DatabricksAdapter._set_relation_information = lambda self, relation: relation
    DatabricksAdapter.get_relation_config = lambda self, relation, model_config: model_config
    DatabricksAdapter.get_columns_in_relation = lambda self, relation: [
        self.Column(column=name, dtype=SPARK_TYPES.get(kind, kind.lower()))
        for name, kind in engine.columns(relation.schema, relation.identifier)
    ]


SPARK_TYPES = {"VARCHAR": "string", "TIMESTAMP WITH TIME ZONE": "timestamp", "INTEGER": "int"}
BIGQUERY_TYPES = {
    "VARCHAR": "STRING", "BIGINT": "INT64", "INTEGER": "INT64", "DOUBLE": "FLOAT64", "BOOLEAN": "BOOL", "DATE": "DATE",
    "TIMESTAMP": "TIMESTAMP", "TIMESTAMP WITH TIME ZONE": "TIMESTAMP",
}  # fmt: skip


def _bigquery(engine: Engine) -> None:
    """Its client is no DB-API: jobs, table objects and load jobs are answered instead."""
    from types import SimpleNamespace

    from dbt.adapters.bigquery.connections import BigQueryConnectionManager
    from dbt.adapters.bigquery.impl import BigQueryAdapter
    from google.cloud.bigquery import SchemaField

    def field(name: str, kind: str) -> Any:
        return SchemaField(name, BIGQUERY_TYPES.get(kind, "NUMERIC" if kind.startswith("DECIMAL") else kind))

    class Rows(list[Any]):
        def __init__(self, result: Result):
            names = [name for name, _ in result.columns]
            super().__init__(dict(zip(names, row, strict=True)) for row in result.rows)
            self.schema = [field(*column) for column in result.columns]

    def raw_execute(self: Any, sql: str, *_: Any, **__: Any) -> tuple[Any, Any]:
        job = SimpleNamespace(
            statement_type="SCRIPT", total_bytes_processed=0, total_bytes_billed=0, slot_millis=0, location="offline",
            job_id="offline", project="offline", destination=None,
        )  # fmt: skip
        return job, Rows(engine.send(sql))

    def load(
        self: Any, database: str, schema: str, table: str, agate_table: Any, column_override: Any, *_: Any, **__: Any
    ) -> None:
        kinds = [column.field_type for column in self._agate_to_schema(agate_table, column_override)]
        columns = ", ".join(f'"{name}" {kind}' for name, kind in zip(agate_table.column_names, kinds, strict=True))
        engine.run(f'create or replace table "{schema}"."{table}" ({columns})')
        for row in agate_table.rows:
            engine.run(f'insert into "{schema}"."{table}" values ({", ".join("?" * len(row))})', list(row))

    def alter(self: Any, relation: Any, columns: Any) -> None:
        for column in columns or ():
            engine.run(
                f'alter table "{relation.schema}"."{relation.identifier}" add column "{column.name}" {column.data_type}'
            )

    BigQueryConnectionManager.open = _opener(engine)
    BigQueryConnectionManager.raw_execute = raw_execute
    _catalogue(BigQueryAdapter, engine)

    def relation(self: Any, database: str, schema: str, identifier: str) -> Any:
        wanted = self.Relation.create(database=database, schema=schema, identifier=identifier)
        return next(
            (found for found in self.list_relations_without_caching(wanted) if found.identifier == identifier), None
        )

    BigQueryAdapter.get_relation = relation
    BigQueryAdapter.load_dataframe = load
    BigQueryAdapter.is_replaceable = lambda self, *_: True
    BigQueryAdapter.alter_table_add_columns = alter
    BigQueryAdapter.get_bq_table = lambda self, relation: None
    BigQueryAdapter.update_columns = BigQueryAdapter.update_table_description = lambda self, *_, **__: None
    BigQueryAdapter.get_columns_in_relation = lambda self, relation: [
        self.Column.create_from_field(field(*column)) for column in engine.columns(relation.schema, relation.identifier)
    ]
    BigQueryAdapter.get_columns_in_select_sql = lambda self, sql: [
        self.Column.create_from_field(field(*column)) for column in engine.send(sql).columns
    ]
