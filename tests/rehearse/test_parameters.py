"""What is said of the parameters of a task: every job's names and types, and the rules of single jobs."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearse.language.integrations import INTEGRATION_OF, SENSORS
from rehearse.language.parameters import (
    OPEN_JOBS,
    PARAMETERS,
    Finding,
    Parameter,
    check_parameters,
    check_values,
    kind_of,
)
from rehearse.language.problems import CODES

VALID: dict[str, Any] = {
    "text": "x",
    "bool": True,
    "int": 1,
    "number": 1.5,
    "list": [],
    "dict": {},
    "json": "{}",
    "any": 0,
}
WRONG: dict[str, Any] = {"text": 1, "bool": "x", "int": "x", "number": "x", "list": "x", "dict": "x", "json": {}}
TYPES = {"text": "string_type", "bool": "bool_type", "int": "int_type", "list": "list_type", "dict": "dict_type",
         "json": "string_type"}  # fmt: skip
_TWO_SNOWFLAKES = {"source_integration": "SNOWFLAKE", "destination_integration": "SNOWFLAKE"}  # DATABRICKS needs more
EXTRA: dict[str, dict[str, Any]] = {  # what the rules of single jobs need besides
    "DATA_RECONCILIATION_CURSOR_FIELD": _TWO_SNOWFLAKES,
    "DATA_RECONCILIATION_MANUAL_QUERY": _TWO_SNOWFLAKES,
    "PYTHON_EXECUTE_SCRIPT": {"command": "python -V"},
    "DBT_CORE_EXECUTE": {"commands": "dbt build"},
    "SEND_SLACK_MESSAGE": {"text": "hello"},
}

CLOSED = [job for job in PARAMETERS if job not in OPEN_JOBS]


def valid(parameter: Parameter) -> Any:
    if parameter.options:
        return parameter.options[0]
    if parameter.holds == "list":
        return "[]"
    return "> 0" if parameter.threshold else VALID[parameter.kind]


def minimal(job: str) -> dict[str, Any]:
    known = PARAMETERS.get(job, {})
    return {name: valid(parameter) for name, parameter in known.items() if parameter.required} | EXTRA.get(job, {})


def check(job: str, **parameters: Any) -> list[Finding]:
    """Findings of a task with the least parameters and these; None takes one away."""
    given = minimal(job) | parameters
    return list(check_parameters(job, {name: value for name, value in given.items() if value is not None}))


def codes(found: list[Finding]) -> list[str]:
    return [finding.code for finding in found]


def only(found: list[Finding], code: str) -> Finding:
    assert codes(found) == [code]
    return found[0]


@pytest.mark.parametrize("job", INTEGRATION_OF)
def test_the_least_parameters_are_enough(job: str) -> None:
    assert codes(check(job)) == ([] if job in PARAMETERS else ["unknown-schema"])


@pytest.mark.parametrize("job", sorted(PARAMETERS))
def test_every_parameter_is_accepted_and_optional_ones_may_be_null(job: str) -> None:
    full = {name: valid(parameter) for name, parameter in PARAMETERS[job].items()} | EXTRA.get(job, {})
    assert check(job, **full) == []
    assert list(check_parameters(job, dict.fromkeys(PARAMETERS[job]) | minimal(job))) == []


@pytest.mark.parametrize(("job", "name"), [(j, n) for j in PARAMETERS for n, p in PARAMETERS[j].items() if p.required])
@pytest.mark.parametrize("null", [False, True])
def test_a_required_parameter_is_missed(job: str, name: str, null: bool) -> None:
    parameters = {k: v for k, v in minimal(job).items() if k != name} | ({name: None} if null else {})
    finding = only(list(check_parameters(job, parameters)), "missing-parameter")
    assert (finding.path, finding.on_key) == ((name,), True)
    assert finding.message == f"{job} needs the parameter '{name}'"


@pytest.mark.parametrize(("job", "name"), [(job, name) for job in CLOSED for name in PARAMETERS[job] if len(name) > 4])
def test_an_unknown_parameter_brings_the_right_suggestion(job: str, name: str) -> None:
    wrong = f"{name[:-3].upper()}{name[-2:]}"  # one letter left out, and the wrong case
    finding = only(check(job, **{wrong: "x"}), "unknown-parameter")
    assert (finding.path, finding.on_key, finding.hint) == ((wrong,), True, f"did you mean '{name}'?")
    assert finding.message == f"{job} has no parameter '{wrong}'"


@pytest.mark.parametrize(
    ("job", "name", "hint"),
    [
        ("HTTP_REQUEST", "url", "did you mean 'path'?"),
        ("HTTP_REQUEST", "headers", "did you mean 'custom_headers'?"),
        ("POSTGRES_RUN_QUERY", "query", "did you mean 'statement'?"),
        ("GCP_BQ_RUN_QUERY_JOB", "SQL", "did you mean 'query'?"),
        ("PYTHON_EXECUTE_SCRIPT", "timeout", "it belongs in the 'configuration' of the task"),
        ("PYTHON_EXECUTE_SCRIPT", "depends_on", "it belongs beside 'parameters', not in them"),
        ("DBT_CORE_EXECUTE", "target", "write --target in the dbt commands"),
        ("HIGHTOUCH_SYNC", "wholly_other", "its parameters are sync_id"),
        ("HIGHTOUCH_SYNC", "sql", "its parameters are sync_id"),
    ],
)
def test_other_names_are_explained(job: str, name: str, hint: str) -> None:
    assert only(check(job, **{name: "x"}), "unknown-parameter").hint == hint


@pytest.mark.parametrize(
    ("job", "name"), [(j, n) for j in PARAMETERS for n, p in PARAMETERS[j].items() if p.kind != "any"]
)
def test_a_wrong_type_is_found(job: str, name: str) -> None:
    kind = PARAMETERS[job][name].kind
    finding = only(check(job, **{name: WRONG[kind]}), "parameter-json" if kind == "json" else "parameter-type")
    assert (finding.path, finding.type, finding.on_key) == ((name,), TYPES[kind], False)
    assert f"'{name}'" in finding.message


def test_jobs_that_are_not_public_accept_anything_with_one_warning() -> None:
    finding = only(check("WAIT", duration=3, seconds={}), "unknown-schema")
    assert finding.path == () and "WAIT" in finding.message
    finding = only(check("AWS_S3_PUT_FILE", object_kei="x", other=1), "unknown-schema")
    assert (finding.path, finding.hint) == ((), "did you mean 'object_key'?")
    assert "object_kei" in finding.message


@pytest.mark.parametrize(
    ("job", "name", "value", "message", "hint"),
    [
        ("PYTHON_EXECUTE_SCRIPT", "python_version", 3.12, "'python_version' must be text, not 3.12", "quote it: '3.12'"),
        ("PYTHON_EXECUTE_SCRIPT", "python_version", 3.1, "'python_version' must be text, not 3.1",
         "YAML reads 3.10 as the number 3.1; one of 3.11, 3.12, in quotes"),
        ("PYTHON_EXECUTE_SCRIPT", "python_version", 3, "'python_version' must be text, not 3", "one of 3.11, 3.12, in quotes"),
        ("DBT_RUNJOB", "job_id", 12, "'job_id' must be text, not 12", "quote it: '12'"),
        ("DBT_RUNJOB", "job_id", True, "'job_id' must be text, not true or false", "quote it: 'true'"),
        ("DBT_RUNJOB", "job_id", datetime.date(2026, 1, 31), "'job_id' must be text, not date", None),
        ("DBT_CORE_EXECUTE", "commands", ["dbt build"], "'commands' must be text, not a list",
         "separate the commands by ';', in one text"),
        ("POSTGRES_RUN_TEST", "error_threshold_expression", 0, "'error_threshold_expression' must be text, not 0",
         "an operator and a whole number, in quotes: '> 0'"),
        ("FIVETRAN_SYNC_ALL", "resync", "TRUE", "'resync' must be true or false, not text", "without quotes: true"),
        ("FIVETRAN_SYNC_ALL", "resync", 1, "'resync' must be true or false, not 1", None),
        ("FIVETRAN_SYNC_ALL", "resync", "no ${{ inputs.a }}", "'resync' must be true or false, not text",
         "an expression gives text when there is text around it; write nothing but one ${{ }}"),
        ("FIVETRAN_SYNC_ALL", "resync", "${{ inputs.a }}${{ inputs.b }}", "'resync' must be true or false, not text",
         "an expression gives text when there is text around it; write nothing but one ${{ }}"),
        ("ESTUARY_CHECK_FLOW", "warn_threshold", "5", "'warn_threshold' must be a whole number, not text",
         "without quotes: 5"),
        ("ESTUARY_CHECK_FLOW", "warn_threshold", "five", "'warn_threshold' must be a whole number, not text", None),
        ("ESTUARY_CHECK_FLOW", "warn_threshold", 1.5, "'warn_threshold' must be a whole number, not 1.5", None),
        ("ESTUARY_CHECK_FLOW", "warn_threshold", True, "'warn_threshold' must be a whole number, not true or false", None),
        ("APPROVAL", "approvers", "a@b.example", "'approvers' must be a list, not text", "write [a@b.example]"),
        ("TRIGGER_PIPELINE", "run_inputs", [], "'run_inputs' must be a mapping, not a list", None),
    ],
)  # fmt: skip
def test_a_wrong_type_is_explained(job: str, name: str, value: Any, message: str, hint: str | None) -> None:
    finding = only(check(job, **{name: value}), "parameter-type")
    assert (finding.message, finding.hint) == (message, hint)


@pytest.mark.parametrize(
    ("job", "name", "value"),
    [
        ("FIVETRAN_SYNC_ALL", "resync", " ${{ inputs.resync }}\n"),
        ("FIVETRAN_SYNC_ALL", "resync", "${{ inputs.a == '}}' }}"),
        ("FIVETRAN_SYNC_ALL", "resync", "${{ not closed"),  # another rule's business
        ("ESTUARY_CHECK_FLOW", "latency_threshold", "${{ inputs.n }}"),
        ("APPROVAL", "approvers", "${{ inputs.who }}"),
        ("TRIGGER_PIPELINE", "run_inputs", "${{ inputs.all }}"),
        ("TRIGGER_PIPELINE", "run_inputs", {"a": "x ${{ inputs.a }} y", "b": [None, {"c": 1}]}),
        ("TRIGGER_PIPELINE", "pipeline_id", "a ${{ inputs.a }} b ${{ inputs.b }}"),
        ("DATA_RECONCILIATION_CURSOR_FIELD", "cursor_field_cache_override", datetime.date(2026, 1, 1)),
    ],
)
def test_expressions_where_they_may_be(job: str, name: str, value: Any) -> None:
    assert check(job, **{name: value}) == []


def test_a_number_of_many_digits_is_not_written_out() -> None:
    assert only(check("DBT_RUNJOB", job_id=10**5000), "parameter-type").message.endswith("not a very long number")


def test_a_number_may_be_whole_or_not() -> None:
    known = {"ratio": Parameter("number")}
    assert list(check_values("X", known, {"ratio": 1})) == list(check_values("X", known, {"ratio": 0.5})) == []
    finding = only(list(check_values("X", known, {"ratio": "1"})), "parameter-type")
    assert (finding.type, finding.hint) == ("float_type", "without quotes: 1")


def test_fixed_words_take_no_expression_and_keep_their_case() -> None:
    finding = only(check("HTTP_REQUEST", method="p${{ inputs.m }}"), "expression-place")
    assert (finding.path, finding.offset, finding.hint) == (("method",), 1, "one of GET, POST, PUT")
    finding = only(check("PYTHON_EXECUTE_SCRIPT", package_manager="pip"), "parameter-value")
    assert finding.message == "'pip' is not allowed for 'package_manager'"
    assert finding.hint == "did you mean 'PIP'?"
    assert only(check("HTTP_REQUEST", method="?" * 100), "parameter-value").hint == "one of GET, POST, PUT"


@pytest.mark.parametrize("text", ["> 0", "<1", ">=10", "!= 3", " = 0 "])
def test_a_threshold(text: str) -> None:
    assert check("SNOWFLAKE_RUN_TEST", error_threshold_expression=text) == []


@pytest.mark.parametrize(
    ("text", "offset"),
    [("== 0", 0), ("> 1.5", 0), ("> -1", 0), ("0", 0), ("", 0), ("> ٣", 0), ("> ${{ inputs.n }}", 2)],
)
def test_what_is_no_threshold(text: str, offset: int) -> None:
    finding = only(check("MONGODB_RUN_TEST", warn_threshold_expression=text), "threshold")
    assert (finding.message, finding.offset) == ("Invalid threshold expression format", offset)
    hint = "expressions are not evaluated here" if offset else "an operator and a whole number, in quotes: '> 0'"
    assert finding.hint == hint


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        ' {"A": 1, "B": [true, null, "x"]} ',
        "${{ inputs.all }}",
        "${{ inputs.left }} ${{ inputs.right }}",
        '{"A": "${{ inputs.a }}", "B": "x${{ MATRIX.t["id"] }}y"}',
        '{"A": ${{ inputs.a }}, "B": [${{ inputs.b }}, -${{ inputs.c }}], "C": 1${{ inputs.d }}}',
        "{${{ inputs.key }}: ${{ inputs.value }}}",
        '{"A": [1 ${{ inputs.more }}]}',
        '{"A": "\\"${{ inputs.a }}\\"", "B": ${{ inputs.b }}}',
        '{"A": "${{ "\\"}}" }}", "B": "${{ \'}}\' }}"}',
        pytest.param(f'{{"A": {"1" * 5000}, "B": ${{{{ "{"x" * 5000}" }}}}}}', id="long"),
    ],
)
def test_json_with_and_without_expressions(text: str) -> None:
    assert check("PYTHON_EXECUTE_SCRIPT", environment_variables=text) == []


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ('{"A": 1,}', "}", "no comma before a closing bracket"),
        ("{'A': 1}", "'A'", "keys and texts stand in double quotes"),
        ('{"A" 1}', "1}", None),
        ('{"A": "${{ inputs.a }}" "B": 2}', '"B"', None),
        ('{"A": ${{ inputs.a }}\n  "B": ${{ inputs.b }}}', '"B"', None),
        ("{", "", None),
        ("", "", "leave it out, or write {}"),
        ("\n", "\n", "leave it out, or write {}"),
        ("x ${{ inputs.a }}", "x", None),
    ],
)
def test_a_mistake_in_json_is_found_at_its_character(text: str, at: str, hint: str | None) -> None:
    finding = only(check("AWS_GLUE_RUN_JOB", arguments=text), "parameter-json")
    assert finding.offset == (text.index(at) if at else len(text))
    assert (finding.path, finding.hint, finding.type) == (("arguments",), hint, None)


def test_json_is_text_and_not_too_deep() -> None:
    finding = only(check("HTTP_REQUEST", body={"a": 1}), "parameter-json")
    assert (finding.message, finding.type) == ("'body' must be text that holds JSON, not a mapping", "string_type")
    assert "nested too deeply" in only(check("HTTP_REQUEST", body="[" * 100_000), "parameter-json").message


def test_environment_variables_hold_an_object_and_blocks_a_list() -> None:
    finding = only(check("DBT_CORE_EXECUTE", environment_variables=' ["A"]'), "parameter-json")
    assert (finding.message, finding.offset) == ("'environment_variables' must hold an object, so it starts with {", 1)
    finding = only(check("SEND_SLACK_MESSAGE", text=None, blocks='{"type": "${{ inputs.x }}"}'), "parameter-json")
    assert finding.message == "'blocks' must hold a list, so it starts with ["
    assert check("SEND_SLACK_MESSAGE", text=None, blocks='[{"type": "divider"}]') == []


@pytest.mark.parametrize(
    ("parameters", "missing", "hint"),
    [
        ({}, "command", None),
        ({"source": "GIT"}, "command", None),
        ({"code": "print(1)"}, "command", "'code' is run with 'source: INLINE'"),
        ({"source": "INLINE"}, "code", None),
        ({"source": "INLINE", "command": "python x.py"}, "code", "'command' is run with 'source: GIT'"),
    ],
)
def test_git_runs_a_command_and_inline_runs_code(parameters: dict[str, Any], missing: str, hint: str | None) -> None:
    finding = only(list(check_parameters("PYTHON_EXECUTE_SCRIPT", parameters)), "missing-parameter")
    assert (finding.path, finding.hint) == ((missing,), hint)


def test_the_command_of_inline_code_and_of_an_unknown_source_is_not_judged() -> None:
    assert check("PYTHON_EXECUTE_SCRIPT", source="INLINE", code="x", command="bash x") == []
    assert codes(check("PYTHON_EXECUTE_SCRIPT", source="inline", command=None)) == ["parameter-value"]
    assert codes(check("PYTHON_EXECUTE_SCRIPT", source="${{ inputs.s }}", command=None)) == ["expression-place"]
    assert codes(check("PYTHON_EXECUTE_SCRIPT", command=["python"])) == ["parameter-type"]


@pytest.mark.parametrize(
    "text",
    ["python -m mod", "  poetry run x  ", "uv run\nx", '"python" x', "${{ inputs.command }}", "${{ inputs.python }} x",
     "python -c \"print('a && b')\"", "python x.py ${{ inputs.a and '&&' }}", "python x.py it\\'s"],
)  # fmt: skip
def test_a_command(text: str) -> None:
    assert check("PYTHON_EXECUTE_SCRIPT", command=text) == []


@pytest.mark.parametrize(
    ("text", "offset", "message", "hint"),
    [
        ("  bash x.sh", 2, "the command must start with python, poetry or uv", "shell lines belong in build_command"),
        (
            "python3 x.py",
            0,
            "the command starts with python3, which may not be there",
            "write python, and say python_version",
        ),
        ("pythonic", 0, "the command must start with python, poetry or uv", "shell lines belong in build_command"),
        (" \n", 0, "the command is empty", "it starts with python, poetry or uv"),
        ("python a && python b", 9, "a command is one command, without &&", "put what comes first into build_command"),
        ("python it's", 9, "a quote is opened and never closed", None),
        ("python -c \"print('a')", 10, "a quote is opened and never closed", None),
    ],
)
def test_what_is_no_command(text: str, offset: int, message: str, hint: str | None) -> None:
    code = "unusual-command" if "python3" in text else "command"
    finding = only(check("PYTHON_EXECUTE_SCRIPT", command=text), code)
    assert (finding.path, finding.offset, finding.message, finding.hint) == (("command",), offset, message, hint)


def test_a_build_command_is_for_a_shell_and_takes_no_expression() -> None:
    assert check("PYTHON_EXECUTE_SCRIPT", build_command="  pip install -r x.txt && npm install\nmake") == []
    finding = only(check("PYTHON_EXECUTE_SCRIPT", build_command="pip install ${{ inputs.x }}"), "build-command")
    assert (finding.path, finding.offset) == (("build_command",), 12)
    assert codes(check("PYTHON_EXECUTE_SCRIPT", build_command=3)) == ["parameter-type"]


@pytest.mark.parametrize(
    "text",
    [
        "dbt build",
        "dbt deps; dbt build;",
        "dbt deps;\ndbt build\n",
        "\ndbt build\n\n--select models x\n;",
        'dbt run --vars \'{a: "x;y", b: "\ndbt z"}\'',
        "${{ inputs.commands }}",
        "dbt deps; ${{ inputs.command }} --select ${{ inputs.a or ';' }}",
    ],
)
def test_dbt_commands(text: str) -> None:
    assert check("DBT_CORE_EXECUTE", commands=text) == []


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("dbt deps;\n rm x", 11, "every command must start with dbt"),
        ("dbtf build", 0, "every command must start with dbt"),
        (" ; ;", 0, "there is no dbt command"),
        ("", 0, "there is no dbt command"),
        ("dbt build --select 'a", 19, "a quote is opened and never closed"),
        ("dbt deps && dbt build", 9, "commands are separated by ';', not by &&"),
        ("dbt deps\n  dbt seed\ndbt run", 11, "a line break does not end a dbt command on the platform"),
    ],
)
def test_what_are_no_dbt_commands(text: str, offset: int, message: str) -> None:
    code = "unusual-command" if "line break" in message else "command"
    finding = only(check("DBT_CORE_EXECUTE", commands=text), code)
    assert (finding.path, finding.offset, finding.message) == (("commands",), offset, message)


@pytest.mark.parametrize("job", ["HTTP_REQUEST", "HTTP_REQUEST_ASYNC"])
def test_post_and_put_need_a_body(job: str) -> None:
    for method in ("POST", "PUT"):
        finding = only(check(job, method=method), "missing-parameter")
        assert (finding.path, finding.hint) == (("body",), "write '{}' if there is nothing to send")
        assert check(job, method=method, body="{}") == []
    assert check(job, method="GET") == []


def test_a_slack_message_says_something() -> None:
    finding = only(check("SEND_SLACK_MESSAGE", text=None), "missing-parameter")
    assert finding.path == () and "'text', 'blocks' and 'attachments'" in finding.message
    assert check("SEND_SLACK_MESSAGE", text=None, attachments=[{}]) == []


@pytest.mark.parametrize("job", ["DATA_RECONCILIATION_MANUAL_QUERY", "DATA_RECONCILIATION_CURSOR_FIELD"])
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_reconciliation_with_databricks_needs_its_warehouse(job: str, side: str) -> None:
    others = {"source_integration": "SNOWFLAKE", "destination_integration": "SQL_SERVER"}
    assert check(job, **others) == []
    finding = only(check(job, **(others | {f"{side}_integration": "DATABRICKS"})), "missing-parameter")
    assert finding.path == (f"{side}_warehouse_id",)
    assert check(job, **(others | {f"{side}_integration": "DATABRICKS", f"{side}_warehouse_id": "x"})) == []


def test_parameters_of_sensors_are_checked_alike() -> None:
    sensor = SENSORS["AWS_S3_FILE"]
    found = list(check_values("AWS_S3_FILE", sensor.parameters, {"bucket": "x"}, others=sensor.others))
    assert codes(found) == ["unknown-parameter"]
    sensor = SENSORS["SFTP_FILE"]
    assert list(check_values("SFTP_FILE", sensor.parameters, {}, others=sensor.others)) == []
    sensor = SENSORS["SHAREPOINT_FILE"]
    assert codes(list(check_values("SHAREPOINT_FILE", {}, {"x": 1}, others=sensor.others))) == ["unknown-schema"]


@pytest.mark.parametrize(
    ("value", "kind"),
    [(True, "bool"), ("x", "text"), (1, "number"), (1.5, "number"), ([], "list"), ({}, "dict"), (None, "null"),
     (datetime.date(2026, 1, 1), "date")],
)  # fmt: skip
def test_kinds_of_values(value: Any, kind: str) -> None:
    assert kind_of(value) == kind


TEXTS = st.text() | st.lists(
    st.sampled_from(
        ["${{", "}}", "'", '"', "\\", "{", "}", "[", "]", ":", ",", "1", "dbt ", "python ", "\n", ";", "&&", " "]
    )
).map("".join)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.dates() | st.datetimes() | st.binary() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(job=st.sampled_from([*INTEGRATION_OF, "NO_JOB"]), data=st.data())
def test_no_value_makes_the_check_raise(job: str, data: st.DataObject) -> None:
    names = st.sampled_from([*PARAMETERS.get(job, {}), "other"]) | st.text() | st.integers()
    parameters = data.draw(st.dictionaries(names, VALUES, max_size=6))
    for finding in check_parameters(job, parameters):
        assert finding.code in CODES
        value: Any = parameters
        for part in finding.path if finding.code != "missing-parameter" else ():
            value = value[part]
        if finding.offset is not None:
            assert 0 <= finding.offset <= len(value)


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()), st.data())
def test_json_stays_valid_when_expressions_take_the_place_of_values(
    values: dict[str, Any], data: st.DataObject
) -> None:
    text = json.dumps(values, indent=data.draw(st.sampled_from([None, 2])))
    for name, value in values.items():
        if data.draw(st.booleans()):
            text = text.replace(
                f"{json.dumps(name)}: {json.dumps(value)}", f'{json.dumps(name)}: ${{{{ inputs["}}}}"] }}}}'
            )
    assert check("PYTHON_EXECUTE_SCRIPT", environment_variables=text) == []


@pytest.mark.parametrize(
    ("beginning", "repeated"),
    [
        ("${{ '", "\\'"),
        ("${{ ", "'"),
        ("", "${{"),
        ('"', '\\"'),
        ("dbt", "\n"),
        ('{"a": "', "${{ x }}"),
        ("", ";dbt x"),
    ],
)
def test_long_texts_are_no_burden(beginning: str, repeated: str) -> None:
    text = beginning + repeated * 100_001  # were a pattern quadratic, this test would not end today
    found = check("PYTHON_EXECUTE_SCRIPT", command=text, environment_variables=text)
    found += check("DBT_CORE_EXECUTE", commands=text)
    assert set(codes(found)) <= {"command", "parameter-json"}
