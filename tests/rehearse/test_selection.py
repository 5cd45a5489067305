"""Which tasks run: by name, with what is upstream or downstream, or what an earlier run did not finish (section 4.7)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given as arbitrary
from hypothesis import settings
from hypothesis import strategies as st
from plan_harness import group, plan_of, task

from rehearse.errors import UsageError
from rehearse.language.statuses import GOOD
from rehearse.planning.plan import Plan
from rehearse.planning.selection import Carried, from_failed, select

SHOP = plan_of(
    {
        "report": group("marts", "audit", r=task()),
        "extract": group(
            name="Get it", orders=task(), Customers=task(name="Load people"), check=task("orders", "Customers")
        ),
        "marts": group("extract", stage=task(), build=task("stage", name="Load people")),
        "audit": group(scan=task()),
        "alone": task("audit", name="Standing"),
    }
)


def chosen(plan: Plan) -> list[str]:
    return sorted(task.id for task in plan.tasks if task.selected)


def carried(plan: Plan) -> dict[str, str]:
    return {task.id: task.carried for task in plan.tasks if task.carried}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["build"], ["build"]),
        ([" BUILD "], ["build"]),
        (["customers"], ["Customers"]),
        (["extract"], ["Customers", "check", "orders"]),
        (["get IT"], ["Customers", "check", "orders"]),  # the name of a group, as no id fits
        (["load people"], ["Customers", "build"]),  # a name that two tasks have
        (["alone"], ["alone"]),
        (["standing"], ["alone"]),
        (["+check"], ["Customers", "check", "orders"]),
        (["orders+"], ["build", "check", "orders", "r", "stage"]),
        (["+build"], ["Customers", "build", "check", "orders", "stage"]),
        (["+stage+"], ["Customers", "build", "check", "orders", "r", "stage"]),
        (["scan+"], ["alone", "r", "scan"]),
        (["marts+", "scan"], ["build", "r", "scan", "stage"]),
        (["+report"], ["Customers", "build", "check", "orders", "r", "scan", "stage"]),
    ],
)
def test_selectors(names: list[str], found: list[str]) -> None:
    assert chosen(select(SHOP, names)) == found


def test_no_name_selects_everything() -> None:
    assert select(SHOP, []) == SHOP and len(chosen(SHOP)) == 8


def test_continue_downstream_is_a_plus_behind_each_name() -> None:
    assert select(SHOP, ["orders", "+scan"], continue_downstream=True) == select(SHOP, ["orders+", "+scan+"])


def test_an_id_may_hold_a_plus() -> None:
    plan = plan_of({"g": group(**{"a+": task(), "b": task("a+"), "a": task()})})
    assert chosen(select(plan, ["a+"])) == ["a+"]
    assert chosen(select(plan, ["a++"])) == ["a+", "b"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("+biuld", "did you mean 'build'? groups and tasks: report, r, extract, orders, Customers, check, marts, stage,"),
        ("zzz", "groups and tasks: report, r,"),
        ("+", "groups and tasks: report, r,"),
        ("", "groups and tasks: report, r,"),
    ],
)  # fmt: skip
def test_an_unknown_name_is_refused_with_those_there_are(name: str, hint: str) -> None:
    with pytest.raises(UsageError, match="there is no task or group '") as caught:
        select(SHOP, ["build", name])
    assert (caught.value.hint or "").startswith(hint)


def test_of_very_many_names_only_some_are_listed() -> None:
    plan = plan_of({"g": group(**{f"task{number}": task() for number in range(99)})})
    with pytest.raises(UsageError) as caught:
        select(plan, ["zzz"])
    assert (caught.value.hint or "").endswith("task18, ... and 80 more")


def ended(statuses: Mapping[str, str]) -> dict[str, Carried]:
    return {label: Carried(status, {"of": label}) for label, status in statuses.items()}


def failed(previous: Mapping[str, str], plan: Plan = SHOP) -> Plan:
    done = {task.id: "SUCCEEDED" for task in plan.tasks}
    return from_failed(plan, ended(done | previous))[0]


def kept(plan: Plan, previous: Mapping[str, str]) -> set[str]:
    """The labels of the task runs that are not executed again."""
    left = from_failed(plan, ended(previous))[1]
    assert all(found == Carried(previous[label], {"of": label}) for label, found in left.items())
    return set(left)


def test_what_failed_and_all_that_waits_for_it_runs_again() -> None:
    plan = failed({"stage": "FAILED", "build": "SKIPPED", "r": "SUCCEEDED", "scan": "WARNING"})
    assert chosen(plan) == ["build", "r", "stage"]
    assert carried(plan) == dict.fromkeys(("orders", "Customers", "check", "alone"), "SUCCEEDED") | {"scan": "WARNING"}


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED", "RUNNING", "QUEUED", "CREATED", "CANCELLING"])
def test_whatever_did_not_end_well_counts_as_failed(status: str) -> None:
    assert chosen(failed({"build": status})) == ["build", "r"]


def test_what_was_never_reached_runs_too_but_not_what_waits_for_it() -> None:
    assert chosen(failed({"build": "FAILED", "scan": "SKIPPED"})) == ["build", "r", "scan"]
    previous = {"orders": "SUCCEEDED", "build": "FAILED", "no longer there": "FAILED", "odd[": "FAILED"}
    assert chosen(from_failed(SHOP, ended(previous))[0]) == [
        "Customers",
        "alone",
        "build",
        "check",
        "r",
        "scan",
        "stage",
    ]


@pytest.mark.parametrize("previous", [{}, {"build": "WARNING", "r": "SKIPPED"}])
def test_nothing_failed(previous: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="nothing failed in that run") as caught:
        failed(previous)
    assert caught.value.hint


def test_one_failed_item_of_a_matrix_is_enough() -> None:
    nodes = {
        "m": group(load=task(), check=task("load"), **{"load[x]": task()}, each=("x", ["a", "b"])),
        "later": group("m", end=task()),
        "other": group(quiet=task()),
    }
    plan = plan_of(nodes)
    items = {"load[a]": "SUCCEEDED", "load[b]": "SUCCEEDED", "check[a]": "WARNING", "check[b]": "SUCCEEDED"}
    rest = {"load[x][a]": "SUCCEEDED", "load[x][b]": "SUCCEEDED", "end": "SUCCEEDED", "quiet": "FAILED"}
    assert carried(from_failed(plan, ended(items | rest))[0]) == {
        "load": "SUCCEEDED", "check": "WARNING", "load[x]": "SUCCEEDED", "end": "SUCCEEDED",
    }  # fmt: skip
    assert chosen(from_failed(plan, ended(items | rest | {"load[b]": "FAILED"}))[0]) == [
        "check",
        "end",
        "load",
        "quiet",
    ]
    # A failure keeps later iterations from starting: the items of other tasks that were skipped for it are not done.
    cut = {"load[b]": "SKIPPED", "load[x][a]": "FAILED"}
    assert chosen(from_failed(plan, ended(items | rest | cut))[0]) == ["end", "load", "load[x]", "quiet"]
    # An item that its own condition skipped, in a group where nothing failed, is done.
    assert chosen(from_failed(plan, ended(items | rest | {"check[b]": "SKIPPED"}))[0]) == ["quiet"]


def test_a_selection_forgets_the_one_before() -> None:
    plan = select(failed({"build": "FAILED"}), ["scan"])
    assert (chosen(plan), carried(plan)) == (["scan"], {})


# Against brute force

Edges = set[tuple[str, str]]  # upstream, downstream


@st.composite
def pipelines(draw: Any) -> tuple[Plan, Edges]:
    """A two-level graph, its nodes in any order, and every edge between two tasks that it comes to."""
    sizes = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))
    members = {f"g{g}": [f"t{g}.{t}" for t in range(size)] for g, size in enumerate(sizes)}
    edges: Edges = set()
    nodes = {}
    for g, (group_id, ids) in enumerate(members.items()):
        up = draw(st.lists(st.sampled_from(list(members)[:g]), unique=True)) if g else []
        edges |= {(a, b) for other in up for a in members[other] for b in ids}
        tasks = {}
        for t, task_id in enumerate(ids):
            after = draw(st.lists(st.sampled_from(ids[:t]), unique=True)) if t else []
            edges |= {(a, task_id) for a in after}
            tasks[task_id] = task(*after)
        nodes[group_id] = group(*up, **dict(draw(st.permutations(list(tasks.items())))))
    return plan_of(dict(draw(st.permutations(list(nodes.items()))))), edges


def reach(start: set[str], edges: Edges) -> set[str]:
    found = set(start)
    while new := {b for a, b in edges if a in found} - found:
        found |= new
    return found


@settings(max_examples=200)
@arbitrary(pipelines(), st.data())
def test_closures_equal_those_of_brute_force(made: tuple[Plan, Edges], data: st.DataObject) -> None:
    plan, edges = made
    node = data.draw(st.sampled_from([*plan.tasks, *plan.groups]))
    start = (
        {node.id} if node in plan.tasks else {task.id for group in plan.groups if group is node for task in group.tasks}
    )
    up, down = reach(start, {(b, a) for a, b in edges}), reach(start, edges)
    assert set(chosen(select(plan, [node.id]))) == start
    assert set(chosen(select(plan, [f"+{node.id}"]))) == up
    assert set(chosen(select(plan, [f"{node.id}+"]))) == set(chosen(select(plan, [node.id], True))) == down
    assert set(chosen(select(plan, [f"+{node.id}+"]))) == up | down


@settings(max_examples=200)
@arbitrary(pipelines(), st.data())
def test_from_failed_carries_what_is_done_and_selects_the_rest(made: tuple[Plan, Edges], data: st.DataObject) -> None:
    plan, edges = made
    statuses = st.sampled_from(["SUCCEEDED", "SUCCEEDED", "WARNING", "FAILED", "SKIPPED", "CANCELLED"])
    previous = {task.id: data.draw(statuses) for task in plan.tasks}
    bad = {task_id for task_id, status in previous.items() if status in ("FAILED", "CANCELLED")}
    if not bad:
        with pytest.raises(UsageError):
            from_failed(plan, ended(previous))
        return
    again, left = from_failed(plan, ended(previous))
    unreached = {task_id for task_id, status in previous.items() if status == "SKIPPED"}
    assert set(chosen(again)) == reach(bad, edges) | unreached
    assert all(not (task.selected and task.carried) for task in again.tasks)
    assert carried(again) == {task.id: previous[task.id] for task in again.tasks if not task.selected}
    assert set(carried(again).values()) <= set(GOOD)
    assert {label: found.status for label, found in left.items()} == carried(again)
