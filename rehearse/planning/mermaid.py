"""A plan as a Mermaid flowchart, to be pasted where Markdown is read.

Syntax: a label stands in double quotes and may hold anything but those; `#code;` stands for a character. Everything that
means something to Mermaid is written that way, also what it looks for in a whole line: `%%{` directives, the colon of a
style, a Markdown list at the start of a label.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from rehearse.planning.matrix import numbered
from rehearse.planning.outlook import foreseen_skips, here
from rehearse.planning.plan import NOT_HERE, SIMULATED, Plan, PlannedGroup, PlannedTask
from rehearse.planning.preview import Preview, bare

_LABEL = 60  # characters of a name or a condition
_PLAIN = " _,-./='?!…×"
_CLASSES = {
    "simulated": "stroke-dasharray:6 4,stroke:orange",
    "unsupported": "stroke:red,stroke-width:3px",
    "skipped": "stroke-dasharray:2 3,color:gray",
    "carried": "stroke:green,color:gray",
    "unselected": "fill:none,stroke:lightgray,color:gray",
}


def to_mermaid(plan: Plan) -> str:
    """A `flowchart LR` with a subgraph per group. The same plan gives the same text, which ends in a line break."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    skips = foreseen_skips(plan)
    groups = _names("g", [group.id for group in plan.groups])
    tasks = _names("t", [task.id for task in plan.tasks])
    classes: dict[str, list[str]] = {name: [] for name in _CLASSES}
    yield "flowchart LR"
    yield f"    %% {escape(plan.name)} in environment {escape(plan.environment)}"
    for group in plan.groups:
        yield f'    subgraph {groups[group.id]}["{escape(_title(group))}"]'
        previews = plan.previews(group)
        for task in group.tasks:
            facts = _facts(group, task, previews[task.id], skips.get(task.id))
            yield f'        {tasks[task.id]}["{_label(facts)}"]'
            if (kind := _class(task, skips)) is not None:
                classes[kind].append(tasks[task.id])
        for task in group.tasks:
            yield from _edges(tasks, task.depends_on, task)
        yield "    end"
    for group in plan.groups:
        yield from _edges(groups, group.depends_on, group)
    for kind, members in classes.items():
        if members:
            yield f"    classDef {kind} {_CLASSES[kind]}"
            yield f"    class {','.join(members)} {kind}"


def _edges(names: dict[str, str], upstream: Iterable[str], node: PlannedGroup | PlannedTask) -> Iterator[str]:
    """A dotted arrow where a condition decides instead of the success of what is upstream."""
    arrow = "-->" if node.condition is None else "-.->"
    indent = "    " if isinstance(node, PlannedGroup) else "        "
    return (f"{indent}{names[other]} {arrow} {names[node.id]}" for other in upstream)


def _class(task: PlannedTask, skips: dict[str, str]) -> str | None:
    if task.carried:
        return "carried"
    if not task.selected:
        return "unselected"
    if task.id in skips or task.paused:
        return "skipped"
    if not set(task.runs).isdisjoint(NOT_HERE):
        return "unsupported"
    return "simulated" if not set(task.runs).isdisjoint(SIMULATED) else None


def _title(group: PlannedGroup) -> str:
    """On one line, and short: Mermaid makes no room for more above the nodes of a subgraph."""
    if group.matrix is None:
        return group.id
    return f"{group.id}, {'?' if group.iterations is None else group.iterations} × {group.matrix.key}"


def _facts(group: PlannedGroup, task: PlannedTask, previews: list[Preview], skip: str | None) -> Iterator[str]:
    yield task.id
    names = {filled.name for filled in previews} - {task.id}
    if len(names) == 1 and not any("${{" in name for name in names):  # one that holds for every item, and is known
        yield names.pop()
    yield task.job
    conditions = (task.condition, None if task.depends_on else group.condition)
    yield from (f"if {bare(condition)}" for condition in conditions if condition)
    if task.carried:
        yield f"carried, {task.carried}"
    elif not task.selected:
        yield "not selected"
    elif skip:
        yield f"skipped, {skip}"
    elif task.paused:
        yield "paused"
    else:
        yield from here(task)


def _label(facts: Iterable[str]) -> str:
    return "<br/>".join(escape(fact) for fact in facts)


def escape(text: str) -> str:
    """One line of a label: blanks collapsed, shortened, and every character written so that it stands for itself only."""
    line = " ".join(text.split())
    line = line if len(line) <= _LABEL else f"{line[: _LABEL - 1]}…"
    listed = re.match(r"[-+*]|\d+[.)]", line)  # a Markdown list
    start = listed.end() - 1 if listed else -1
    return "".join(_character(char, index == start) for index, char in enumerate(line) if char.isprintable())


def _character(char: str, always: bool) -> str:
    if not always and (char.isalnum() or char in _PLAIN or ord(char) > 0x2FFF):
        return char
    return "#quot;" if char == '"' else f"#{ord(char)};"


def _names(prefix: str, ids: list[str]) -> dict[str, str]:
    """id -> the identifier of its node: the id as far as Mermaid takes it, with a prefix, and all of them different."""
    stems = (f"{prefix}_{re.sub(r'[^A-Za-z0-9]+', '_', node_id)[:40]}" for node_id in ids)
    return dict(zip(ids, numbered(stems, "_"), strict=True))
