"""Section 5 of the language reference: its 62 worked examples, and its rules of values one by one."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from expression_harness import ID, condition, error, scope, value
from hypothesis import example, given
from hypothesis import strategies as st

from rehearse.errors import ExpressionError
from rehearse.language import evaluation
from rehearse.language.evaluation import TaskVariable, to_text, truthy
from rehearse.language.templates import parse_condition, parse_template, render_template, resolve

# Section 5.9. Kinds: an expression, a text with expressions, a condition, and an expression in a parameter that is an error.

EXAMPLES: list[tuple[int, str, str, Any]] = [
    (1, "value", "inputs.table", "orders"),
    (2, "value", 'INPUTS.table == "orders"', True),
    (3, "text", "SELECT * FROM ${{ inputs.table }} LIMIT ${{ env.limit }}", "SELECT * FROM orders LIMIT 10"),
    (4, "value", "inputs.n > 3", True),
    (5, "value", "inputs.n == '5'", False),
    (6, "value", "inputs.flag is True", True),
    (7, "value", "inputs.flag == true", True),
    (8, "value", "inputs.opt is True", False),
    (9, "value", "inputs.opt == None", True),
    (10, "text", "x=${{ inputs.opt }};", "x=;"),
    (11, "text", "${{ inputs.files }}", ["a.csv", "b.csv"]),
    (12, "text", "for f in ${{ inputs.files }}:", 'for f in ["a.csv", "b.csv"]:'),
    (13, "value", 'inputs.cfg["region"]', "eu"),
    (14, "value", "inputs.cfg.region", "eu"),
    (15, "value", "len(inputs.files) > 1", True),
    (16, "value", "'a.csv' in inputs.files", True),
    (17, "value", "2 in [1, 2, 3]", True),
    (18, "condition", "1==0", False),
    (19, "condition", "True", True),
    (20, "value", "env.env_name", "Staging"),
    (21, "value", "ENV.TARGETS.eu", "db_eu"),
    (22, "value", "ENV.REGIONS[0]", "eu"),
    (23, "text", "${{ ENV.REGIONS }}!", '["eu", "us"]!'),
    (24, "error", "ENV.MISSING", "env has no 'MISSING'"),
    (25, "text", "at ${{ ORCHESTRA.CURRENT_TIME }}", "at 2024-10-29T12:01:02.123456"),
    (26, "value", 'format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d", "UTC")', "2024-10-29"),
    (27, "value", 'format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d %H:%M", "America/New_York")', "2024-10-29 08:01"),
    (28, "text", ">${{ add_days(ORCHESTRA.CURRENT_TIME, 1.25) }}", ">2024-10-30T18:01:02.123456"),
    (29, "text", ">${{ add_days(ORCHESTRA.CURRENT_TIME, -1) }}", ">2024-10-28T12:01:02.123456"),
    (30, "value", 'format_date(add_days(ORCHESTRA.CURRENT_TIME, 1), "%A")', "Wednesday"),
    (31, "value", "format_date(ORCHESTRA.CURRENT_TIME, '%d') == '01'", False),
    (32, "value", "format_date(orchestra.current_time, '3')", "3"),
    (33, "value", "outputs.results[0][0]", "2024-10-29"),
    (34, "value", "outputs.files", ["in/a.csv"]),
    (35, "condition", "len(outputs.files) > 0", True),
    (36, "value", "tasks['q'].status", "SUCCEEDED"),
    (37, "value", "ORCHESTRA.PIPELINE_RUN_TASKS['Q'].OUTPUTS['RESULTS'][0][0]", 50),
    (38, "value", "tasks['q'].outputs['results'][0][1] == \"x\"", True),
    (39, "value", "ORCHESTRA.PIPELINE_RUN_TASKS['http'].OUTPUTS['status_code'] == 200", True),
    (40, "text", "body=${{ tasks['http'].outputs['response_body'] }}", 'body={"ok": true}'),
    (41, "value", "ORCHESTRA.PIPELINE_RUN_TASKS['fan'].OUTPUTS['a']['output_val']", "output_a"),
    (42, "value", "ORCHESTRA.PIPELINE_RUN_TASKS['fan'].OUTPUTS[str(1)]['output_val']", "output_1"),
    (43, "condition", "tasks['bad'].outputs['x'] == 1", False),
    (44, "error", "tasks['bad'].outputs['x'] == 1", "the task has no output 'x'"),
    (45, "condition", "task_groups['G1'].all().status == 'SUCCEEDED'", False),
    (46, "condition", "task_groups['G1'].all().status in ['SUCCEEDED', 'WARNING']", True),
    (47, "condition", "task_groups['G2'].any().status == 'FAILED'", True),
    (48, "condition", "task_groups['G2'].all().status == 'FAILED'", False),
    (49, "condition", "task_groups['G2'].all().status != 'FAILED'", False),
    (50, "condition", "task_groups['G1'].all().status != 'FAILED'", True),
    (51, "condition", "task_groups['G3'].all().status in ['SUCCEEDED', 'SKIPPED']", True),
    (52, "condition", "task_groups['G2'].all().status == 'COMPLETED'", True),
    (53, "condition", "task_groups['G4'].all().status == 'SUCCEEDED'", True),
    (54, "condition", "task_groups['G3'].all().status == 'SUCCEEDED' and env.ENV_NAME == \"Production\" "
                      'or env.ENV_NAME == "Staging"', True),
    (55, "condition", "task_groups['G4'].all().status == 'COMPLETED' and tasks['q'].TASK_RUN_ID != ORCHESTRA.TASK_RUN_ID "
                      "and 2 in [1,2,3]", True),
    (56, "value", "MATRIX.tbl['SCHEMA_NAME']", "PUBLIC"),
    (56, "value", "matrix.tbl.SCHEMA_NAME", "PUBLIC"),
    (57, "text", "${{ MATRIX.tbl }};", '{"id": "t1", "SCHEMA_NAME": "PUBLIC"};'),
    (58, "outside", "matrix.tbl", "'matrix' is only available inside a task group that has a matrix"),
    (59, "error", "tasks['get'].outputs['result'] | int > 0", "filters are not part of the language"),
    (60, "error", "ORCHESTRA.RUN_ID", "orchestra has no 'RUN_ID'"),
    (61, "value", "str(inputs.flag) == 'True'", True),
    (62, "value", "int('7') > inputs.n", True),
]  # fmt: skip


@pytest.mark.parametrize(("number", "kind", "text", "expected"), EXAMPLES)
def test_worked_example(number: int, kind: str, text: str, expected: Any) -> None:
    if kind in ("error", "outside"):
        caught = error(text, **({"matrix": None} if kind == "outside" else {}))
        assert expected in f"{caught} {caught.hint}"
        return
    evaluators = {"value": value, "condition": condition, "text": lambda text: resolve(text, scope())}
    result = evaluators[kind](text)
    assert (type(result), result) == (type(expected), expected)
    if kind == "condition":  # section 5.2: with its delimiters or without
        assert condition(f" ${{{{ {text}\n}}}} ") is expected


def test_every_worked_example_is_there() -> None:
    assert {number for number, *_ in EXAMPLES} == set(range(1, 63))


# Section 5.3: whole values and text


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("inputs.flag", "True"),
        ("False", "False"),
        ("None", ""),
        ("inputs.f", "1.5"),
        ("-inputs.n", "-5"),
        ("orchestra.pipeline_run_id", ID),
        ("orchestra.current_time", "2024-10-29T12:01:02.123456"),
        ("add_days('2024-02-28T22:00:00-05:00', 1)", "2024-03-01T03:00:00"),
        ("[1, None, 'a', [True], 'ü']", '[1, null, "a", [true], "\\u00fc"]'),
        ("[orchestra.current_time, orchestra.pipeline_run_id]", f'["2024-10-29T12:01:02.123456", "{ID}"]'),
        ("tasks['q'].outputs", '{"results": [[50, "x"], [60, "y"]]}'),
        ("[inputs.date, env.targets]", '["2024-02-28", {"eu": "db_eu"}]'),
        ("tasks['q'].run_parameters.rows", "3"),
        ("tasks['q'].status", "SUCCEEDED"),
    ],
)
def test_5_3_rendering(text: str, rendered: str) -> None:
    assert resolve(f"<${{{{ {text} }}}}>", scope()) == f"<{rendered}>"


def test_5_3_dates_render_in_utc_without_a_zone() -> None:
    assert to_text(datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=2)))) == "2023-12-31T23:00:00"
    assert to_text(datetime(2024, 1, 1, 1)) == "2024-01-01T01:00:00"


def test_5_3_a_whole_value_keeps_its_type_however_deep() -> None:
    given_ = {"a": ["${{ inputs.n }}", {"b": " ${{ inputs.cfg }} "}], "c": "n=${{ inputs.n }}", "d": 7, "e": None}
    expected = {"a": [5, {"b": {"region": "eu", "Case": 1}}], "c": "n=5", "d": 7, "e": None}
    assert resolve(given_, scope()) == expected
    assert type(value("tasks['q'].status")) is str
    assert type(value("tasks['q'].outputs")) is dict


def test_5_3_roots_are_values_but_tasks_are_not() -> None:
    assert value("env.targets") == {"eu": "db_eu"}
    assert value("secrets") == {"TOKEN": "t0ken"}
    for text in (
        "tasks",
        "task_groups",
        "orchestra",
        "tasks['q']",
        "[tasks.q]",
        "len(tasks)",
        "not tasks['q']",
        "tasks == 1",
    ):
        assert "is not a value" in str(error(text))


def test_5_3_what_cannot_be_text_is_our_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    for odd in (10**5000, endless, {(1, 2): 3}):
        with pytest.raises(ExpressionError, match="cannot be written as text"):
            to_text(odd)
        with pytest.raises(ExpressionError) as caught:
            resolve("ab ${{ inputs.odd }}", scope(inputs={"odd": odd}))
        assert caught.value.offset >= 5


@given(st.text(), st.text())
@example("${{ env.WH }}", "}}")
def test_5_3_rendering_is_single_pass(spliced: str, after: str) -> None:
    after = after.replace("$", "")
    assert resolve("x ${{ inputs.v }}" + after + "!", scope(inputs={"v": spliced})) == f"x {spliced}{after}!"
    assert resolve("${{ inputs.v }}", scope(inputs={"v": spliced})) == spliced


# Section 5.4: variables


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Inputs.TABLE", "orders"),
        ("inputs['Table']", "orders"),
        ("ENV['wh']", "COMPUTE_WH"),
        ("SECRETS.token", "t0ken"),
        ("orchestra['CURRENT_BRANCH']", "main"),
        ("orchestra.pipeline_run_tasks.Q.Status", "SUCCEEDED"),
        ("TASKS['HTTP']['OutPuts'].STATUS_CODE", 200),
        ("TASK_GROUPS['g4'].ALL().STATUS == 'SUCCEEDED'", True),
        ("Outputs.FILES", ["in/a.csv"]),
        ("Matrix.TBL.id", "t1"),
        ("tasks['q'].TASK_RUN_ID", ID),
        ("inputs.cfg.Case", 1),
        ("inputs.files[-1]", "b.csv"),
        ("inputs.table[0]", "o"),
        ("FORMAT_DATE(orchestra.current_time, '%Y')", "2024"),
    ],
)
def test_5_4_variables_in_any_case(text: str, expected: Any) -> None:
    assert value(text) == expected


def test_5_4_an_exact_name_wins() -> None:
    assert value("env.a", env={"A": 1, "a": 2}) == 2


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("inputs.cfg.case", "a dict has no 'case'", "case"),
        ("inputs.cfg['REGION']", "a dict has no 'REGION'", "["),
        ("inputs.cfg[inputs.files]", "a dict has no [", "["),
        ("orchestra.environment", "orchestra has no 'environment'", "environment"),
        ("tasks['nope'].status", "tasks has no 'nope'", "['nope"),
        ("tasks['q'].outcome", "a task has no 'outcome'", "outcome"),
        ("tasks['q'].outputs.x", "the task has no output 'x'", "x"),
        ("tasks['q'].run_parameters['x']", "the task has no run parameter 'x'", "['x"),
        ("task_groups['nope'].all().status == 'FAILED'", "task_groups has no 'nope'", "['nope"),
        ("secrets.NOPE", "secrets has no 'NOPE'", "NOPE"),
        ("outputs.nope", "outputs has no 'nope'", "nope"),
        ("matrix.nope", "matrix has no 'nope'", "nope"),
        ("inputs[0]", "variables have names", "["),
        ("inputs.files[2]", "out of range: the length is 2", "["),
        ("inputs.files['x']", "a list has no 'x'", "["),
        ("inputs.files[True]", "a list has no True", "["),
        ("inputs.opt.x", "None has no 'x'", "x"),
    ],
)
def test_5_4_what_does_not_exist_is_an_error(text: str, message: str, at: str) -> None:
    caught = error(text)
    assert message in str(caught)
    assert caught.offset == text.index(at)


def test_5_4_outputs_exist_in_triggers_only() -> None:
    assert "only available in a trigger" in str(error("outputs.files", outputs=None))


@pytest.mark.parametrize(
    "name", ["__class__", "__init__", "__globals__", "__dict__", "upper", "append", "keys", "status"]
)
def test_5_4_no_python_attribute_is_in_reach(name: str) -> None:
    targets = (
        "inputs.table",
        "inputs.files",
        "inputs.cfg",
        "inputs.n",
        "orchestra.current_time",
        "env",
        "tasks",
        "task_groups",
    )
    for target in (*targets, "orchestra", "secrets", "matrix.tbl", "outputs"):
        for text in (f"{target}.{name}", f"{target}['{name}']"):
            assert f"has no '{name}'" in str(error(text))
    assert f"has no output '{name}'" in str(error(f"tasks.q.outputs.{name}"))
    assert value(f"inputs.{name}") is None  # a plain look-up of an input that is not there
    assert value(f"inputs.{name}", inputs={name: 1}) == 1


# Section 5.6: groups, quantifiers, COMPLETED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("task_groups['G2'].any().status != 'FAILED'", True),
        ("task_groups['G2'].all().status not in ['FAILED', 'SKIPPED']", False),
        ("task_groups['G1'].all().status not in ['FAILED']", True),
        ("task_groups['G1'].any().status in ['WARNING']", True),
        ("'WARNING' == task_groups['G1'].any().status", True),
        ("'WARNING' == task_groups['G1'].all().status", False),
        ("task_groups['empty'].all().status == 'FAILED'", True),
        ("task_groups['empty'].all().status != 'FAILED'", True),
        ("task_groups['empty'].any().status == 'COMPLETED'", False),
        ("task_groups['empty'].any().status in ['FAILED']", False),
        ("not task_groups['G1'].any().status == 'FAILED'", True),
        ("not (task_groups['G2'].all().status == 'COMPLETED')", False),
        ("task_groups['G1'].all().status == 'FAILED' or task_groups['G2'].any().status == 'SKIPPED'", True),
        ("task_groups['G1'].any().status == 'WARNING' and task_groups['G2'].any().status == 'WARNING'", False),
        ("task_groups['G1'].any().outputs['results'][0][0] == 50", True),
        ("task_groups['G1'].all().outputs.results[0][0] == 50", False),
        ("task_groups['G1'].any().task_run_id != orchestra.task_run_id", True),
        ("task_groups['busy'].all().status == 'COMPLETED'", False),
        ("task_groups['busy'].any().status == 'COMPLETED'", True),
        ("task_groups['busy'].any().status != 'COMPLETED'", True),
        ("task_groups['busy'].all().status in ['COMPLETED', 'RUNNING']", True),
        ("task_groups['busy'].all().status not in ['COMPLETED']", False),
        ("tasks['bad'].status == 'COMPLETED'", True),
        ("'COMPLETED' == tasks['skip'].status", True),
        ("tasks['busy'].status == 'COMPLETED'", False),
        ("'COMPLETED' != tasks['busy'].status", True),
        ("tasks['bad'].status in ['RUNNING', 'COMPLETED']", True),
        ("'COMPLETED' in [tasks['busy'].status, tasks['q'].status]", True),
        ("tasks['bad'].status is 'COMPLETED'", True),
        ("inputs.word == 'COMPLETED'", False),  # only a status is
        ("str(tasks['bad'].status) == 'COMPLETED'", False),
        ("tasks['q'].status == tasks['http'].status", True),
        ("tasks['q'].status == tasks['bad'].status", False),
    ],
)
def test_5_6_quantifiers_and_completed(text: str, expected: bool) -> None:
    assert condition(text) is expected


@pytest.mark.parametrize("status", ["CREATED", "QUEUED", "RUNNING", "CANCELLING", *evaluation.TERMINAL])
def test_5_6_completed_means_every_terminal_status(status: str) -> None:
    tasks = {"t": TaskVariable(status)}
    assert condition("tasks['t'].status == 'COMPLETED'", tasks=tasks) is (status in evaluation.TERMINAL)


@pytest.mark.parametrize(
    "text",
    [
        "task_groups['G1'].all()",
        "task_groups['G1'].all().status",
        "task_groups['G1']",
        "not task_groups['G1'].any().status",
        "task_groups['G1'].all().status and True",
        "True and task_groups['G1'].all().status",
        "task_groups['G1'].all() == 'SUCCEEDED'",
        "task_groups['G1'] == 'SUCCEEDED'",
        "task_groups['G1'].all().status == task_groups['G4'].any().status",
        "len(task_groups['G1'])",
        "[task_groups['G1'].all().status]",
    ],
)
def test_5_6_a_quantifier_is_no_value_without_a_comparison(text: str) -> None:
    with pytest.raises(ExpressionError, match="a task or task group is not a value"):
        condition(text)


def test_5_6_a_group_that_is_none_cannot_be_quantified() -> None:
    caught = error("task_groups['g'].all().status == 'FAILED'", task_groups={"g": 1})
    assert ".all() follows task_groups['...'] only" in str(caught)
    assert caught.offset == 17


def test_5_6_a_group_needs_its_quantifier() -> None:
    assert "a task group without .all() or .any() has no 'status'" in str(error("task_groups['G1'].status == 'FAILED'"))


# Section 5.7: missing values


def test_5_7_a_missing_output_is_none_in_a_condition_and_so_is_what_is_in_it() -> None:
    assert condition("tasks['skip'].outputs['results'] == None") is True
    assert condition("tasks['skip'].outputs['results'][0][0] == 1") is False
    assert condition("tasks['skip'].run_parameters['x'] is None") is True
    with pytest.raises(ExpressionError, match="cannot compare None '>'"):
        condition("tasks['skip'].outputs['results'][0][0] > 1")
    assert "no output 'results'" in str(error("tasks['skip'].outputs['results'][0][0]"))


def test_5_7_a_missing_variable_is_an_error_in_a_condition_too() -> None:
    for text in ("env.NOPE == 1", "secrets.NOPE == 1", "orchestra.nope == 1", "tasks['nope'].status == 'FAILED'"):
        with pytest.raises(ExpressionError, match=r"(?i)nope"):
            condition(text)


def test_5_7_a_missing_input_is_none() -> None:
    assert value("inputs.nothing") is None
    assert resolve("<${{ inputs.nothing }}>", scope()) == "<>"
    assert "None has no 'x'" in str(error("inputs.nothing.x"))


def test_5_7_the_text_false_is_true() -> None:
    assert truthy(condition("inputs.table", inputs={"table": "False"})) is True
    assert [truthy(v) for v in (None, 0, "", [], {}, False, 1, [0])] == [False] * 6 + [True] * 2


def test_errors_while_rendering_point_into_the_whole_text() -> None:
    text = "a ${{ inputs.n }} b ${{ env.MISSING }}"
    with pytest.raises(ExpressionError) as caught:
        render_template(parse_template(text), scope())
    assert text[caught.value.offset :].startswith("MISSING")
    with pytest.raises(ExpressionError) as caught:
        render_template(parse_condition("  ${{ tasks['x'].status == 'FAILED' }}"), scope())
    assert caught.value.offset == 11
