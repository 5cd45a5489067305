"""A scope to evaluate expressions in, that of the worked examples of section 5.9, and short words for doing it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest

from rehearse.errors import ExpressionError
from rehearse.language.evaluation import Scope, TaskVariable, evaluate
from rehearse.language.expressions import parse
from rehearse.language.templates import parse_condition, render_template

NOW = datetime(2024, 10, 29, 12, 1, 2, 123456, tzinfo=UTC)
ID = "11111111-1111-4111-8111-111111111111"
_Q = TaskVariable("SUCCEEDED", ID, {"rows": 3}, {"results": [[50, "x"], [60, "y"]]})
TASKS = {
    "q": _Q,
    "http": TaskVariable("SUCCEEDED", None, {}, {"status_code": 200, "response_body": {"ok": True}}),
    "bad": TaskVariable("FAILED"),
    "skip": TaskVariable("SKIPPED"),
    "fan": TaskVariable("SUCCEEDED", None, {}, {"a": {"output_val": "output_a"}, "1": {"output_val": "output_1"}}),
    "busy": TaskVariable("RUNNING"),
}


def scope(**changes: Any) -> Scope:
    values: dict[str, Any] = {
        "orchestra": {"current_time": NOW, "pipeline_run_id": UUID(ID), "task_run_id": None, "current_branch": "main"},
        "tasks": TASKS,
        "task_groups": {
            "G1": [_Q, TaskVariable("WARNING")],
            "G2": [TaskVariable("FAILED"), TaskVariable("SKIPPED")],
            "G3": [TaskVariable("SKIPPED")],
            "G4": [_Q],
            "busy": [TaskVariable("RUNNING"), TaskVariable("FAILED")],
            "empty": [],
        },
        "inputs": {
            "table": "orders", "n": 5, "flag": True, "files": ["a.csv", "b.csv"], "cfg": {"region": "eu", "Case": 1},
            "opt": None, "f": 1.5, "word": "SUCCEEDED", "date": date(2024, 2, 28),
        },
        "env": {
            "ENV_NAME": "Staging", "WH": "COMPUTE_WH", "LIMIT": 10, "REGIONS": ["eu", "us"], "TARGETS": {"eu": "db_eu"},
        },
        "secrets": {"TOKEN": "t0ken"},
        "matrix": {"tbl": {"id": "t1", "SCHEMA_NAME": "PUBLIC"}},
        "outputs": {"results": [["2024-10-29", 7]], "files": ["in/a.csv"]},
    }  # fmt: skip
    return Scope(**(values | changes))


def value(text: str, **changes: Any) -> Any:
    return evaluate(parse(text), scope(**changes))


def condition(text: str, **changes: Any) -> Any:
    return render_template(parse_condition(text), scope(in_condition=True, **changes))


def error(text: str, **changes: Any) -> ExpressionError:
    with pytest.raises(ExpressionError) as caught:
        value(text, **changes)
    return caught.value


def attempt(function: Callable[[], Any]) -> ExpressionError | None:
    """The error of a call that may succeed; of another kind it must not be."""
    try:
        function()
    except ExpressionError as e:
        return e
    return None
