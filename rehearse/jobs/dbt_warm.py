"""Imported by the process that dbt tasks are forked from: does once what dbt otherwise does in each process.

Importing dbt and an adapter takes seconds, and so does its first invocation, which makes the code that reads and writes its
classes. So a project of one model is parsed here, compiled, and thrown away. The adapter is the one that has been imported
before this module; one that is not in `_PROFILES` is only imported. What a task does afterwards is what a second
`dbtRunner().invoke` in one process does. Nothing that is running may be left: a fork has but one thread.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import io
import os
import sys
import tempfile
import threading
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

_MODULES = (
    "dbt.cli.main", "dbt.compilation", "dbt.parser.sql", "dbt.task.build", "dbt.task.deps", "dbt.task.docs.generate",
    "dbt.task.freshness", "dbt.task.list", "dbt.task.retry", "dbt.task.run_operation", "dbt_common.clients.agate_helper",
    "multiprocessing.dummy", "multiprocessing.resource_tracker", "sqlparse", "babel.dates", "daff", "_strptime",
)  # fmt: skip
_PROFILES: dict[str, dict[str, Any]] = {
    "duckdb": {"path": ":memory:"},
    "postgres": {"host": "127.0.0.1", "port": 1, "user": "u", "password": "p", "dbname": "d", "schema": "s"},
}
_PROJECT = {
    "dbt_project.yml": "{name: warm, version: '1.0', profile: warm, flags: {send_anonymous_usage_stats: false}}",
    "models/m.sql": "{{ config(materialized='table') }} select 1 as a",
    "models/n.sql": "select * from {{ ref('m') }}",
    "models/m.yml": """
models: [{name: m, columns: [{name: a, data_tests: [not_null, {accepted_values: {arguments: {values: [1]}}}]}]}]
sources: [{name: s, tables: [{name: t, columns: [{name: a, data_tests: [unique]}]}]}]
unit_tests: [{name: u, model: n, given: [{input: ref('m'), rows: [{a: 1}]}], expect: {rows: [{a: 1}]}}]
exposures: [{name: e, type: dashboard, owner: {email: a@b.c}, depends_on: [ref('m')]}]
""",
}
_COMMANDS = (["parse"], ["parse"], ["compile", "--no-introspect", "--no-populate-cache"])


def warm_up() -> None:
    """Raises when something would be left running that a fork cannot inherit."""
    for module in _MODULES:
        with contextlib.suppress(ImportError):  # another version of dbt has other modules
            importlib.import_module(module)
    adapter = next((name for name in _PROFILES if f"dbt.adapters.{name}" in sys.modules), None)
    if adapter is not None:
        environment = dict(os.environ)
        with tempfile.TemporaryDirectory(prefix="rehearse-dbt-") as name:
            try:
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    _invoke(Path(name), adapter)
            finally:
                os.environ.clear()
                os.environ.update(environment)
    if duckdb := sys.modules.get("duckdb"):
        duckdb.default_connection().close()  # made by the import, with threads; made again when somebody needs it
    gc.collect()
    # A fork is given no descriptor but its own: it would write to a tracker that is not there.
    resource_tracker._resource_tracker._stop()  # type: ignore[attr-defined]
    if _threads() > 1:
        raise RuntimeError("something has left a thread behind, which a fork does not have")


def _invoke(folder: Path, adapter: str) -> None:
    from dbt.adapters.factory import FACTORY, reset_adapters
    from dbt.cli.main import dbtRunner
    from dbt_common.events.event_manager_client import cleanup_event_logger

    (folder / "models").mkdir()
    for file, text in _PROJECT.items():
        (folder / file).write_text(text, encoding="utf-8")
    output = {"type": adapter, **_PROFILES[adapter]}
    (folder / "profiles.yml").write_text(f"warm: {{target: dev, outputs: {{dev: {output!r}}}}}", encoding="utf-8")
    os.environ.update(
        DBT_PROFILES_DIR=str(folder), DBT_PROJECT_DIR=str(folder), DBT_LOG_PATH=str(folder), DBT_VERSION_CHECK="false",
        DBT_SEND_ANONYMOUS_USAGE_STATS="false", DBT_QUIET="true", DBT_LOG_LEVEL_FILE="none",
        DBT_STATIC_PARSER="false",  # the parser in Rust starts threads, and would wait for them in a fork for ever
    )  # fmt: skip
    for command in _COMMANDS:
        dbtRunner().invoke(command)  # whether it succeeds is all the same
    managers = [one.connections for one in FACTORY.adapters.values()]
    reset_adapters()  # type: ignore[no-untyped-call]
    for manager in managers:
        if close := getattr(manager, "close_all_connections", None):  # dbt-duckdb keeps its database open
            close()
    cleanup_event_logger()  # it holds our stdout


def _threads() -> int:
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:  # no Linux
        return threading.active_count()


warm_up()
