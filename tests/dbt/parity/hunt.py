"""What a warehouse would refuse although DuckDB runs it: looked for in the SQL that the warehouse's adapter compiled.

Each check knows facts about a dialect: its reserved words, the functions and types it has, what it cannot say. A name that is
new to the lists here is a finding, too: look it up in the warehouse's reference, then add it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot import exp

DIALECTS = {
    "duckdb": "duckdb", "postgres": "postgres", "snowflake": "snowflake", "fabric": "fabric", "bigquery": "bigquery",
    "databricks": "databricks",
}  # fmt: skip
# Functions that the models use and the reference of the warehouse has.
EVERYWHERE = {"cast", "coalesce", "concat", "count", "floor", "lower", "max", "min", "nullif", "row_number", "sum", "trim", "upper"}
FUNCTIONS = {
    "duckdb": {"date_diff", "date_trunc", "extract"},
    "postgres": {"date_part", "date_trunc", "extract"},
    "snowflake": {"convert_timezone", "dateadd", "datediff", "date_trunc", "extract"},
    "fabric": {"dateadd", "datediff", "datepart", "datetrunc", "varchar"},
    "bigquery": {"date_trunc", "datetime_add", "datetime_diff", "extract", "round", "timestamp_add", "timestamp_trunc"},
    "databricks": {"add_months", "date_add", "date_diff", "date_trunc", "datediff", "extract", "months_between", "timestampadd",
                   "timestampdiff"},
}  # fmt: skip
TYPES = {
    "duckdb": {"bigint", "date", "numeric", "text", "timestamp", "varchar"},
    "postgres": {"bigint", "date", "interval", "numeric", "text", "timestamp", "time"},
    "snowflake": {"bigint", "date", "numeric", "number", "text", "timestamp", "timestamp_ntz", "timestamp_tz", "varchar"},
    "fabric": {"bigint", "bit", "date", "datetime", "datetime2", "datetimeoffset", "numeric", "varchar"},
    "bigquery": {"bigint", "date", "datetime", "int64", "numeric", "string", "timestamp"},
    "databricks": {"bigint", "date", "numeric", "decimal", "string", "timestamp"},
}
# Reserved: not to be used as a bare name of a column, an alias or a common table expression.
SQL = set(
    "all and as between by case cast check column constraint create cross current_date current_time current_timestamp default "
    "delete desc asc distinct drop else end except exists false for foreign from full grant group having in inner insert intersect "
    "into is join left like not null on or order outer primary references right select set some table then to true union unique "
    "update user using values when where with".split()
)
RESERVED = {
    "duckdb": SQL | {"analyse", "analyze", "any", "array", "collate", "do", "lateral", "limit", "offset", "only", "pivot", "qualify",
                     "returning", "summarize", "unpivot", "window", "describe", "show"},
    "postgres": SQL | {"analyse", "analyze", "any", "array", "asymmetric", "both", "collate", "current_role", "current_user",
                       "deferrable", "do", "fetch", "initially", "lateral", "leading", "limit", "localtime", "offset", "only",
                       "placing", "returning", "session_user", "symmetric", "trailing", "variadic", "window"},
    "snowflake": SQL | {"account", "any", "connect", "connection", "current", "current_user", "database", "following", "gscluster",
                        "ilike", "increment", "issue", "lateral", "localtime", "minus", "natural", "of", "organization", "qualify",
                        "regexp", "revoke", "rlike", "row", "rows", "sample", "schema", "start", "tablesample", "trigger",
                        "try_cast", "view", "whenever"},
    "fabric": SQL | {"add", "alter", "any", "authorization", "backup", "begin", "break", "browse", "bulk", "cascade", "checkpoint",
                     "close", "clustered", "collate", "commit", "compute", "contains", "containstable", "continue", "convert",
                     "current", "current_user", "cursor", "database", "dbcc", "deallocate", "declare", "deny", "disk", "distributed",
                     "double", "dump", "errlvl", "escape", "exec", "execute", "exit", "external", "fetch", "file", "fillfactor",
                     "freetext", "function", "goto", "holdlock", "identity", "if", "index", "key", "kill", "lineno", "load", "merge",
                     "national", "nocheck", "nonclustered", "of", "off", "offsets", "open", "option", "over", "percent", "pivot",
                     "plan", "precision", "print", "proc", "procedure", "public", "raiserror", "read", "readtext", "reconfigure",
                     "replication", "restore", "restrict", "return", "revert", "revoke", "rollback", "rowcount", "rule", "save",
                     "schema", "session_user", "shutdown", "statistics", "system_user", "tablesample", "textsize", "top", "tran",
                     "transaction", "trigger", "truncate", "unpivot", "use", "varying", "view", "waitfor", "while", "within"},
    "bigquery": SQL - {"check", "column", "constraint", "delete", "drop", "foreign", "grant", "insert", "primary", "references",
                       "table", "unique", "update", "user", "values"}
    | {"any", "array", "assert_rows_modified", "at", "collate", "contains", "cube", "current", "define", "enum", "escape", "exclude",
       "extract", "fetch", "following", "grouping", "groups", "hash", "if", "ignore", "interval", "lateral", "limit", "lookup",
       "merge", "natural", "new", "no", "nulls", "of", "over", "partition", "preceding", "proto", "qualify", "range", "recursive",
       "respect", "rollup", "rows", "struct", "tablesample", "treat", "unbounded", "unnest", "window", "within"},
    "databricks": SQL | {"any", "array", "at", "authorization", "both", "collate", "commit", "current", "current_user", "escape",
                         "extract", "fetch", "filter", "function", "global", "grouping", "interval", "lateral", "leading", "local",
                         "minus", "natural", "no", "of", "only", "overlaps", "partition", "position", "range", "revoke", "rollback",
                         "row", "rows", "session_user", "start", "sysdate", "tablesample", "time", "trailing", "truncate",
                         "unknown", "window"},
}  # fmt: skip
NO_FUNCTIONS = {"and", "as", "by", "from", "in", "join", "not", "on", "or", "over", "select", "then", "union", "values", "when", "where",
                "with", "else", "exists", "case", "all", "order", "partition", "insert", "having"}  # fmt: skip


def findings(warehouse: str, name: str, sql: str) -> Iterator[str]:
    """What is wrong, in words, with the compiled SQL of one model."""
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", " ", sql, flags=re.S)
    words = re.sub(r"'(?:[^']|'')*'", "''", bare).lower()
    try:
        tree = sqlglot.parse_one(bare, read=DIALECTS[warehouse], error_level=sqlglot.ErrorLevel.RAISE)
    except sqlglot.ParseError as error:
        yield f"{warehouse} {name}: does not parse: {str(error).splitlines()[0]}"
        return
    names = {alias.alias.lower() for alias in tree.find_all(exp.Alias, exp.CTE, exp.TableAlias) if alias.alias}
    names |= {column.name.lower() for column in tree.find_all(exp.Column) if not isinstance(column.this, exp.Star)}
    for word in sorted(names & RESERVED[warehouse]):
        yield f"{warehouse} {name}: {word} is a reserved word"
    types = r"numeric|decimal|varchar|number|datetime2|datetimeoffset|timestamp|time"
    called = set(re.findall(r"\b([a-z_]\w*)\s*\(", re.sub(rf"\b({types})\s*\([\d, max]+\)", " ", words)))
    ctes = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for function in sorted(called - EVERYWHERE - FUNCTIONS[warehouse] - NO_FUNCTIONS - ctes):
        yield f"{warehouse} {name}: function {function} is not on the list"
    for kind in sorted(set(re.findall(r"\bas\s+([a-z]\w*)\s*(?:\([\d, max]*\)\s*)?\)", words)) - TYPES[warehouse] - names):
        yield f"{warehouse} {name}: type {kind} is not on the list"
    if warehouse == "snowflake" and re.search(r'"[a-z]', bare):
        yield f"{warehouse} {name}: a quoted name in lower case is another one than an unquoted one"
    if warehouse == "fabric":
        yield from _fabric(name, words, tree)


def _fabric(name: str, words: str, tree: exp.Expression) -> Iterator[str]:
    """T-SQL has no boolean values, no limit, no using, no || and orders only at the end."""
    for pattern, what in {
        r"\blimit\s+\d": "limit", r"\|\|": "||", r"\busing\s*\(": "join using", r"\bqualify\b": "qualify",
        r"\b(true|false)\b": "a boolean literal", r"\bis\s+(not\s+)?distinct\b.*\bfilter\b": "filter", r"::": "a cast with ::",
        r"\bgroup\s+by\s+\d": "group by a number", r"\binterval\b": "interval",
    }.items():  # fmt: skip
        if re.search(pattern, words):
            yield f"fabric {name}: T-SQL has no {what}"
    for select in tree.find_all(exp.Select):
        for column in select.expressions:
            if isinstance(column.unalias(), (exp.Predicate, exp.Connector, exp.Not)):
                yield f"fabric {name}: {column.alias_or_name} is a condition, which T-SQL cannot select"
    if len(re.findall(r"\bwith ", words)) > 1:
        yield f"fabric {name}: the adapter takes a second `with ` for a nested common table expression"
