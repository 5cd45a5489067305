"""The ways in which a plan is printed: a tree for people, JSON for programs, a Mermaid flowchart for Markdown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from hypothesis import given as arbitrary
from hypothesis import settings
from hypothesis import strategies as st
from plan_harness import drawn, group, plan_of, task

from rehearse.planning.json_form import to_json
from rehearse.planning.mermaid import to_mermaid
from rehearse.planning.plan import Plan
from rehearse.planning.selection import Carried, from_failed, select

# The tree


def test_the_tree() -> None:
    parameters = {"code": "a\n" * 15 + "b", "n": 1, "d": {"k": [1]}}
    nodes = {
        "load": group(
            name="Load it",
            matrix={"inputs": {"t": ["a", "b"]}, "max_parallel": 2, "continue_on_error": True},
            one=task(parameters=parameters, treat_failure_as_warning=True),
            two=task("one", configuration={"timeout": 90, "retries": 1}, condition="${{ inputs.day }}"),
            off=task(paused=True),
        ),
        "after": group(
            "load",
            paused=True,
            condition="task_groups['load'].any().status == 'FAILED'",
            matrix={"inputs": {"u": "${{ tasks['one'].outputs['x'] }}"}, "sequential": True},
            three=task(configuration={"timeout": 61}),
        ),
        "bad": group(four=task(), each=("v", "${{ env.REGION }}")),
        "none": group(five=task(), each=("w", "${{ secrets.list }}")),
    }
    settings = {"retries": 2, "retry_delay": 5, "timeout": 7200, "concurrency": {"max_active": 1}}
    plan = plan_of(nodes, {"day": "2026-11-24", "token": "abcdefgh"}, name="A #tag", configuration=settings)
    assert drawn(plan, verbose=True).splitlines() == [
        "A #tag  folder/p.yml, environment laptop",
        "  inputs: day='2026-11-24', token='********'",
        "  at most 1 run at the same time",
        "  load  Load it",
        "    for each t (2, at most 2 at once, going on after a failure): a, b",
        "    one  PYTHON_EXECUTE_SCRIPT  2 retries, 5 min apart, timeout 2 h, a failure counts as a warning",
        "      for example a:",
        "      code: ",
        *["  a"] * 12,
        "  ... and 4 more lines",
        "      n: 1",
        '      d: {"k": [1]}',
        "    two  PYTHON_EXECUTE_SCRIPT  after one  1 retry, 5 min apart, timeout 90 s",
        "      if inputs.day",
        "      for example a:",
        "    off  PYTHON_EXECUTE_SCRIPT  2 retries, 5 min apart, timeout 2 h  paused",
        "  after  after load  paused",
        "    if task_groups['load'].any().status == 'FAILED'",
        "    for each u (known at run time, one after another): out of one",
        "    three  PYTHON_EXECUTE_SCRIPT  2 retries, 5 min apart, timeout 61 s",
        "  bad",
        "    for each v: will fail: the matrix needs a list, not 'eu'",
        "    four  PYTHON_EXECUTE_SCRIPT  2 retries, 5 min apart, timeout 2 h",
        "  none",
        "    for each w (known at run time): '${{ secrets.list }}'",
        "    five  PYTHON_EXECUTE_SCRIPT  2 retries, 5 min apart, timeout 2 h",
        "6 tasks; how many task runs that is, only the run can tell",
    ]


def test_settings_that_all_tasks_share_are_said_once() -> None:
    text = drawn(plan_of({"g": group(a=task(), b=task())}, configuration={"timeout": 60, "retries": 1}))
    assert "every task: 1 retry, timeout 1 min" in text and text.count("timeout") == 1 and text.endswith("2 tasks")


def test_a_task_that_stands_alone_takes_one_line() -> None:
    then = task("a", name="Then", condition="tasks['a'].status == 'FAILED'", configuration={"retries": 1})
    assert drawn(plan_of({"a": task(name="First"), "b": then})).splitlines()[2:] == [
        "  a  First  PYTHON_EXECUTE_SCRIPT",
        "  b  after a  Then  PYTHON_EXECUTE_SCRIPT  1 retry",
        "    if tasks['a'].status == 'FAILED'",
        "2 tasks",
    ]


def repeated(plan: Plan, statuses: dict[str, str]) -> Plan:
    return from_failed(plan, {label: Carried(status, {}) for label, status in statuses.items()})[0]


def test_the_tree_of_a_selection() -> None:
    plan = plan_of({"g": group(a=task(), b=task("a", condition="True"), c=task("b"))})
    text = drawn(repeated(plan, {"a": "WARNING", "b": "SUCCEEDED", "c": "FAILED"}))
    assert "a  PYTHON_EXECUTE_SCRIPT  carried: WARNING" in text and text.endswith("1 of 3 tasks")
    assert "c  PYTHON_EXECUTE_SCRIPT  after b  not selected" in drawn(select(plan, ["a"]))


def test_every_name_stays_on_its_line() -> None:
    """Other characters that steer a terminal are taken out where the tree is printed: test_cli_plan."""
    node = {"name": "a\nb", "tasks": {"a\r\nb\x85c": task(parameters={"p\n": 1, "q": "1\t2\n3"})}}
    text = drawn(plan_of({"g": node}, {"i\nj": "k\nl"}), verbose=True)
    assert text.splitlines()[1:] == [
        "  inputs: i j='k\\nl'", "  g  a b", "    a b c  PYTHON_EXECUTE_SCRIPT", "      p: 1", "      q: ", "  1   2", "  3",
        "1 task",
    ]  # fmt: skip


# Mermaid

_LABEL = r"(?:[^\W\x00-\x7f]|[A-Za-z0-9 _,\-./='?!…×\u3000-\U0010ffff]|#(?:quot|\d+);|<br/>)*"
_ID = r"[gt]_[A-Za-z0-9_]*"
_GRAMMAR = {
    "comment": re.compile(rf" +%% {_LABEL}"),
    "open": re.compile(rf' +subgraph ({_ID})\["{_LABEL}"\]'),
    "node": re.compile(rf' +({_ID})\["{_LABEL}"\]'),
    "edge": re.compile(rf" +({_ID}) -(?:-|\.-)> ({_ID})"),
    "close": re.compile(r" +end"),
    "style": re.compile(r" +classDef ([a-z]+) [a-z\-:0-9 ]+(?:,[a-z\-:0-9 ]+)*"),
    "class": re.compile(rf" +class ({_ID}(?:,{_ID})*) ([a-z]+)"),
}


def parsed(text: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each line as (kind, names in it); fails for a line that is none of the grammar."""
    header, *rest = text.removesuffix("\n").split("\n")
    assert header == "flowchart LR"
    for line in rest:
        matches = {kind: match for kind, pattern in _GRAMMAR.items() if (match := pattern.fullmatch(line))}
        assert len(matches) == 1, line
        yield from ((kind, match.groups()) for kind, match in matches.items())


def check_mermaid(plan: Plan) -> dict[str, list[tuple[str, ...]]]:
    """Reads the flowchart of a plan; nodes stand in subgraphs, and only what was declared is used, each name once."""
    found: dict[str, list[tuple[str, ...]]] = {kind: [] for kind in _GRAMMAR}
    depth = 0
    for kind, names in parsed(to_mermaid(plan)):
        depth += (kind == "open") - (kind == "close")
        assert depth in (0, 1) and (depth == 1 or kind != "node")
        found[kind].append(names)
    declared = [name for kind in ("open", "node") for (name,) in found[kind]]
    assert depth == 0 and len(set(declared)) == len(declared) == len(plan.groups) + len(plan.tasks)
    assert {name for edge in found["edge"] for name in edge} <= set(declared)
    assert {name for members, _ in found["class"] for name in members.split(",")} <= set(declared)
    return found


def test_the_flowchart() -> None:
    nodes = {
        "load": group(a=task(name='Say "hi" [1]'), b=task("a", name="${{ MATRIX.x }}"), each=("x", [1, 2])),
        "tell": group("load", condition="False", c=task()),
        "more": group(
            d=task(connection="fake"), e=task(connection="typo"), f=task(paused=True), each=("x", "${{ tasks['a'] }}")
        ),
    }
    plan = plan_of(nodes)
    assert to_mermaid(plan).splitlines()[:12] == [
        "flowchart LR",
        "    %% t in environment laptop",
        '    subgraph g_load["load, 2 × x"]',
        '        t_a["a<br/>Say #quot;hi#quot; #91;1#93;<br/>PYTHON_EXECUTE_SCRIPT"]',
        '        t_b["b<br/>PYTHON_EXECUTE_SCRIPT"]',
        "        t_a --> t_b",
        "    end",
        '    subgraph g_tell["tell"]',
        '        t_c["c<br/>PYTHON_EXECUTE_SCRIPT<br/>if False<br/>skipped, the condition of its group is false"]',
        "    end",
        '    subgraph g_more["more, ? × x"]',
        '        t_d["d<br/>PYTHON_EXECUTE_SCRIPT<br/>simulated #40;stub#41;"]',
    ]
    found = check_mermaid(plan)
    assert found["edge"] == [("t_a", "t_b"), ("g_load", "g_tell")] and "g_load -.-> g_tell" in to_mermaid(plan)
    assert {kind: names for names, kind in found["class"]} == {
        "skipped": "t_c,t_f", "simulated": "t_d", "unsupported": "t_e",
    }  # fmt: skip
    done = {"a": "SUCCEEDED", "b[1]": "FAILED", "d": "SUCCEEDED", "e": "WARNING", "f": "SUCCEEDED"}
    assert {kind for _, kind in check_mermaid(repeated(plan, done))["class"]} == {"skipped", "carried"}
    assert {kind for _, kind in check_mermaid(select(plan, ["a"]))["class"]} == {"unselected"}


# A text with an expression in it never comes to a plan unread, so a stray opening is left out.
_TEXTS = st.text(max_size=12).filter(lambda text: "${{" not in text) | st.sampled_from(
    [
        "end",
        "1. x",
        "- x",
        "%%{init: {}}%%",
        "style a:#f00;",
        "`md`",
        "a\nb",
        "#quot;",
        "a b",
        "a_b",
        "A b",
        "x" * 99,
        "🎉 é",
        "<b>&",
    ]
)


@settings(max_examples=150)
@arbitrary(st.lists(st.tuples(_TEXTS, _TEXTS, st.booleans()), min_size=1, max_size=6, unique_by=lambda one: one[0]))
def test_any_plan_is_valid_json_and_a_valid_flowchart(ids: list[tuple[str, str, bool]]) -> None:
    nodes: dict[str, Any] = {}
    for index, (name, label, linked) in enumerate(ids):
        condition = f"inputs.x == {label!r}" if linked else None
        nodes[f"g{name}"] = {
            "name": label,
            "tasks": {f"t{name}": task(name=label, condition=condition), f"{name}+": task(f"t{name}", paused=linked)},
            "depends_on": [f"g{ids[index - 1][0]}"] if linked and index else [],
            "matrix": {"inputs": {"x": [label, {"k": label}]}} if linked else None,
        }
    given = {"x": ids[0][1]}
    plan = plan_of(nodes, given)
    content = to_json(plan)
    assert json.loads(json.dumps(content)) == content == to_json(plan_of(nodes, given))
    check_mermaid(plan)
    assert drawn(plan, verbose=True)
