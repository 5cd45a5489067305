"""`rehearse plan`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rehearse.cli.common import Environment, File, Inputs, Json, prepare

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings
    from rehearse.planning.plan import Plan, PlannedGroup, PlannedTask


def plan(file: File, inputs: Inputs = None, environment: Environment = None, as_json: Json = False) -> None:
    """Show what a run would do, without doing anything."""
    from rehearse.cli.output import print_json, show_problem

    made, bindings, warnings = prepare(file, inputs, environment)
    for warning in warnings:
        show_problem(warning)
    if as_json:
        print_json(_as_dict(made, bindings))
    else:
        _print_tree(made, bindings)


def _how(task: PlannedTask, bindings: Bindings) -> str:
    from rehearse.errors import BindingError
    from rehearse.jobs.registry import how

    named = task.connection if task.connection and "${{" not in task.connection else None
    try:
        return how(task.job, bindings.connection(task.integration, named))
    except BindingError:
        return "unknown connection"


def _as_dict(plan: Plan, bindings: Bindings) -> dict[str, Any]:
    def group(g: PlannedGroup) -> dict[str, Any]:
        matrix = g.matrix and {
            "key": g.matrix.key, "items": g.matrix.items and list(g.matrix.items), "max_parallel": g.matrix.max_parallel,
        }  # fmt: skip
        tasks = [
            {
                "id": t.id, "name": t.name, "integration": t.integration, "integration_job": t.job,
                "depends_on": list(t.depends_on), "condition": t.condition, "runs": _how(t, bindings),
            }
            for t in g.tasks
        ]  # fmt: skip
        return {
            "id": g.id,
            "depends_on": list(g.depends_on),
            "condition": g.condition,
            "matrix": matrix,
            "tasks": tasks,
        }

    return {
        "schema_version": 1, "pipeline": plan.alias, "name": plan.name, "file": plan.file, "environment": plan.environment,
        "inputs": plan.inputs, "groups": [group(g) for g in plan.groups],
    }  # fmt: skip


def _print_tree(plan: Plan, bindings: Bindings) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from rehearse.planning.plan import item_key

    inputs = ", ".join(f"{name}={value!r}" for name, value in plan.inputs.items())
    tree = Tree(Text.assemble((plan.name, "bold"), f"  ({plan.file}, environment {plan.environment})"))
    tree.add(Text(f"inputs: {inputs or 'none'}", "dim"))
    for group in plan.groups:
        after = f" after {', '.join(group.depends_on)}" if group.depends_on else ""
        when = f" if {group.condition.removeprefix('${{').removesuffix('}}').strip()}" if group.condition else ""
        branch = tree.add(Text.assemble((group.id, "bold cyan"), after, (when, "yellow")))
        if group.matrix:
            items = "known at run time" if group.matrix.items is None else ", ".join(map(item_key, group.matrix.items))
            count = "?" if group.matrix.items is None else len(group.matrix.items)
            branch.add(Text(f"for each {group.matrix.key} ({count}): {items}", "dim"))
        for task in group.tasks:
            mode = _how(task, bindings)
            note = {"local": "", "stub": "  simulated (stub)", "unsupported": "  cannot run here"}.get(
                mode, f"  {mode}"
            )
            upstream = f" after {', '.join(task.depends_on)}" if task.depends_on else ""
            branch.add(Text.assemble(task.id, (f"  {task.job}", "dim"), upstream, (note, "yellow")))
    console = Console(highlight=False)
    console.width = console.width if console.is_terminal else 500  # a pipe has no edge to wrap at
    console.print(tree, soft_wrap=not console.is_terminal)
