"""What `rehearse validate` says of files that are wrong, and that it says it at the right place."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from rehearse.language.document import parse_document
from rehearse.language.problems import CODES, Problem
from rehearse.language.validation import Policy, check, check_files

GOOD = """\
version: v1
name: demo
inputs:
  day: {type: string, default: monday}
pipeline:
  first:
    tasks:
      one:
        name: One
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters:
          command: python -V
        depends_on: []
  second:
    depends_on: [first]
    condition: ${{ task_groups['first'].all().status == 'SUCCEEDED' }}
    tasks:
      two:
        name: Two
        integration: POSTGRES
        integration_job: POSTGRES_RUN_TEST
        parameters: {statement: select 1, error_threshold_expression: '> 0', warn_threshold_expression: '> 0'}
"""


def problems(text: str) -> list[Problem]:
    return check(parse_document(text, "p.yml"))[1]


def test_a_good_pipeline_has_no_problems() -> None:
    assert problems(GOOD) == []


def test_all_problems_are_reported_at_once() -> None:
    text = GOOD.replace("name: demo", "nme: demo").replace("depends_on: [first]", "depend_on: [first]")
    assert [p.code for p in problems(text)] == ["unknown-key", "unknown-key"]  # and not 'missing' as well


def test_camel_case_and_merge_keys_and_anchors_are_understood() -> None:
    text = GOOD.replace("depends_on: [first]", "dependsOn: [first]").replace(
        "parameters:\n          command", "parameters: &p\n          command"
    )
    three = "name: Three, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {<<: *p}"
    text += f"      three: {{{three}}}\n"
    assert problems(text) == []


def test_an_input_may_be_called_like_a_root() -> None:
    text = GOOD.replace("day: {type: string", "tasks: {type: dict, optional: true}\n  day: {type: string")
    assert problems(text.replace("command: python -V", "command: python ${{ inputs.tasks.foo }}")) == []


@pytest.mark.parametrize("condition", [" or ".join(["1 == 1"] * 3000), "not " * 3000 + "True", "inputs" + ".b" * 3000])
def test_an_endless_expression_is_refused(condition: str) -> None:
    found = problems(GOOD.replace("${{ task_groups['first'].all().status == 'SUCCEEDED' }}", condition))
    assert ["words and signs" in p.message for p in found] == [True]


def test_the_platforms_words_are_kept_beside_ours() -> None:
    found = problems(GOOD.replace("    depends_on: [first]", "    depends_on: [first]\n    tags: [x]"))
    assert [p.as_dict() for p in found] == [
        {
            "file": "p.yml", "line": 17, "column": 5, "severity": "error", "code": "unknown-key",
            "message": "unknown key 'tags'", "hint": found[0].hint, "type": "extra_forbidden",
            "loc": ["pipeline", "second", "TaskGroupModel", "tags"], "msg": "Extra inputs are not permitted",
        }
    ]  # fmt: skip
    missing = problems(GOOD.replace("        name: One\n", ""))[0]
    assert (missing.platform_loc, missing.type, missing.msg) == (
        ("pipeline", "first", "TaskGroupModel", "tasks", "one", "name"), "missing", "Field required",
    )  # fmt: skip


@pytest.mark.parametrize("code", [code for code, known in CODES.items() if known.severity == "warning"])
def test_every_warning_can_be_switched_off(code: str) -> None:
    assert check(parse_document(GOOD), Policy(ignore=frozenset({code})))[1] == []


def test_a_comment_switches_a_warning_off_and_no_error() -> None:
    text = GOOD.replace("command: python -V", "command: python ${{ inputs.none }}")
    assert [p.code for p in problems(text)] == ["undeclared-input"]
    line = "          command: python ${{ inputs.none }}"
    assert line in text
    assert problems(text.replace(line, f"{line}  # rehearse: ignore[undeclared-input]")) == []
    assert problems(text.replace(line, f"          # rehearse: ignore[raw-splice, undeclared-input]\n{line}")) == []
    assert len(problems(text.replace(line, f"{line}  # rehearse: ignore[raw-splice]"))) == 1
    wrong = GOOD.replace("depends_on: [first]", "depends_on: [frist]  # rehearse: ignore[unknown-dependency]")
    assert [p.code for p in problems(wrong)] == ["unknown-dependency", "ignore-comment"]


def test_strict_makes_errors_of_warnings() -> None:
    text = GOOD.replace("command: python -V", "command: python ${{ inputs.none }}")
    assert [p.severity for p in check(parse_document(text), Policy(strict=True))[1]] == ["error"]


def test_fault_12_a_broken_file_hides_no_other(tmp_path: Path) -> None:
    for name, text in {"a.yml": "a: [", "b.yml": GOOD, "c.yml": GOOD.replace("name: demo", "nme: demo")}.items():
        (tmp_path / name).write_text(text)
    paths = [tmp_path / name for name in ("a.yml", "b.yml", "c.yml", "gone.yml")]
    codes = [[p.code for p in found] for _, found in check_files(paths)]
    assert codes == [["yaml-syntax"], [], ["unknown-key"], ["unreadable"]]


def test_a_file_with_thousands_of_mistakes_names_the_first_ones() -> None:
    found = problems("version: v1\nname: x\npipeline: {}\n" + "\n".join(f"key{n}: 1" for n in range(2000)))
    assert len(found) == 501 and "there are more than 500 mistakes" in str(found[0])


TASK = "{name: T, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {command: python a.py}}"


def condition_codes(condition: str, more: str = "") -> list[str]:
    """The codes for a group `b` with this condition, which waits for a group `a` of three tasks."""
    text = f"""\
version: v1
name: x
inputs: {{mode: {{type: string, default: full}}, n: {{type: number, default: 1}}}}
pipeline:
  a: {{tasks: {{t: {TASK}, t2: {TASK}, t3: {TASK}}}}}
  b: {{depends_on: [a], condition: "{condition}", tasks: {{u: {TASK}}}}}
"""
    return [p.code for p in problems(text)]


@pytest.mark.parametrize(
    ("condition", "codes"),
    [
        ("task_groups['a'].all() == 'SUCCEEDED'", ["unknown-name"]),
        ("tasks.t == 'SUCCEEDED'", ["unknown-name"]),
        ("tasks['t']", ["unknown-name"]),
        ("task_groups['a'].any()", ["unknown-name"]),
        ("task_groups['a'].all().status", ["unknown-name"]),
        ("not task_groups['a'].any().status == 'FAILED'", []),
        ("inputs.mode and inputs.mode == 'full'", []),
        ("inputs.n == 1 and inputs.n == true", []),
        ("inputs.mode == 'full' and inputs['mode'] == 'delta'", ["dead-condition"]),
        ("inputs.mode == 'full' and inputs.mode != 'full'", ["dead-condition"]),
        ("tasks['t'].status == 'FAILED' and tasks['t'].status == 'SKIPPED'", ["dead-condition"]),
        # Three tasks may end in three ways.
        (" and ".join(f"task_groups['a'].any().status == '{s}'" for s in ("FAILED", "SKIPPED", "SUCCEEDED")), []),
        (" and ".join(f"tasks['t{n}'].status == 'COMPLETED'" for n in ("", 2, 3)), []),
    ],
)
def test_conditions_that_cannot_work_and_those_that_can(condition: str, codes: list[str]) -> None:
    assert condition_codes(condition) == codes


def test_equal_ids_are_found_however_they_are_stored() -> None:
    """CPython keeps one object for each short text, and an alias is one object: identity says nothing."""
    for name in ("t", "long_name"):
        text = f"version: v1\nname: x\npipeline:\n  a: {{tasks: &s {{{name}: {TASK}}}}}\n"
        assert [p.code for p in problems(f"{text}  b: {{tasks: {{{name}: {TASK}}}}}\n")] == ["duplicate-id"]
        assert [p.code for p in problems(f"{text}  b: {{tasks: *s}}\n")] == ["duplicate-id"]


def test_an_empty_list_is_no_mapping_where_one_is_required() -> None:
    text = f"version: v1\nname: x\npipeline:\n  a: {{matrix: {{inputs: []}}, tasks: {{t: {TASK}}}}}\n"
    assert [p.code for p in problems(text)] == ["wrong-type"]
    assert [p.code for p in problems(text.replace("{command: python a.py}", "[]"))] == ["wrong-type", "wrong-type"]


def test_no_file_costs_more_than_a_few_seconds() -> None:
    """Fault 13: files that are made to be slow. Counted in steps where we can; here by a generous clock."""
    both = " and ".join(f"tasks['{t}'].status == 'COMPLETED'" for t in ("t", "t2", "t3"))
    groups = "".join(f'  g{n}: {{depends_on: [a], condition: "{both}", tasks: {{u{n}: {TASK}}}}}\n' for n in range(300))
    head = f"version: v1\nname: x\npipeline:\n  a: {{tasks: {{t: {TASK}, t2: {TASK}, t3: {TASK}}}}}\n"
    misspelt = "".join(f"  group_{n}: {{depends_on: [gruop_{n}], tasks: {{u{n}: {TASK}}}}}\n" for n in range(800))
    chain = "".join(f"  c{n}: {{depends_on: [{f'c{n - 1}' if n else 'a'}], condition: \"tasks['t'].status == 'FAILED'\", "
                    f"tasks: {{v{n}: {TASK}}}}}\n" for n in range(2000))  # fmt: skip
    lines = "".join(f"        {'x' * 500} ${{{{ tasks['no'].status == 'FOO' }}}}\n" for _ in range(300))
    sql = "integration: SNOWFLAKE, integration_job: SNOWFLAKE_RUN_QUERY"
    block = (
        f"  z:\n    name: Z\n    {sql.replace(', ', chr(10) + '    ')}\n    parameters:\n      statement: |\n{lines}"
    )
    began = time.monotonic()
    for text in (head + groups, head + misspelt, head + chain, head + block):
        check(parse_document(text))
    assert time.monotonic() - began < 30
