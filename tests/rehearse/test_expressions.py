"""Section 5 of the language reference: its worked examples, and properties that hold for any text."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearse.errors import ExpressionError
from rehearse.language.evaluation import Scope, TaskVariable, evaluate, render_template, to_text, truthy
from rehearse.language.expressions import parse, parse_condition, parse_template

NOW = datetime(2024, 10, 29, 12, 1, 2, 123456, tzinfo=UTC)
_Q = TaskVariable("SUCCEEDED", "11111111-1111-4111-8111-111111111111", {}, {"results": [[50, "x"], [60, "y"]]})
TASKS = {
    "q": _Q,
    "http": TaskVariable("SUCCEEDED", None, {}, {"status_code": 200, "response_body": {"ok": True}}),
    "bad": TaskVariable("FAILED"),
    "skip": TaskVariable("SKIPPED"),
    "fan": TaskVariable("SUCCEEDED", None, {}, {"a": {"output_val": "output_a"}, "1": {"output_val": "output_1"}}),
}


def scope(**changes: Any) -> Scope:
    values: dict[str, Any] = {
        "orchestra": {"current_time": NOW, "pipeline_run_id": "r", "task_run_id": None, "pipeline_run_tasks": TASKS},
        "tasks": TASKS,
        "task_groups": {
            "G1": [_Q, TaskVariable("WARNING")],
            "G2": [TaskVariable("FAILED"), TaskVariable("SKIPPED")],
            "G3": [TaskVariable("SKIPPED")],
            "G4": [_Q],
        },
        "inputs": {"table": "orders", "n": 5, "flag": True, "files": ["a.csv", "b.csv"], "cfg": {"region": "eu"}, "opt": None},
        "env": {
            "ENV_NAME": "Staging", "WH": "COMPUTE_WH", "LIMIT": 10, "REGIONS": ["eu", "us"], "TARGETS": {"eu": "db_eu"},
        },
        "matrix": {"tbl": {"id": "t1", "SCHEMA_NAME": "PUBLIC"}},
        "outputs": {"results": [["2024-10-29", 7]], "files": ["in/a.csv"]},
    }  # fmt: skip
    return Scope(**(values | changes))


VALUES: list[tuple[int, str, Any]] = [
    (1, "inputs.table", "orders"),
    (2, 'INPUTS.table == "orders"', True),
    (4, "inputs.n > 3", True),
    (5, "inputs.n == '5'", False),
    (6, "inputs.flag is True", True),
    (7, "inputs.flag == true", True),
    (8, "inputs.opt is True", False),
    (9, "inputs.opt == None", True),
    (11, "inputs.files", ["a.csv", "b.csv"]),
    (13, 'inputs.cfg["region"]', "eu"),
    (14, "inputs.cfg.region", "eu"),
    (15, "len(inputs.files) > 1", True),
    (16, "'a.csv' in inputs.files", True),
    (17, "2 in [1, 2, 3]", True),
    (18, "1==0", False),
    (19, "True", True),
    (20, "env.env_name", "Staging"),
    (21, "ENV.TARGETS.eu", "db_eu"),
    (22, "ENV.REGIONS[0]", "eu"),
    (26, 'format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d", "UTC")', "2024-10-29"),
    (27, 'format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d %H:%M", "America/New_York")', "2024-10-29 08:01"),
    (30, 'format_date(add_days(ORCHESTRA.CURRENT_TIME, 1), "%A")', "Wednesday"),
    (31, "format_date(ORCHESTRA.CURRENT_TIME, '%d') == '01'", False),
    (32, "format_date(orchestra.current_time, '3')", "3"),
    (33, "outputs.results[0][0]", "2024-10-29"),
    (34, "outputs.files", ["in/a.csv"]),
    (35, "len(outputs.files) > 0", True),
    (36, "tasks['q'].status", "SUCCEEDED"),
    (37, "ORCHESTRA.PIPELINE_RUN_TASKS['Q'].OUTPUTS['RESULTS'][0][0]", 50),
    (38, "tasks['q'].outputs['results'][0][1] == \"x\"", True),
    (39, "ORCHESTRA.PIPELINE_RUN_TASKS['http'].OUTPUTS['status_code'] == 200", True),
    (41, "ORCHESTRA.PIPELINE_RUN_TASKS['fan'].OUTPUTS['a']['output_val']", "output_a"),
    (42, "ORCHESTRA.PIPELINE_RUN_TASKS['fan'].OUTPUTS[str(1)]['output_val']", "output_1"),
    (45, "task_groups['G1'].all().status == 'SUCCEEDED'", False),
    (46, "task_groups['G1'].all().status in ['SUCCEEDED', 'WARNING']", True),
    (47, "task_groups['G2'].any().status == 'FAILED'", True),
    (48, "task_groups['G2'].all().status == 'FAILED'", False),
    (49, "task_groups['G2'].all().status != 'FAILED'", False),
    (50, "task_groups['G1'].all().status != 'FAILED'", True),
    (51, "task_groups['G3'].all().status in ['SUCCEEDED', 'SKIPPED']", True),
    (52, "task_groups['G2'].all().status == 'COMPLETED'", True),
    (54, "task_groups['G3'].all().status == 'SUCCEEDED' and env.ENV_NAME == 'Production' or env.ENV_NAME == 'Staging'", True),
    (55, "task_groups['G4'].all().status == 'COMPLETED' and tasks['q'].TASK_RUN_ID != ORCHESTRA.TASK_RUN_ID "
         "and 2 in [1,2,3]", True),
    (56, "MATRIX.tbl['SCHEMA_NAME']", "PUBLIC"),
    (56, "matrix.tbl.SCHEMA_NAME", "PUBLIC"),
    (61, "str(inputs.flag) == 'True'", True),
    (62, "int('7') > inputs.n", True),
]  # fmt: skip


@pytest.mark.parametrize(("number", "text", "expected"), VALUES)
def test_worked_example(number: int, text: str, expected: Any) -> None:
    assert evaluate(parse(text), scope()) == expected


@pytest.mark.parametrize(
    ("number", "text", "expected"),
    [
        (3, "SELECT * FROM ${{ inputs.table }} LIMIT ${{ env.limit }}", "SELECT * FROM orders LIMIT 10"),
        (10, "x=${{ inputs.opt }};", "x=;"),
        (12, "for f in ${{ inputs.files }}:", 'for f in ["a.csv", "b.csv"]:'),
        (23, "${{ ENV.REGIONS }}!", '["eu", "us"]!'),
        (40, "body=${{ tasks['http'].outputs['response_body'] }}", 'body={"ok": true}'),
        (57, "${{ MATRIX.tbl }};", '{"id": "t1", "SCHEMA_NAME": "PUBLIC"};'),
    ],
)
def test_worked_example_in_text(number: int, text: str, expected: str) -> None:
    assert render_template(parse_template(text), scope()) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ORCHESTRA.CURRENT_TIME", "2024-10-29T12:01:02.123456"),
        ("add_days(ORCHESTRA.CURRENT_TIME, 1.25)", "2024-10-30T18:01:02.123456"),
        ("add_days(ORCHESTRA.CURRENT_TIME, -1)", "2024-10-28T12:01:02.123456"),
    ],
)
def test_dates_render_without_a_zone(text: str, expected: str) -> None:
    assert to_text(evaluate(parse(text), scope())) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ENV.MISSING", "env has no 'MISSING'"),
        ("tasks['bad'].outputs['x'] == 1", "no output 'x'"),
        ("tasks['get'].outputs['result'] | int > 0", "filters are not part"),
        ("ORCHESTRA.RUN_ID", "orchestra has no 'RUN_ID'"),
        ("inputs.n + 1", "arithmetic"),
        ("github.ref", "unknown name 'github'"),
        ("lower(inputs.table)", "unknown function 'lower'"),
        ("inputs.table.upper()", "'.upper()' is not supported"),
        ("1 < 2 < 3", "cannot be chained"),
        ("inputs.n > 'a'", "cannot compare a number '>' text"),
        ("'open", "never closed"),
        ("", "empty"),
    ],
)
def test_mistakes_say_what_is_wrong(text: str, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate(parse(text), scope())
    assert message in f"{caught.value} {caught.value.hint}"


def test_matrix_outside_a_matrix_group_is_an_error() -> None:
    with pytest.raises(ExpressionError, match="only available inside a task group"):
        evaluate(parse("matrix.tbl"), scope(matrix=None))


def test_missing_output_is_none_in_a_condition() -> None:
    assert evaluate(parse("tasks['bad'].outputs['x'] == 1"), scope(in_condition=True)) is False


def test_condition_may_be_bare_but_has_no_text_around() -> None:
    bare = parse_condition("task_groups['G4'].all().status == 'SUCCEEDED'")
    assert truthy(render_template(bare, scope()))
    with pytest.raises(ExpressionError, match="text outside"):
        parse_condition("not ${{ True }}")


def test_closing_braces_inside_a_string_do_not_end_the_expression() -> None:
    assert render_template(parse_template("a ${{ '}}' }} b"), scope()) == "a }} b"


def test_rendering_is_single_pass() -> None:
    assert (
        render_template(parse_template("x ${{ inputs.table }}"), scope(inputs={"table": "${{ env.WH }}"}))
        == "x ${{ env.WH }}"
    )


@given(st.text(max_size=40))
def test_any_text_parses_or_raises_our_error(text: str) -> None:
    offset = 0
    try:
        evaluate(parse(text), scope())
    except ExpressionError as e:
        offset = e.offset
    assert 0 <= offset <= len(text)


TOKENS = [
    "inputs",
    ".",
    "n",
    "[",
    "]",
    "'a'",
    "0",
    "==",
    "in",
    "and",
    "not",
    "(",
    ")",
    "all",
    "any",
    "len",
    "-",
    "tasks",
    "task_groups",
    "'G1'",
    "'q'",
    "status",
    "outputs",
    "None",
    "is",
    "or",
    ",",
    "str",
]


@given(st.lists(st.sampled_from(TOKENS), max_size=12))
def test_any_sequence_of_tokens_evaluates_or_raises_our_error(tokens: list[str]) -> None:
    try:
        evaluate(parse(" ".join(tokens)), scope())
    except ExpressionError:
        pass
