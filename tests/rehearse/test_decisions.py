"""The state machine alone: pipelines in YAML, events by hand, no process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any

import pytest
import yaml

from rehearse.engine import states as d
from rehearse.engine.decisions import Machine
from rehearse.language.document import parse_document
from rehearse.language.validation import LoadedPipeline, check
from rehearse.planning.plan import make_plan
from rehearse.planning.selection import select

NOW = datetime(2026, 11, 24, tzinfo=UTC)


def task(**more: Any) -> dict[str, Any]:
    return {
        "name": "a task",
        "integration": "PYTHON",
        "integration_job": "PYTHON_EXECUTE_SCRIPT",
        "parameters": {"command": "python -V"},
    } | more


def group(*tasks: str, **more: Any) -> dict[str, Any]:
    return {"tasks": {name: task() for name in tasks}} | more


def machine(nodes: dict[str, Any], tasks: Sequence[str] = (), **document: Any) -> Machine:
    text = yaml.safe_dump({"version": "v1", "name": "t", "pipeline": nodes} | document)
    pipeline, problems = check(parse_document(text))
    assert pipeline is not None and not [p for p in problems if p.severity == "error"], [str(p) for p in problems]
    plan = select(make_plan(LoadedPipeline("t.yml", text, pipeline, []), {}, "local", {}, NOW), tasks)
    numbers = count(1)
    return Machine(plan, "run", lambda: NOW, lambda: f"id-{next(numbers)}")


def play(m: Machine, judge: Callable[[d.TaskRun], str]) -> dict[str, str]:
    """Run to the end, ending every started attempt as `judge` says; retries are due at once."""
    pending = list(m.start())
    steps = 0
    while pending:
        steps += 1
        assert steps < 10_000
        action = pending.pop(0)
        if isinstance(action, d.Ready):
            pending += m.begin(action.run)
        elif isinstance(action, d.Start):
            pending += m.ended(action.run, judge(action.run), None, {})
        elif isinstance(action, d.Retry):
            pending += m.retry_due(action.run)
    return {run.label: run.status for run in m.runs}


def ready(actions: list[d.Action]) -> list[d.TaskRun]:
    return [action.run for action in actions if isinstance(action, d.Ready)]


def succeed(run: d.TaskRun) -> str:
    return "SUCCEEDED"


def fail(*labels: str) -> Callable[[d.TaskRun], str]:
    return lambda run: "FAILED" if run.label in labels else "SUCCEEDED"


def test_a_failure_skips_what_depends_on_it_and_nothing_else() -> None:
    m = machine(
        {
            "a": group("a1", "a2"),
            "b": group("b1", depends_on=["a"]),
            "c": group("c1", depends_on=["b"]),
            "x": group("x1"),
        }
    )
    assert play(m, fail("a2")) == {
        "a1": "SUCCEEDED",
        "a2": "FAILED",
        "b1": "SKIPPED",
        "c1": "SKIPPED",
        "x1": "SUCCEEDED",
    }
    assert m.status == "FAILED"


def test_a_warning_lets_dependents_run() -> None:
    nodes = {"a": {"tasks": {"a1": task(treat_failure_as_warning=True)}}, "b": group("b1", depends_on=["a"])}
    m = machine(nodes)
    assert play(m, fail("a1")) == {"a1": "WARNING", "b1": "SUCCEEDED"}
    assert m.status == "WARNING"


@pytest.mark.parametrize(("failing", "expected"), [((), "SKIPPED"), (("a1",), "SUCCEEDED")])
def test_a_condition_replaces_the_default_rule(failing: tuple[str, ...], expected: str) -> None:
    handler = group("h1", depends_on=["a"], condition="${{ task_groups['a'].any().status == 'FAILED' }}")
    assert play(machine({"a": group("a1"), "h": handler}), fail(*failing))["h1"] == expected


def test_a_broken_condition_fails_its_tasks_loudly() -> None:
    m = machine({"a": group("a1", condition="${{ ENV.MISSING == 1 }}")})
    assert play(m, succeed) == {"a1": "FAILED"}
    assert "MISSING" in str(m.runs[0].message)


def test_a_skipped_group_does_not_start_a_task_whose_own_condition_is_true() -> None:
    tasks = {"one": task(), "two": task(depends_on=["one"], condition="${{ True }}")}
    m = machine({"a": {"tasks": tasks, "condition": "${{ False }}"}})
    assert play(m, succeed) == {"one": "SKIPPED", "two": "SKIPPED"}
    assert m.status == "SKIPPED"


def test_order_and_task_condition_inside_a_group() -> None:
    tasks = {
        "one": task(),
        "two": task(depends_on=["one"]),
        "always": task(depends_on=["two"], condition="${{ True }}"),
    }
    assert play(machine({"a": {"tasks": tasks}}), fail("one")) == {
        "one": "FAILED",
        "two": "SKIPPED",
        "always": "SUCCEEDED",
    }


def test_a_standalone_task_takes_part_in_the_graph() -> None:
    m = machine(
        {"first": task(), "second": task(depends_on=["first"], condition="${{ tasks['first'].status == 'FAILED' }}")}
    )
    assert play(m, fail("first")) == {"first": "FAILED", "second": "SUCCEEDED"}


def test_retries_use_the_same_run_and_render_again() -> None:
    attempts: list[int] = []

    def judge(run: d.TaskRun) -> str:
        attempts.append(run.attempt)
        return "FAILED" if run.attempt < 3 else "SUCCEEDED"

    m = machine({"a": {"tasks": {"a1": task(configuration={"retries": 2})}}}, configuration={"retries": 0})
    assert play(m, judge) == {"a1": "SUCCEEDED"} and attempts == [1, 2, 3]


def test_a_task_overrides_the_configuration_field_by_field() -> None:
    m = machine(
        {"a": {"tasks": {"a1": task(configuration={"retries": 2})}}}, configuration={"retries": 1, "timeout": 9}
    )
    assert (m.plan.tasks[0].retries, m.plan.tasks[0].timeout_seconds) == (2, 9)


def matrix(items: Any, **more: Any) -> dict[str, Any]:
    return group("each", matrix={"inputs": {"x": items}} | more)


def test_a_matrix_runs_the_group_once_per_item_and_quantifies_over_all() -> None:
    after = group("after", depends_on=["m"], condition="${{ task_groups['m'].all().status == 'SUCCEEDED' }}")
    states = play(machine({"m": matrix(["a", 1, {"id": "z"}]), "n": after}), fail("each[1]"))
    assert states == {"each[a]": "SUCCEEDED", "each[1]": "FAILED", "each[z]": "SUCCEEDED", "after": "SKIPPED"}


@pytest.mark.parametrize(("go_on", "last"), [(False, "SKIPPED"), (True, "SUCCEEDED")])
def test_after_a_failed_iteration_the_waiting_ones(go_on: bool, last: str) -> None:
    states = play(machine({"m": matrix(["a", "b", "c"], sequential=True, continue_on_error=go_on)}), fail("each[b]"))
    assert states == {"each[a]": "SUCCEEDED", "each[b]": "FAILED", "each[c]": last}


def test_max_parallel_bounds_what_is_started_at_once() -> None:
    m = machine({"m": matrix(list(range(10)), max_parallel=3)})
    [first, *others] = ready(m.start())
    assert len(others) == 2
    m.begin(first)
    assert len(ready(m.ended(first, "SUCCEEDED", None, {}))) == 1


def test_equal_items_keep_apart() -> None:
    assert set(play(machine({"m": matrix(["a", "a", 1, "1"])}), succeed)) == {
        "each[a]",
        "each[a#2]",
        "each[1]",
        "each[1#2]",
    }


def test_an_attempt_that_waits_for_a_worker_is_queued_and_is_cancelled_at_once() -> None:
    m = machine({"a": group("a1")})
    [run] = ready(m.start())
    assert (run.status, run.attempt, run.started_at) == ("QUEUED", 0, None)
    assert d.Finish("CANCELLED") in m.cancel()
    assert m.begin(run) == [] == m.ended(run, "CANCELLED", "late", {}) and run.message is None


def test_an_unknown_status_counts_as_a_failure() -> None:
    assert play(machine({"a": group("a1"), "b": group("b1", depends_on=["a"])}), lambda run: "success") == {
        "a1": "FAILED",
        "b1": "SKIPPED",
    }


def test_long_chains_need_no_deep_stack() -> None:
    chain: dict[str, Any] = {"n0": group("t0", condition="${{ False }}")}
    chain |= {f"n{i}": group(f"t{i}", depends_on=[f"n{i - 1}"]) for i in range(1, 2000)}
    assert set(play(machine(chain), succeed).values()) == {"SKIPPED"}
    skipping = {
        "tasks": {"t": task(condition="${{ False }}")},
        "matrix": {"inputs": {"x": list(range(2000))}, "sequential": True},
    }
    assert set(play(machine({"m": skipping}), succeed).values()) == {"SKIPPED"}


def test_an_empty_matrix_is_skipped_and_a_wrong_one_fails() -> None:
    assert play(machine({"m": matrix([])}), succeed) == {"each": "SKIPPED"}
    wrong = machine({"m": matrix("${{ inputs.x }}")}, inputs={"x": {"type": "string", "default": "text"}})
    assert play(wrong, succeed) == {"each": "FAILED"}


def test_outputs_of_a_matrix_are_keyed_by_item_outside_and_direct_inside() -> None:
    tasks = {"make": task(), "use": task(depends_on=["make"], name="${{ tasks['make'].outputs['v'] }}")}
    m = machine({
        "m": {"tasks": tasks, "matrix": {"inputs": {"x": ["a", "b"]}}},
        "n": {"depends_on": ["m"], "tasks": {"end": task(name="${{ tasks['make'].outputs['b']['v'] }}")}},
    })  # fmt: skip
    pending = m.start()
    while pending:
        action = pending.pop(0)
        if isinstance(action, d.Ready):
            pending += m.begin(action.run)
        elif isinstance(action, d.Start):
            pending += m.ended(action.run, "SUCCEEDED", None, {"v": f"from {action.run.iteration.key}"})
    assert [run.name for run in m.runs if run.task.id in ("use", "end")] == ["from a", "from b", "from b"]


def test_a_paused_task_counts_as_succeeded_without_running() -> None:
    m = machine({"a": {"tasks": {"a1": task(paused=True)}}, "b": group("b1", depends_on=["a"])})
    started = []
    assert play(m, lambda run: started.append(run.label) or "SUCCEEDED") == {"a1": "SUCCEEDED", "b1": "SUCCEEDED"}
    assert started == ["b1"]


def test_a_parameter_that_cannot_be_rendered_fails_the_attempt_before_it_starts() -> None:
    m = machine({"a": {"tasks": {"a1": task(parameters={"command": "python ${{ ENV.NOPE }}"})}}})
    assert play(m, succeed) == {"a1": "FAILED"} and "NOPE" in str(m.runs[0].message)


def test_cancel_stops_the_running_and_starts_nothing_more() -> None:
    m = machine({"a": group("a1", "a2"), "b": group("b1", depends_on=["a"], condition="${{ True }}")})
    runs = ready(m.start())
    for run in runs:
        m.begin(run)
    m.ended(runs[0], "SUCCEEDED", None, {})
    assert [a.run.label for a in m.cancel() if isinstance(a, d.Stop)] == ["a2"]
    last = m.ended(runs[1], "FAILED", None, {})
    assert not ready(last) and d.Finish("CANCELLED") in last
    assert {run.label: run.status for run in m.runs} == {"a1": "SUCCEEDED", "a2": "CANCELLED", "b1": "CANCELLED"}


LINE = {
    "a": group("a1", "a2"),
    "b": group("b1", depends_on=["a"]) | {"condition": "task_groups['a'].any().status == 'FAILED'"},
    "c": group("c1", depends_on=["b"]),
}


@pytest.mark.parametrize(
    ("selected", "expected"),
    [
        (["a1"], {"a1": "SUCCEEDED", "a2": "SKIPPED", "b1": "SKIPPED", "c1": "SKIPPED"}),
        # Its upstream is left out: it runs, whatever its condition says.
        (["b"], {"a1": "SKIPPED", "a2": "SKIPPED", "b1": "SUCCEEDED", "c1": "SKIPPED"}),
        (["b+"], {"a1": "SKIPPED", "a2": "SKIPPED", "b1": "SUCCEEDED", "c1": "SUCCEEDED"}),
        # Something of its upstream runs: the condition is asked.
        (["a1", "b"], {"a1": "SUCCEEDED", "a2": "SKIPPED", "b1": "SKIPPED", "c1": "SKIPPED"}),
        (["a1", "c"], {"a1": "SUCCEEDED", "a2": "SKIPPED", "b1": "SKIPPED", "c1": "SUCCEEDED"}),
        (["+c"], {"a1": "SUCCEEDED", "a2": "SUCCEEDED", "b1": "SKIPPED", "c1": "SKIPPED"}),
    ],
)
def test_a_partial_run_executes_what_is_selected_and_nothing_else(
    selected: list[str], expected: dict[str, str]
) -> None:
    m = machine(LINE, selected)
    assert play(m, succeed) == expected
    assert m.status == "SUCCEEDED"
    left_out = {run.task.id for run in m.runs if run.message == d.NOT_SELECTED}
    assert left_out == {run.task.id for run in m.runs if not run.task.selected}


def test_a_partial_run_inside_a_group_and_a_matrix() -> None:
    tasks = {"x": task(), "y": task(depends_on=["x"]), "z": task(depends_on=["y"])}
    matrix = {"tasks": tasks, "matrix": {"inputs": {"n": [1, 2]}, "max_parallel": 1}}
    m = machine({"m": matrix, "after": group("last", depends_on=["m"])}, ["y"])
    assert play(m, succeed) == {
        "x[1]": "SKIPPED", "y[1]": "SUCCEEDED", "z[1]": "SKIPPED", "x[2]": "SKIPPED", "y[2]": "SUCCEEDED", "z[2]": "SKIPPED",
        "last": "SKIPPED",
    }  # fmt: skip
    assert play(machine({"m": matrix}, ["+y"]), lambda run: "FAILED" if run.task.id == "x" else "SUCCEEDED") == {
        "x[1]": "FAILED", "y[1]": "SKIPPED", "z[1]": "SKIPPED", "x[2]": "SKIPPED", "y[2]": "SKIPPED", "z[2]": "SKIPPED",
    }  # fmt: skip
