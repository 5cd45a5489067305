"""What `rehearse validate` says of files that are wrong, and that it says it at the right place."""

from __future__ import annotations

from pathlib import Path

import pytest

from rehearse.language.document import MAX_BYTES, Problem, parse_document, read_document
from rehearse.language.validation import check

GOOD = """\
version: v1
name: demo
inputs:
  day: {type: string, default: monday}
pipeline:
  first:
    tasks:
      one:
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
        integration: POSTGRES
        integration_job: POSTGRES_RUN_TEST
        parameters: {statement: select 1, error_threshold_expression: '> 0', warn_threshold_expression: '> 0'}
"""


def problems(text: str) -> list[Problem]:
    return check(parse_document(text, "p.yml"))[1]


def test_a_good_pipeline_has_no_problems() -> None:
    assert problems(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "position", "said"),
    [
        ("    tasks:\n      one:", "    tasks\n      one:", (8, 10), "is a ':' missing after 'tasks' on line 7"),
        ("  first:\n", "\tfirst:\n", (6, 1), "line 6 is indented with a tab"),
        ("name: demo", "nme: demo", (2, 1), "did you mean 'name'?"),
        ("version: v1", "version: v2", (1, 10), "'v2' is not allowed for 'version'"),
        ("name: demo", "name: 12", (2, 7), "quote it: '12'"),
        ("depends_on: [first]", "depends_on: [frist]", (15, 18), "did you mean 'first'?"),
        ("depends_on: [first]", "depend_on: [first]", (15, 5), "did you mean 'depends_on'?"),
        ("integration: PYTHON", "integration: PYHTON", (9, 22), "did you mean 'PYTHON'?"),
        ("PYTHON_EXECUTE_SCRIPT", "DBT_CORE_EXECUTE", (10, 26), "it belongs to DBT_CORE"),
        ("command: python -V", "comand: python -V", (12, 11), "did you mean 'command'?"),
        ("command: python -V", "command: bash -c ls", (12, 20), "must start with python, poetry or uv"),
        ("'> 0', warn", "'> 0.5', warn", (21, 71), "Invalid threshold expression format"),
        ("task_groups['first']", "task_groups['fist']", (16, 16), "did you mean 'first'?"),
        (".all().status", ".each().status", (16, 16), "only .all() and .any()"),
        ("  second:", "  FIRST:", (14, 3), "is used twice"),
        ("type: string", "type: text", (4, 15), "'text' is not allowed for 'type'"),
        ("default: monday", "default: 5", (4, 32), "not a string"),
        ("name: demo", "name: demo\nname: again", (3, 1), "Duplicate key found in YAML: 'name'"),
        ("    depends_on: [first]", "    depends_on: [second]", (15, 18), "depends on itself"),
        ("command: python -V", "command: python ${{ matrix.x }}", (12, 20), "only available inside a task group that has"),
        ("command: python -V", "command: python -V\n          build_command: x ${{ inputs.day }}", (13, 26), "given to a shell"),
        ("command: python -V", "command: python -V\n          environment_variables: {A: b}", (13, 34), "text that holds JSON"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_where_it_is(old: str, new: str, position: tuple[int, int], said: str) -> None:
    assert old in GOOD
    found = problems(GOOD.replace(old, new, 1))
    matching = [p for p in found if said in str(p)]
    assert matching, [str(p) for p in found]
    assert tuple(matching[0].position) == position


def test_all_problems_are_reported_at_once() -> None:
    text = GOOD.replace("name: demo", "nme: demo").replace("depends_on: [first]", "depend_on: [first]")
    assert len(problems(text)) == 3  # 'name' is missing, too


def test_a_cycle_names_its_members() -> None:
    text = GOOD.replace("  first:\n", "  first:\n    depends_on: [second]\n")
    assert any(
        "wait for each other" in p.message and "first" in p.message and "second" in p.message for p in problems(text)
    )


def test_camel_case_and_merge_keys_and_anchors_are_understood() -> None:
    text = GOOD.replace("depends_on: [first]", "dependsOn: [first]").replace(
        "parameters:\n          command", "parameters: &p\n          command"
    )
    three = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {<<: *p}"
    text += f"      three: {{{three}}}\n"
    assert problems(text) == []


def test_an_input_may_be_called_like_a_root() -> None:
    text = GOOD.replace("day: {type: string", "tasks: {type: dict, optional: true}\n  day: {type: string")
    assert problems(text.replace("command: python -V", "command: python ${{ inputs.tasks.foo }}")) == []


@pytest.mark.parametrize("condition", [" or ".join(["1 == 1"] * 3000), "not " * 3000 + "True", "inputs" + ".b" * 3000])
def test_an_endless_expression_is_refused(condition: str) -> None:
    found = problems(GOOD.replace("${{ task_groups['first'].all().status == 'SUCCEEDED' }}", condition))
    assert ["words and signs" in p.message for p in found] == [True]


def test_an_alias_is_no_key() -> None:
    assert any("must be text, not an alias" in p.message for p in problems("version: &a v1\n*a : 2\n"))


def test_a_bomb_is_refused_and_an_honest_alias_is_not() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    found = problems("\n".join(lines))
    assert [p.type for p in found] == ["too_large"]
    assert problems("a: " + "[" * 5000)[0].type == "too_large"


def test_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "big.yml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 50)
    assert read_document(path).problems[0].type == "too_large"


def test_bytes_that_are_not_utf8_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "latin.yml"
    path.write_bytes(b"version: v1\nname: caf\xe9\n")
    assert str(read_document(path).problems[0]).startswith(f"{path}:2:1: error: the file is not UTF-8")
