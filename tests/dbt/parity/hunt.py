"""What a warehouse would refuse although DuckDB runs it: looked for in the SQL that the warehouse's adapter compiled.

Each check knows facts about a dialect: its reserved words, the functions and types it has, what it cannot say. A name that is
new to the lists here is a finding, too: look it up in the warehouse's reference, then add it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import sqlglot
import yaml
from sqlglot import exp

DIALECTS = {
    "duckdb": "duckdb", "postgres": "postgres", "snowflake": "snowflake", "fabric": "fabric", "bigquery": "bigquery",
    "databricks": "databricks",
}  # fmt: skip
WORDS = yaml.safe_load(Path(__file__).with_name("words.yml").read_text())
EVERYWHERE = set(WORDS["everywhere"].split())
FUNCTIONS, TYPES, RESERVED = (
    {warehouse: set(words.split()) for warehouse, words in WORDS[kind].items()}
    for kind in ("functions", "types", "reserved")
)
NO_FUNCTIONS = set(WORDS["before_parentheses"].split())


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
    for kind in sorted(
        set(re.findall(r"\bas\s+([a-z]\w*)\s*(?:\([\d, max]*\)\s*)?\)", words)) - TYPES[warehouse] - names
    ):
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
