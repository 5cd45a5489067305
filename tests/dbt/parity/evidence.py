"""The table of dbt/README.md: which proof each warehouse has that its marts are those of the others."""

from __future__ import annotations

from typing import Any

from warehouses import EVIDENCE

NAMES = {
    "duckdb": "DuckDB", "postgres": "PostgreSQL", "snowflake": "Snowflake", "fabric": "Fabric", "bigquery": "BigQuery",
    "databricks": "Databricks",
}  # fmt: skip


def table(built: dict[str, dict[str, Any]]) -> str:
    """Markdown, from what the last phase of every warehouse ran and wrote."""
    lines = [
        "| Warehouse | Evidence | Models, seeds, snapshots | Tests | Tables compared, three times |",
        "|---|---|---|---|---|",
    ]
    for name, phase in built.items():
        nodes = phase["nodes"]
        made = "{model} + {seed} + {snapshot}".format(**nodes)
        tests = nodes["test"] + nodes["unit_test"]
        against = (
            f"{len(phase['tables'])}, the reference" if name == "duckdb" else f"{len(phase['tables'])}, every row equal"
        )
        lines.append(f"| {NAMES[name]} | {EVIDENCE[name]} | {made} | {tests} passed | {against} |")
    return "\n".join(lines)
