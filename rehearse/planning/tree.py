"""A plan for people: lines in a tree, with the styles that rich knows. Whoever prints it makes the text printable."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rehearse.planning.matrix import item_keys
from rehearse.planning.outlook import foresee, foreseen_skips, here
from rehearse.planning.plan import Plan, PlannedGroup, PlannedMatrix, PlannedTask
from rehearse.planning.preview import Preview, bare

ITEMS = 8
"""Of a longer matrix, inputs or list of tasks, the first ones are shown."""
LINES = 12
"""Of a longer parameter, the first lines are shown."""
WIDTH = 100
"""Of a longer value or line, the first characters are shown."""

Span = tuple[str, str]
"""Text and its style."""


@dataclass(frozen=True)
class Branch:
    """A line, or with a parameter's value several, and what stands under it."""

    spans: tuple[Span, ...]
    below: tuple[Branch, ...] = ()

    @property
    def text(self) -> str:
        return "".join(text for text, _ in self.spans)


def to_tree(plan: Plan, verbose: bool = False) -> Branch:
    """The groups and tasks in the order of the file; `verbose` adds parameters, filled in as far as they are known."""
    return _Drawing(plan, verbose).pipeline()


def summary(plan: Plan) -> list[Span]:
    """The lines under the tree: how much there is, and by name what will not be done for real."""
    chosen, total = sum(task.selected for task in plan.tasks), len(plan.tasks)
    count = _count(total, "task") if chosen == total else f"{chosen} of {_count(total, 'task')}"
    outlook = foresee(plan)
    if outlook.task_runs is None:
        count += "; how many task runs that is, only the run can tell"
    elif outlook.task_runs != chosen:
        count += f"; {_count(outlook.task_runs, 'task run')}"
    simulated, missing = ([_line(task.id) for task in tasks] for tasks in (outlook.simulated, outlook.not_here))
    facts = [f"simulated: {', '.join(simulated)}"] if simulated else []
    facts += [f"cannot run here: {', '.join(missing)}"] if missing else []
    return [(count, "dim"), *([("; ".join(facts), "yellow")] if facts else [])]


class _Drawing:
    def __init__(self, plan: Plan, verbose: bool):
        self.plan = plan
        self.verbose = verbose
        self.skips = foreseen_skips(plan)
        self.shared = _shared_settings(plan)

    def pipeline(self) -> Branch:
        plan = self.plan
        title = ((_line(plan.name), "bold"), (f"  {_line(plan.file)}, environment {_line(plan.environment)}", ""))
        inputs = ", ".join(f"{_line(name)}={_value(value)}" for name, value in plan.shown_inputs.items())
        facts = [f"inputs: {inputs or 'none'}"]
        if plan.max_active:
            facts.append(f"at most {_count(plan.max_active, 'run')} at the same time")
        if self.shared:
            facts.append(f"every task: {', '.join(self.shared)}")
        return Branch(title, (*(Branch(((fact, "dim"),)) for fact in facts), *map(self.group, plan.groups)))

    def group(self, group: PlannedGroup) -> Branch:
        name = f"  {_line(group.name, cut=True)}" if group.name else ""
        style = "bold cyan" if any(task.selected for task in group.tasks) else "dim"
        spans = [(_line(group.id), style), *_after(group.depends_on), (name, "dim")]
        if group.paused:
            spans.append(("  paused", "yellow"))
        below = _if(group.condition)
        below += [Branch((_matrix(group.matrix),))] if group.matrix else []
        previews = self.plan.previews(group)
        tasks = [self.task(task, previews[task.id], group.paused) for task in group.tasks]
        if group.is_standalone:  # one line says it all
            spans += tasks[0].spans[1:]
            tasks = list(tasks[0].below)
        return Branch(tuple(spans), (*below, *tasks))

    def task(self, task: PlannedTask, previews: list[Preview], in_paused: bool) -> Branch:
        settings = ", ".join(setting for setting in _settings(task) if setting not in self.shared)
        spans = [
            (_line(task.id), "bold" if task.selected and task.id not in self.skips else "dim"), (f"  {task.job}", "dim"),
            *_after(task.depends_on), (f"  {settings}" if settings else "", "dim"),
        ]  # fmt: skip
        if task.carried:
            spans.append((f"  carried: {task.carried}", "green"))
        elif not task.selected:
            spans.append(("  not selected", "dim"))
        elif task.id in self.skips:
            spans.append((f"  will be skipped: {_line(self.skips[task.id])}", "yellow"))
        elif task.paused and not in_paused:
            spans.append(("  paused", "yellow"))
        below = _if(task.condition)
        if not task.is_executed or task.id in self.skips:
            return Branch(tuple(spans), tuple(below))
        connections = dict.fromkeys(filled.connection for filled in previews if filled.connection)
        named = f": {_some([_line(name) for name in connections])}" if connections else ""
        spans += [(f"  {fact}{named if 'connection' in fact else ''}", "yellow") for fact in here(task)]
        problems = dict.fromkeys(problem for filled in previews for problem in filled.problems)
        below += [Branch(((f"will fail: {_line(problem)}", "red"),)) for problem in problems]
        if self.verbose and previews:
            below += _parameters(previews[0])
        return Branch(tuple(spans), tuple(below))


def _after(depends_on: Sequence[str]) -> list[Span]:
    return [(f"  after {', '.join(map(_line, depends_on))}", "")] if depends_on else []


def _if(condition: str | None) -> list[Branch]:
    return [Branch(((f"if {_line(bare(condition))}", "magenta"),))] if condition else []


def _matrix(matrix: PlannedMatrix) -> Span:
    each = f"for each {_line(matrix.key)}"
    if matrix.problem:
        return f"{each}: will fail: {_line(matrix.problem)}", "red"
    rules = [f"at most {matrix.max_parallel} at once"] if matrix.max_parallel and not matrix.sequential else []
    rules += ["one after another"] if matrix.sequential else []
    rules += ["going on after a failure"] if matrix.continue_on_error else []
    if matrix.shown is None:
        source = (
            f"out of {', '.join(map(_line, matrix.waits_for))}" if matrix.waits_for else _value(matrix.shown_source)
        )
        return f"{each} ({', '.join(['known at run time', *rules])}): {source}", "dim"
    keys = item_keys(matrix.shown)
    return (
        f"{each} ({', '.join([f'{len(keys):,}', *rules])}): {_some([_line(key) for key in keys]) or 'nothing'}",
        "dim",
    )


def _some(names: list[str]) -> str:
    if len(names) <= ITEMS:
        return ", ".join(names)
    return f"{', '.join(names[: ITEMS - 1])}, ... and {len(names) - ITEMS + 1:,} more"


def _settings(task: PlannedTask) -> Iterator[str]:
    if task.retries:
        delay = f", {task.retry_delay_minutes} min apart" if task.retry_delay_minutes else ""
        yield (f"{task.retries} retries" if task.retries > 1 else "1 retry") + delay
    if task.timeout_seconds:
        yield f"timeout {_seconds(task.timeout_seconds)}"
    if task.treat_failure_as_warning:
        yield "a failure counts as a warning"


def _shared_settings(plan: Plan) -> list[str]:
    """What is said once instead of at each task: the settings that all of several tasks have."""
    tasks = plan.tasks
    return (
        [setting for setting in _settings(tasks[0]) if all(setting in _settings(t) for t in tasks)] if tasks[1:] else []
    )


def _parameters(filled: Preview) -> Iterator[Branch]:
    if filled.item is not None:
        yield Branch(((f"for example {_line(filled.item)}:", "dim"),))
    for name, value in filled.parameters.items():
        place = f"parameters.{name}"
        is_open = any(at == place or at.startswith((f"{place}.", f"{place}[")) for at in filled.dynamic)
        mark = (" (in part known at run time)" if is_open else "", "dim")
        lines = [_line(line, cut=True) for line in (value if isinstance(value, str) else _value(value)).splitlines()]
        if len(lines) > LINES:
            lines[LINES:] = [f"... and {_count(len(lines) - LINES, 'more line')}"]
        text = "".join(lines) if len(lines) < 2 else "".join(f"\n  {line}" for line in lines)
        yield Branch(((_line(name), "blue"), mark, (f": {text}", "")))


def _value(value: Any) -> str:
    """On one line: text in quotes, lists and dicts as JSON."""
    text = json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, (list, dict)) else repr(value)
    return _line(text, cut=True)


def _line(text: str, cut: bool = False) -> str:
    text = " ".join(text.expandtabs(4).splitlines())
    return f"{text[: WIDTH - 3]}..." if cut and len(text) > WIDTH else text


def _seconds(seconds: int) -> str:
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds % size == 0:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
