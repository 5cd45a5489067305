"""From a file to a checked pipeline: every problem in one pass, each at its line and column.

Checks and their order: section 12 of the language reference. The issue on the language completes them; those here are what
a run relies on.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import ValidationError

from rehearse.errors import ExpressionError, InvalidPipeline, UsageError
from rehearse.language import catalogue
from rehearse.language import expressions as ex
from rehearse.language.document import Document, Loc, Problem, read_document
from rehearse.language.model import Model, Pipeline, TaskGroupModel, TaskModel

_UNION_TAGS: dict[str, type[Model]] = {"TaskGroupModel": TaskGroupModel, "TaskModel": TaskModel}
_THRESHOLD = re.compile(r"\s*(=|!=|>=|<=|>|<)\s*\d+\s*")
_INPUT_NAME = re.compile(r"[A-Za-z_]\w*")
_PYTHON_OF_INPUT = {"string": str, "number": (int, float), "boolean": bool, "dict": dict, "list": list}


@dataclass(frozen=True)
class LoadedPipeline:
    """A valid file: its path as given, text as read (the snapshot of a run), model, and warnings."""

    file: str
    text: str
    pipeline: Pipeline
    warnings: list[Problem]

    @property
    def alias(self) -> str:
        return Path(self.file).stem


def load_pipeline(path: Path) -> LoadedPipeline:
    """Read and check one file.

    Raises UsageError when there is no such file, InvalidPipeline with every problem otherwise.
    """
    if not path.is_file():
        near = [str(p) for p in sorted(path.parent.glob("*.y*ml"))] if path.parent.is_dir() else []
        close = difflib.get_close_matches(str(path), near, 1, 0.5)
        hint = f"did you mean {close[0]}?" if close else "the pipelines of this repository are in orchestra/"
        raise UsageError(f"there is no pipeline file {path}", hint)
    doc = read_document(path)
    pipeline, problems = check(doc)
    errors = [p for p in problems if p.severity == "error"]
    if errors or pipeline is None:
        raise InvalidPipeline(problems)
    return LoadedPipeline(str(path), doc.text, pipeline, problems)


def check(doc: Document) -> tuple[Pipeline | None, list[Problem]]:
    """The model, or None, and the problems in the order in which they stand in the file."""
    problems = list(doc.problems)
    pipeline: Pipeline | None = None
    if doc.value is not None:
        try:
            pipeline = Pipeline.model_validate(doc.value)
        except ValidationError as e:
            problems += [_model_problem(doc, error) for error in e.errors(include_url=False)]
        else:
            problems += _Rules(doc, pipeline).problems()
    return pipeline, sorted(problems, key=lambda p: p.position)


def _model_problem(doc: Document, error: Any) -> Problem:
    loc: Loc = tuple(part for part in error["loc"] if part not in _UNION_TAGS)
    kind, message, hint = error["type"], error["msg"], None
    if kind == "extra_forbidden":
        message = f"unknown key '{loc[-1]}'"
        hint = _did_you_mean(str(loc[-1]), _fields_at(error["loc"][:-1]))
        return doc.problem(loc, message, kind, hint, key=True)
    if kind == "missing":
        message = f"'{loc[-1]}' is required here"
        return doc.problem(loc[:-1], message, kind, key=True)
    if kind == "literal_error":
        expected = error.get("ctx", {}).get("expected", "")
        hint = _did_you_mean(str(error["input"]), re.findall(r"'([^']+)'", expected)) or f"one of {expected}"
        return doc.problem(loc, f"'{error['input']}' is not allowed for '{loc[-1]}'", "enum", hint)
    if kind == "string_type":
        hint = f"quote it: '{error['input']}'" if isinstance(error["input"], (int, float, bool)) else None
        message = f"'{loc[-1]}' must be text, not {catalogue.kind_of(error['input'])}"
    return doc.problem(loc, message, kind, hint)


def _fields_at(loc: Loc) -> Iterable[str]:
    """The keys that the model knows at `loc` (as pydantic words it, union tags included)."""
    current: Any = Pipeline
    for part in loc:
        if part in _UNION_TAGS:
            current = _UNION_TAGS[str(part)]
        elif get_origin(current) in (list, dict):
            current = get_args(current)[-1]
        else:
            field = next(_models_in(current)).model_fields.get(str(part))
            current = field.annotation if field else None
    return next((model.model_fields for model in _models_in(current)), ())


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _did_you_mean(word: str, known: Iterable[str]) -> str | None:
    names = list(known)
    folded = {name.lower(): name for name in names}
    close = difflib.get_close_matches(word.lower(), folded, 1, 0.6)
    return f"did you mean '{folded[close[0]]}'?" if close else None


def _names_tasks(node: ex.Name | ex.Attribute) -> bool:
    """`tasks`, or `orchestra.pipeline_run_tasks`."""
    if isinstance(node, ex.Name):
        return node.name == "tasks"
    return (
        node.name.lower() == "pipeline_run_tasks"
        and isinstance(node.target, ex.Name)
        and node.target.name == "orchestra"
    )


class _Rules:
    """The rules that a model of types alone cannot express."""

    def __init__(self, doc: Document, pipeline: Pipeline):
        self.doc = doc
        self.pipeline = pipeline
        self.found: list[Problem] = []
        self.group_ids = {n.lower() for n, node in pipeline.pipeline.items() if isinstance(node, TaskGroupModel)}
        self.task_ids = {task_id.lower() for group in pipeline.groups().values() for task_id in group.tasks}

    def problems(self) -> list[Problem]:
        self._ids()
        self._edges(("pipeline",), {n: node.depends_on for n, node in self.pipeline.pipeline.items()})
        for node_id, node in self.pipeline.pipeline.items():
            loc: Loc = ("pipeline", node_id)
            if isinstance(node, TaskModel):
                self._task(loc, node, None)
                continue
            self._edges((*loc, "tasks"), {t: task.depends_on for t, task in node.tasks.items()})
            key = self._matrix(loc, node)
            self._condition((*loc, "condition"), node.condition, None)
            for task_id, task in node.tasks.items():
                self._task((*loc, "tasks", task_id), task, key)
        self._inputs()
        self._schedules()
        return self.found

    def add(self, loc: Loc, message: str, type: str = "value_error", hint: str | None = None, **more: Any) -> None:
        self.found.append(self.doc.problem(loc, message, type, hint, **more))

    def _ids(self) -> None:
        seen: dict[str, str] = {}
        for node_id, node in self.pipeline.pipeline.items():
            tasks = node.tasks if isinstance(node, TaskGroupModel) else {}
            for loc, name in [
                (("pipeline", node_id), node_id),
                *((("pipeline", node_id, "tasks", t), t) for t in tasks),
            ]:
                if name.lower() in seen:
                    self.add(
                        loc,
                        f"the id '{name}' is used twice; ids are unique in the whole pipeline",
                        "duplicate_id",
                        key=True,
                    )
                seen[name.lower()] = name

    def _edges(self, loc: Loc, edges: dict[str, list[str]]) -> None:
        for name, targets in edges.items():
            for index, target in enumerate(targets):
                at = (*loc, name, "depends_on", index)
                if target == name:
                    self.add(at, f"'{name}' depends on itself")
                elif target not in edges:
                    level = "task groups" if loc == ("pipeline",) else "tasks of the same group"
                    hint = _did_you_mean(target, edges) or f"depends_on names {level}"
                    self.add(at, f"there is no '{target}' to depend on", hint=hint)
        known = {name: [t for t in targets if t in edges and t != name] for name, targets in edges.items()}
        try:
            TopologicalSorter(known).prepare()
        except CycleError as e:
            cycle = e.args[1]
            self.add((*loc, cycle[0], "depends_on"), f"these wait for each other: {' -> '.join(cycle)}", "cycle")

    def _matrix(self, loc: Loc, node: TaskGroupModel) -> str | None:
        if node.matrix is None:
            return None
        keys = list(node.matrix.inputs)
        at = (*loc, "matrix", "inputs")
        if len(keys) > 1:
            self.add((*at, keys[1]), f"a matrix has exactly one key, this one has {len(keys)}", key=True)
        value = node.matrix.inputs[keys[0]]
        if isinstance(value, str) and "${{" not in value:
            self.add((*at, keys[0]), "the matrix values are a list, or an expression that gives one", "list_type")
        self._expressions((*at, keys[0]), value, None)
        return keys[0].lower()

    def _task(self, loc: Loc, task: TaskModel, matrix_key: str | None) -> None:
        self._condition((*loc, "condition"), task.condition, matrix_key)
        for name in ("name", "connection"):
            self._expressions((*loc, name), getattr(task, name), matrix_key)
        self._expressions((*loc, "parameters"), task.parameters, matrix_key)
        if task.integration not in catalogue.JOBS_BY_INTEGRATION:
            hint = _did_you_mean(task.integration, catalogue.INTEGRATIONS)
            self.add((*loc, "integration"), f"unknown integration '{task.integration}'", "enum", hint)
            return
        jobs = catalogue.JOBS_BY_INTEGRATION[task.integration]
        if task.integration_job not in jobs:
            owner = catalogue.INTEGRATION_OF.get(task.integration_job)
            hint = (
                f"it belongs to {owner}"
                if owner
                else _did_you_mean(task.integration_job, jobs) or f"one of {', '.join(jobs)}"
            )
            self.add((*loc, "integration_job"), f"{task.integration} has no job '{task.integration_job}'", "enum", hint)
            return
        self._parameters(loc, task)

    def _parameters(self, loc: Loc, task: TaskModel) -> None:
        schema = catalogue.PARAMETERS.get(task.integration_job)
        if schema is None:
            return
        at = (*loc, "parameters")
        for name, value in task.parameters.items():
            if name not in schema:
                self.add((*at, name), f"{task.integration_job} has no parameter '{name}'", "extra_forbidden",
                         _did_you_mean(name, schema), key=True)  # fmt: skip
            elif value is not None:
                self._parameter((*at, name), name, value, schema[name])
        required = {name for name, parameter in schema.items() if parameter.required}
        if task.integration_job == "PYTHON_EXECUTE_SCRIPT":
            required.add("code" if task.parameters.get("source") == "INLINE" else "command")
        for name in sorted(required - {n for n, v in task.parameters.items() if v is not None}):
            self.add(at, f"{task.integration_job} needs the parameter '{name}'", "missing", key=True)
        command = str(task.parameters.get("command") or "").strip()
        if (
            command
            and task.integration_job == "PYTHON_EXECUTE_SCRIPT"
            and command.split()[0] not in ("python", "poetry", "uv")
        ):
            self.add((*at, "command"), "the command must start with python, poetry or uv",
                     hint="shell lines belong into build_command")  # fmt: skip
        if "${{" in str(task.parameters.get("build_command") or ""):
            self.add((*at, "build_command"), "build_command is given to a shell, so it may not contain an expression",
                     hint="pass the value through environment_variables")  # fmt: skip

    def _parameter(self, loc: Loc, name: str, value: Any, parameter: catalogue.Parameter) -> None:
        kind = catalogue.kind_of(value)
        if kind == "text" and parameter.threshold:
            if not _THRESHOLD.fullmatch(value):
                self.add(loc, "Invalid threshold expression format", hint="an operator and a whole number: '> 0'")
            return
        if kind == "text" and "${{" in value:
            return  # typed only once it is evaluated
        if parameter.kind == "json":
            self._json(loc, name, value)
        elif parameter.kind not in ("any", kind):
            hint = f"quote it: '{value}'" if parameter.kind == "text" and kind in ("number", "bool") else None
            self.add(loc, f"'{name}' must be {parameter.kind}, not {kind}", f"{parameter.kind}_type", hint)
        elif parameter.options and value not in parameter.options:
            hint = _did_you_mean(value, parameter.options) or f"one of {', '.join(parameter.options)}"
            self.add(loc, f"'{value}' is not allowed for '{name}'", "enum", hint)

    def _json(self, loc: Loc, name: str, value: Any) -> None:
        if not isinstance(value, str):
            self.add(loc, f"'{name}' is text that holds JSON, not a YAML {catalogue.kind_of(value)}", "string_type",
                     "put it in quotes, or under '|' as JSON")  # fmt: skip
            return
        try:
            json.loads(value)
        except ValueError as e:
            self.add(loc, f"'{name}' does not hold valid JSON: {e}", "json_invalid")

    def _condition(self, loc: Loc, text: str | None, matrix_key: str | None) -> None:
        if text is not None:
            try:
                self._names(loc, ex.parse_condition(text), matrix_key)
            except ExpressionError as e:
                self._expression_problem(loc, text, e)

    def _expressions(self, loc: Loc, value: Any, matrix_key: str | None) -> None:
        if isinstance(value, str) and "${{" in value:
            try:
                self._names(loc, ex.parse_template(value), matrix_key)
            except ExpressionError as e:
                self._expression_problem(loc, value, e)
        elif isinstance(value, dict):
            for key, item in value.items():
                self._expressions((*loc, key), item, matrix_key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._expressions((*loc, index), item, matrix_key)

    def _expression_problem(self, loc: Loc, text: str, e: ExpressionError) -> None:
        near = text[e.offset : e.offset + 20].splitlines()
        where = f" at '{near[0].strip()}'" if near and near[0].strip() else ""
        self.add(loc, f"expression: {e}{where}", "expression", e.hint)

    def _names(self, loc: Loc, template: ex.Template, matrix_key: str | None) -> None:
        for _, root in template.nodes:
            for node in ex.walk(root):
                self._reference(loc, node, matrix_key)

    def _reference(self, loc: Loc, node: ex.Node, matrix_key: str | None) -> None:
        if isinstance(node, ex.Name) and node.name == "matrix" and matrix_key is None:
            self.add(loc, "MATRIX is only available inside a task group that has a matrix", "expression")
        if not isinstance(node, (ex.Subscript, ex.Attribute)) or not isinstance(node.target, (ex.Name, ex.Attribute)):
            return
        key = node.name if isinstance(node, ex.Attribute) else getattr(node.key, "value", None)
        if not isinstance(key, str):
            return
        target = node.target.name.lower()
        if isinstance(node.target, ex.Name) and target == "matrix" and matrix_key not in (None, key.lower()):
            self.add(loc, f"the matrix has no key '{key}'", "expression", f"its key is '{matrix_key}'")
        elif isinstance(node.target, ex.Name) and target == "task_groups" and key.lower() not in self.group_ids:
            self.add(loc, f"there is no task group '{key}'", "expression", _did_you_mean(key, self.group_ids))
        elif _names_tasks(node.target) and key.lower() not in self.task_ids:
            self.add(loc, f"there is no task '{key}'", "expression", _did_you_mean(key, self.task_ids))
        elif isinstance(node.target, ex.Name) and target == "inputs":
            declared = {name.lower() for name in self.pipeline.inputs}
            if key.lower() not in declared:
                self.add(
                    loc,
                    f"the input '{key}' is not declared",
                    "expression",
                    _did_you_mean(key, declared),
                    severity="warning",
                )

    def _inputs(self) -> None:
        for name, declared in self.pipeline.inputs.items():
            loc: Loc = ("inputs", name)
            if not _INPUT_NAME.fullmatch(name):
                self.add(loc, f"'{name}' is not an input name", hint="letters, digits and underscores", key=True)
            default = declared.default
            if isinstance(default, str) and "${{" in default:
                self._expressions((*loc, "default"), default, None)
            elif default is not None:
                wanted: Any = _PYTHON_OF_INPUT[declared.type]
                wrong_bool = isinstance(default, bool) and declared.type != "boolean"
                if not isinstance(default, wanted) or wrong_bool:
                    self.add((*loc, "default"), f"the default is not a {declared.type}", "value_error")
                elif declared.options and default not in declared.options:
                    self.add((*loc, "default"), f"the default '{default}' is not one of the options")

    def _schedules(self) -> None:
        needed = [n for n, i in self.pipeline.inputs.items() if not i.optional and i.default in (None, "")]
        for index, schedule in enumerate(self.pipeline.schedule):
            fields = len(schedule.cron.split())
            if fields != 6:
                self.add(("schedule", index, "cron"), f"Incorrect number of values in the cron: 6 required, {fields} provided",
                         hint="minute hour day-of-month month day-of-week year")  # fmt: skip
            for name in needed:
                if name not in schedule.run_inputs:
                    self.add(("schedule", index), f"Input '{name}' is required but is not present in schedule inputs")
