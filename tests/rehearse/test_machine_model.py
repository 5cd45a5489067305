"""The machine against its invariants: random plans, random events in a random order, and an engine that dies in between."""

from __future__ import annotations

from itertools import count
from typing import Any

import yaml
from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from test_decisions import NOW

from rehearse.engine import states as d
from rehearse.engine.active import ActiveRun
from rehearse.engine.decisions import Machine
from rehearse.engine.states import worst
from rehearse.language.document import parse_document
from rehearse.language.validation import LoadedPipeline, check
from rehearse.planning.plan import Plan, make_plan
from rehearse.planning.selection import Carried, select

PYTHON = {
    "integration": "PYTHON",
    "integration_job": "PYTHON_EXECUTE_SCRIPT",
    "parameters": {"command": "python -c pass"},
}
CONDITIONS = (
    None, None, "${{ True }}", "${{ False }}", "task_groups['g0'].any().status == 'FAILED'",
    "tasks['g0_0'].status == 'COMPLETED'",
)  # fmt: skip
MATRICES = (None, None, {}, {"max_parallel": 2}, {"sequential": True}, {"max_parallel": 1, "continue_on_error": True})


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    nodes: dict[str, Any] = {}
    for group in range(draw(st.integers(1, 4))):
        tasks: dict[str, Any] = {}
        for number in range(draw(st.integers(1, 3))):
            name = f"g{group}_{number}"
            before = draw(st.lists(st.sampled_from(list(tasks)), unique=True, max_size=2)) if tasks else []
            tasks[name] = PYTHON | {
                "name": name, "depends_on": before, "treat_failure_as_warning": draw(st.booleans()),
                "paused": draw(st.sampled_from([False, False, False, True])),
                "configuration": {"retries": draw(st.integers(0, 2)), "retry_delay": 0},
            }  # fmt: skip
        node: dict[str, Any] = {"tasks": tasks}
        others = list(nodes)
        node["depends_on"] = draw(st.lists(st.sampled_from(others), unique=True, max_size=2)) if others else []
        condition = draw(st.sampled_from(CONDITIONS)) if group else None
        if condition:
            node["condition"] = condition
        matrix = draw(st.sampled_from(MATRICES))
        if matrix is not None:
            node["matrix"] = {
                "inputs": {"n": draw(st.sampled_from([[], ["a"], ["a", "b"], ["a", "b", "c", "d"]]))}
            } | matrix
        nodes[f"g{group}"] = node
    return nodes


def plan_of(nodes: dict[str, Any], tasks: list[str]) -> Plan:
    text = yaml.safe_dump({"version": "v1", "name": "t", "pipeline": nodes})
    pipeline, problems = check(parse_document(text))
    assert pipeline is not None, problems
    return select(make_plan(LoadedPipeline("t.yml", text, pipeline, []), {}, "local", {}, NOW), tasks)


class Model(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ready: list[str] = []
        self.running: dict[str, int] = {}
        self.waiting: list[str] = []
        self.begun: set[tuple[str, int]] = set()
        self.finished: list[str] = []

    @initialize(nodes=documents(), data=st.data())
    def start(self, nodes: dict[str, Any], data: st.DataObject) -> None:
        names = [name for node in nodes.values() for name in node["tasks"]]
        chosen = data.draw(st.sampled_from([[], [], [names[-1]], names[:2]]))
        self.plan = plan_of(nodes, chosen)
        self.carried: dict[str, Carried] = {}
        if not chosen and data.draw(st.booleans()) and self.plan.groups[0].matrix is None:
            self.carried = {names[0]: Carried("WARNING", {"n": 1})}
        numbers = count(1)
        self.new_id = lambda: f"id-{next(numbers)}"
        self.machine = Machine(self.plan, "run", lambda: NOW, self.new_id, self.carried)
        self.do(self.machine.start())

    def do(self, actions: list[d.Action]) -> None:
        for action in actions:
            if isinstance(action, d.Ready):
                assert action.run.status == "QUEUED" and action.run.id not in self.running
                self.ready.append(action.run.id)
            elif isinstance(action, d.Start):
                self.check_start(action)
            elif isinstance(action, d.Retry):
                self.waiting.append(action.run.id)
            elif isinstance(action, d.Finish):
                self.finished.append(action.status)

    def check_start(self, start: d.Start) -> None:
        run = start.run
        assert (run.id, start.attempt) not in self.begun, "an attempt begins once"
        self.begun.add((run.id, start.attempt))
        self.running[run.id] = start.attempt
        assert run.task.selected and not run.task.paused and run.carried is None
        assert all(run.iteration.runs[name].terminal for name in run.task.depends_on)
        for name in run.iteration.group.plan.depends_on:
            assert all(other.terminal for other in self.machine.groups[name].runs)

    def of(self, run_id: str) -> d.TaskRun:
        return next(run for run in self.machine.runs if run.id == run_id)

    @rule()
    def let_time_pass(self) -> None:
        """A run that has ended has nothing more to do."""

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        run_id = data.draw(st.sampled_from(self.ready))
        self.ready.remove(run_id)
        self.do(self.machine.begin(self.of(run_id)))

    @precondition(lambda self: self.running)
    @rule(data=st.data(), status=st.sampled_from(["SUCCEEDED", "SUCCEEDED", "FAILED", "WARNING", "CANCELLED"]))
    def end(self, data: st.DataObject, status: str) -> None:
        run_id = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[run_id]
        self.do(self.machine.ended(self.of(run_id), status, None, {}))

    @precondition(lambda self: self.waiting)
    @rule()
    def retry(self) -> None:
        self.do(self.machine.retry_due(self.of(self.waiting.pop(0))))

    @precondition(lambda self: not self.finished)
    @rule(really=st.sampled_from([False] * 6 + [True]))
    def cancel(self, really: bool) -> None:
        assume(really)
        self.do(self.machine.cancel())

    @precondition(lambda self: not self.finished)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Only what is stored is left; some of what was running never began."""
        active = ActiveRun("run", self.plan, self.machine, None, "f", 1)  # type: ignore[arg-type]
        rows = [active.row(run) for run in self.machine.runs]
        before = {run.label: run.status for run in self.machine.runs}
        status = self.machine.status
        self.machine = Machine.restore(self.plan, "run", lambda: NOW, self.new_id, rows, status, self.carried)
        assert {run.label: run.status for run in self.machine.runs} == before
        running = [run.id for run in self.machine.in_flight() if run.status in ("RUNNING", "CANCELLING")]
        assert sorted(running) == sorted(self.running)
        self.ready.clear()
        self.waiting.clear()
        self.do(self.machine.resume())
        for run_id in sorted(self.running):
            run = self.of(run_id)
            if run.status == "RUNNING" and data.draw(st.booleans()):
                self.begun.discard((run_id, self.running.pop(run_id)))
                self.do(self.machine.requeue(run))

    @invariant()
    def iterations_are_limited(self) -> None:
        if not hasattr(self, "machine"):
            return
        for state in self.machine.groups.values():
            if state.plan.matrix is not None and state.plan.matrix.max_parallel:
                active = [
                    it
                    for it in state.iterations
                    if any(run.status in ("QUEUED", "RUNNING") for run in it.runs.values())
                ]
                assert len(active) <= state.plan.matrix.max_parallel

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        for _ in range(500):
            if self.finished:
                break
            if self.ready:
                self.do(self.machine.begin(self.of(self.ready.pop(0))))
            elif self.running:
                run_id = sorted(self.running)[0]
                del self.running[run_id]
                self.do(self.machine.ended(self.of(run_id), "SUCCEEDED", None, {}))
            else:
                assert self.waiting, "nothing is under way, and the run has not ended"
                self.do(self.machine.retry_due(self.of(self.waiting.pop(0))))
        assert len(self.finished) == 1, "every run ends, once"
        statuses = [run.status for run in self.machine.runs]
        assert all(run.terminal for run in self.machine.runs)
        assert self.finished[0] == ("CANCELLED" if self.machine.cancelled else worst(statuses))
        assert all(run.status == "SKIPPED" for run in self.machine.runs if not run.task.selected or run.carried)


Model.TestCase.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
TestModel = Model.TestCase
