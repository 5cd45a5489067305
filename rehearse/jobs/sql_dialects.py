"""SQL of one warehouse, said in the dialect of the database that stands in for it here.

What sqlglot or the other dialect cannot say raises SqlError with the statement and both dialects; nothing is run then.
What has no meaning here and changes no data (clustering, roles, grants) is left out, and `Translated.notes` says so.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rehearse.jobs.sql_session import SqlError
from rehearse.jobs.sql_targets import DEFAULT_SCHEMAS, NAMES, TWO_LEVELS

if TYPE_CHECKING:
    from sqlglot import exp

# Statements that sqlglot only passes on, and that change no data.
# How a table is stored, not what is in it: names of classes of sqlglot.
_PHYSICAL = (
    "TransientProperty", "Cluster", "ClusterProperty", "ClusteredByProperty", "PartitionedByProperty",
    "FileFormatProperty", "Order", "DistKeyProperty", "DistStyleProperty", "SortKeyProperty", "SchemaCommentProperty",
    "CharacterSetProperty", "CollateProperty", "AutoIncrementProperty", "Property",
)  # fmt: skip
# Names that DuckDB takes only in quotes (duckdb_keywords()); it compares quoted names without their case, too.
_RESERVED = frozenset(
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by case cast
    check collate collation column columns concurrently constraint create cross default deferrable desc
    describe distinct do else end except false fetch for foreign freeze from full generated glob group having
    ilike in initially inner intersect into is isnull join lambda lateral leading left like limit map natural
    not notnull null offset on only or order outer overlaps pivot pivot_longer pivot_wider placing positional
    primary qualify references returning right select semi show similar some struct summarize symmetric table
    tablesample then to trailing true try_cast union unique unpack unpivot using variadic verbose when where
    window with
    """.split()  # noqa: SIM905
)
_T_SQL = ("tsql", "fabric")
_WITHOUT_EFFECT = ("OPTIMIZE", "VACUUM", "ANALYZE", "REFRESH")


@dataclass(frozen=True)
class Translated:
    """`sql` is None when there is nothing to do here. `original`: as it was written, normalised."""

    sql: str | None
    original: str
    notes: tuple[str, ...] = ()


def translate(
    sql: str, read: str, write: str, databases: Iterable[str] = (), schemas: Iterable[str] = ()
) -> list[Translated]:
    """The statements of `sql`. `databases` and `schemas` (lower case) exist where they will run."""
    import logging

    import sqlglot

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # it warns of what becomes an error below
    try:
        statements = [statement for statement in sqlglot.parse(sql, read=read) if statement is not None]
    except sqlglot.errors.SqlglotError as e:
        raise SqlError(
            f"this {NAMES[read]} SQL cannot be read, so it cannot be run on {NAMES[write]}: {_plain(e)}",
            'correct it; or bind the connection to the real warehouse: mode = "remote"',
        ) from e
    translator = _Translator(read, write, set(databases), set(schemas))
    return [translator.translate(statement) for statement in statements if type(statement).__name__ != "Semicolon"]


def _plain(error: Exception) -> str:
    import re

    return " ".join(re.sub(r"\x1b\[[0-9;]*m", "", str(error)).split())


class _Translator:
    def __init__(self, read: str, write: str, databases: set[str], schemas: set[str]):
        self.read, self.write = read, write
        self.databases, self.schemas = databases, schemas
        self.variables: set[str] = set()
        self._original = ""

    def translate(self, statement: exp.Expr) -> Translated:
        from sqlglot import ErrorLevel, UnsupportedError, exp

        original = self._original = statement.sql(self.read)
        reason = self._no_effect(statement)
        if reason:
            return Translated(None, original, (f"left out, {reason}: {original}",))
        notes = self._adapt(statement) if self.write == "duckdb" else []
        if isinstance(statement, exp.Use):
            return self._use(statement, original)
        if isinstance(statement, exp.Command) or (
            isinstance(statement, (exp.Put, exp.Get, exp.Show, exp.Export)) and self.read != "duckdb"
        ):
            raise self._cannot(original, "there is no counterpart")
        if isinstance(statement, exp.Copy) and self.read != "duckdb":
            raise self._cannot(original, "loading and unloading files is different")
        if self.write == "duckdb":
            for node in reversed(list(statement.walk())):  # from the leaves up
                if (changed := self._expression(node)) is not node:
                    node.replace(changed)
        try:
            said = statement.sql(self.write, unsupported_level=ErrorLevel.RAISE)
        except (UnsupportedError, ValueError) as e:
            raise self._cannot(original, _plain(e)) from e
        if isinstance(statement, exp.Set):
            self.variables |= {c.name.lower() for item in statement.expressions for c in item.find_all(exp.Column)}
        if isinstance(statement, exp.Create) and statement.kind == "SCHEMA":
            self.schemas.add(statement.this.db.lower())
        return Translated(said, original, tuple(notes))

    def _cannot(self, original: str, why: str) -> SqlError:
        shown = original if len(original) <= 300 else f"{original[:300]}..."
        return SqlError(
            f"{NAMES[self.read]} SQL that {NAMES[self.write]} cannot run ({why}): {shown}",
            'bind the connection to the real warehouse (mode = "remote"), or declare a stub for this task',
        )

    def _no_effect(self, statement: exp.Expr) -> str | None:
        from sqlglot import exp

        if isinstance(statement, (exp.Grant, exp.Revoke)):
            return "there are no rights here"
        if isinstance(statement, exp.Alter) and statement.args.get("kind") == "SESSION":
            return "it concerns the session on the warehouse"
        if isinstance(statement, exp.Use) and str(statement.args.get("kind") or "").upper() in (
            "ROLE", "WAREHOUSE", "SECONDARY ROLES",
        ):  # fmt: skip
            return "there are no roles and warehouses here"
        if isinstance(statement, exp.Command) and str(statement.this).upper() in _WITHOUT_EFFECT:
            return "it only tidies up"
        return None

    def _use(self, statement: exp.Use, original: str) -> Translated:
        """USE names a database or a schema; databases other than this file do not exist."""
        table = statement.this
        kind = str(statement.args.get("kind") or "").upper()
        if self.write != "duckdb":
            raise self._cannot(original, "another database needs another connection")
        if kind == "SCHEMA" or self.read in (*TWO_LEVELS, "databricks"):
            return Translated(f'USE "{self._schema(table.name)}"', original)
        if table.name.lower() in self.databases:
            return Translated(f'USE "{table.name}"', original)
        return Translated(None, original, (f"left out, this file is the only database: {original}",))

    def _schema(self, name: str) -> str:
        is_default = name.lower() == DEFAULT_SCHEMAS.get(self.read) and name.lower() not in self.schemas
        return "main" if is_default else name

    def _adapt(self, statement: exp.Expr) -> list[str]:
        """Names and physical properties, in place; what was left out, in words."""
        from sqlglot import exp

        notes = []
        for node in list(statement.find_all(exp.Table, exp.Column)):
            catalog, schema = node.args.get("catalog"), node.args.get("db")
            if catalog is not None and catalog.name.lower() not in self.databases:
                node.set("catalog", None)
                notes.append(f"this file is the only database: {catalog.name} is left out")
            if schema is not None and (renamed := self._schema(schema.name)) != schema.name:
                node.set("db", exp.to_identifier(renamed))
                notes.append(f"schema {schema.name} is {renamed} here")
        if isinstance(statement, exp.Create) and statement.args.get("properties"):
            properties = statement.args["properties"]
            kept = []
            for each in properties.expressions:
                if self._is_physical(each):
                    notes.append(f"left out: {each.sql(self.read)}")
                else:
                    kept.append(each)
            properties.set("expressions", kept)
            if not kept:
                statement.set("properties", None)
        return list(dict.fromkeys(notes))

    def _is_physical(self, node: exp.Expr) -> bool:
        """How a table is stored, not what is in it."""
        from sqlglot import exp

        if isinstance(node, exp.EngineProperty):
            engine = node.this.name if hasattr(node.this, "name") else str(node.this)
            return self.read == "mysql" or engine in ("MergeTree", "Memory", "Log", "TinyLog")
        return type(node).__name__ in _PHYSICAL

    def _expression(self, node: exp.Expr) -> exp.Expr:
        """Where the translation alone would run and give something else."""
        from sqlglot import exp

        if isinstance(node.parent, exp.ColumnDef) and not isinstance(node, exp.Identifier):
            return node  # VARCHAR(3) of a column is a type, not a conversion
        if isinstance(node, exp.Identifier) and node.name.lower() in _RESERVED:
            node.set("quoted", True)
        if isinstance(node, exp.Convert):
            return self._convert(node)
        if isinstance(node, (exp.Cast, exp.TryCast)) and isinstance(node.to, exp.DataType):
            length = self._length(node.to)
            plain = type(node)(this=node.this, to=exp.DataType.build("text")) if node.to.this in _texts() else node
            return _cut(plain, length)
        hashes = (exp.MD5, exp.SHA, exp.SHA2)
        if self.read in _T_SQL and isinstance(node, hashes) and not isinstance(node.parent, exp.Convert):
            raise self._cannot(self._original, f"{node.sql(self.read)} gives bytes there, text here")
        if self.read == "snowflake" and isinstance(node, exp.Parameter) and not node.name.isdigit():
            if node.name.lower() not in self.variables:
                raise self._cannot(self._original, f"${node.name} is not set before")
            return exp.func("getvariable", exp.Literal.string(node.name.lower()))
        return node

    def _convert(self, node: exp.Convert) -> exp.Expr:
        """T-SQL. CONVERT fails where TRY_CONVERT gives NULL; text is cut; style 2 of a hash is its text in capitals."""
        from sqlglot import exp

        node.set("strict", not node.args.get("safe"))
        to, value, style = node.this, node.expression, node.args.get("style")
        if to.this not in _texts():
            return node
        length = self._length(to)
        hashes = (exp.MD5, exp.SHA, exp.SHA2)
        if isinstance(value, hashes) and style is not None and style.name == "2" and self.read == "fabric":
            return _cut(exp.Upper(this=value), length)  # only Fabric: elsewhere N'...' is hashed as UTF-16
        if isinstance(value, hashes):
            raise self._cannot(self._original, f"{node.sql(self.read)} hashes other bytes there, or gives them")
        if style is not None:
            node.set("this", exp.DataType.build("text"))
            return _cut(node.copy(), length)
        kind = exp.TryCast if node.args.get("safe") else exp.Cast
        return _cut(kind(this=value, to=exp.DataType.build("text")), length)

    def _length(self, to: Any) -> exp.Expr | None:
        """At how many characters a conversion to this type cuts; None when it does not."""
        from sqlglot import exp

        if to.this not in _texts() or to.this == exp.DataType.Type.TEXT:
            return None
        if to.expressions:
            length = to.expressions[0].this
            return length if isinstance(length, exp.Literal) else None  # (MAX)
        return exp.Literal.number(30) if self.read in _T_SQL else None


def _texts() -> tuple[Any, ...]:
    from sqlglot import exp

    kind = exp.DataType.Type
    return kind.VARCHAR, kind.CHAR, kind.NVARCHAR, kind.NCHAR, kind.TEXT


def _cut(node: exp.Expr, length: exp.Expr | None) -> exp.Expr:
    """CAST(x AS VARCHAR(3)) cuts on every warehouse that we know; DuckDB ignores the length."""
    from sqlglot import exp

    return exp.Left(this=node, expression=length.copy()) if length is not None else node
