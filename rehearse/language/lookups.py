"""Which variable, task or group a node of an expression looks up."""

from __future__ import annotations

from typing import Any

from rehearse.language import syntax


def task_named(node: syntax.Node) -> syntax.Literal | str | None:
    """The key of `tasks[...]` or `orchestra.pipeline_run_tasks[...]`: a literal, or a name after a dot."""
    if not isinstance(node, (syntax.Subscript, syntax.Attribute)):
        return None
    target = node.target
    tasks = is_root(target, "tasks")
    if not tasks and isinstance(target, (syntax.Attribute, syntax.Subscript)) and is_root(target.target, "orchestra"):
        tasks = str(key_of(target)).lower() == "pipeline_run_tasks"
    if not tasks:
        return None
    if isinstance(node, syntax.Attribute):
        return node.name
    return node.key if isinstance(node.key, syntax.Literal) and isinstance(node.key.value, str) else None


def group_named(node: syntax.Node) -> str | None:
    """The key of `task_groups[...]`."""
    if isinstance(node, (syntax.Subscript, syntax.Attribute)) and is_root(node.target, "task_groups"):
        key = key_of(node)
        return key if isinstance(key, str) else None
    return None


def key_text(key: syntax.Literal | str) -> str:
    return key if isinstance(key, str) else str(key.value)


def is_root(node: syntax.Node, name: str) -> bool:
    return isinstance(node, syntax.Name) and node.name == name


def key_of(node: syntax.Attribute | syntax.Subscript) -> Any:
    if isinstance(node, syntax.Attribute):
        return node.name
    return node.key.value if isinstance(node.key, syntax.Literal) else None
