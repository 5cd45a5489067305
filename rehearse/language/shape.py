"""The document against the model: unknown keys, missing keys, wrong types, each at its place and with a suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal, NamedTuple, get_args, get_origin

from pydantic import ValidationError
from pydantic.alias_generators import to_camel

from rehearse.language.document import Document
from rehearse.language.model import MODEL_NAMES, UNION_TAGS, Model, Pipeline
from rehearse.language.parameters import kind_of
from rehearse.language.positions import Mark
from rehearse.language.problems import Loc, Problem
from rehearse.language.words import did_you_mean

MAX_PROBLEMS = 300  # of one file's shape: looking for what each key may have meant takes time
_RANGE = re.compile(r"too_short|too_long|greater|less|multiple")
_ELSEWHERE = {  # key at a wrong place -> what to do instead
    "matrix": "a matrix belongs on a task group",
    "tasks": "tasks belong into a task group under 'pipeline'",
    "env": "variables belong into an environment, and are read as ENV.NAME",
    "secrets": "secrets belong into a connection",
    "connections": "connections are not defined in the YAML; rehearse.toml says what they mean here",
    "description": "put notes under 'meta' of the pipeline",
    "configuration": "a configuration belongs on a task or on the pipeline",
    "connection": "a connection belongs on a task",
    "treat_failure_as_warning": "treat_failure_as_warning belongs on a task",
    "alerts": "alerts belong on a task, a sensor or the pipeline",
    "tags": "tags belong on tasks",
    "enabled": "only 'webhook' can be enabled; pause a schedule on the platform",
    "max_active_runs": "write configuration: {concurrency: {max_active: 1}}",
    "max_concurrent_tasks": "limit a matrix by max_parallel",
    "retry_policy": "write configuration: {retries: 2, retry_delay: 1}",
}


class _Child(NamedTuple):
    shape: Literal["one", "list", "map"]
    models: tuple[type[Model], ...]


def check_shape(doc: Document) -> tuple[Pipeline | None, list[Problem]]:
    """The model of the document, or None, and what is wrong with its shape. Spells the document in snake_case."""
    assert doc.value is not None
    problems: list[Problem] = []
    _list_of_sensors(doc, problems)
    _spell(doc, doc.value, doc.marks, Pipeline, (), problems)
    try:
        return Pipeline.model_validate(doc.value), problems
    except ValidationError as e:
        errors = e.errors(include_url=False)
        problems += _without_consequences([_problem(doc, error) for error in errors[:MAX_PROBLEMS]])
        if len(errors) > MAX_PROBLEMS:
            problems.append(doc.problem("too-large", (), f"{len(errors) - MAX_PROBLEMS:,} more mistakes are not shown"))
        return None, problems


def _list_of_sensors(doc: Document, problems: list[Problem]) -> None:
    """The old list form becomes the mapping that it is today."""
    assert doc.value is not None
    sensors, mark = doc.value.get("sensors"), doc.marks.items and doc.marks.items.get("sensors")
    if not isinstance(sensors, list) or not sensors or not mark:
        return
    hint = "write a mapping of sensor ids to sensors"
    problems.append(doc.problem("sensors-list", ("sensors",), "sensors are written as a list", hint, key=True))
    names: list[str] = []
    for number, sensor in enumerate(sensors, 1):
        name = str(sensor.get("name") if isinstance(sensor, dict) else number)
        names.append(name if name not in names else f"{name} #{number}")
    doc.value["sensors"] = dict(zip(names, sensors, strict=True))
    mark.items = {name: (mark.items or {})[n] for n, name in enumerate(names)}


def _spell(doc: Document, value: Any, mark: Mark | None, model: type[Model], loc: Loc, problems: list[Problem]) -> None:
    """Rename the camelCase keys of model fields, in the values and in the marks; what is inside parameters stays."""
    if not isinstance(value, dict) or mark is None or mark.items is None:
        return
    spellings, children = _fields(model)
    for key in [key for key in value if key in spellings]:
        name = spellings[key]
        if name in value:
            message = f"'{key}' and '{name}' are the same field"
            problems.append(doc.problem("spelled-twice", (*loc, key), message, f"keep '{name}'", key=True))
            del value[key]
        else:
            value[name] = value.pop(key)
            if key in mark.items:
                mark.items[name] = mark.items.pop(key)
    for name, child in children.items():
        inner = value.get(name)
        inner_mark = mark.items.get(name)
        if inner is None or inner_mark is None:
            continue
        keys: Iterable[Any] = ()
        if child.shape == "one":
            _spell(doc, inner, inner_mark, child.models[0], (*loc, name), problems)
        elif child.shape == "list" and isinstance(inner, list):
            keys = range(len(inner))
        elif child.shape == "map" and isinstance(inner, dict):
            keys = list(inner)
        for key in keys:
            item = inner[key]
            _spell(doc, item, (inner_mark.items or {}).get(key), _member(child, item), (*loc, name, key), problems)


def _member(child: _Child, value: Any) -> type[Model]:
    """The model of a value: the only one, or the one that the union of nodes takes it for."""
    return child.models[0 if len(child.models) == 1 or (isinstance(value, dict) and "tasks" in value) else 1]


@cache
def _fields(model: type[Model]) -> tuple[dict[str, str], dict[str, _Child]]:
    """camelCase -> snake_case of the fields that have both, and the fields that hold further models."""
    spellings = {to_camel(name): name for name in model.model_fields if "_" in name}
    children = {}
    for name, field in model.model_fields.items():
        if models := tuple(_models_in(field.annotation)):
            children[name] = _Child(_shape_of(field.annotation), models)
    return spellings, children


def _shape_of(annotation: Any) -> Literal["one", "list", "map"]:
    if get_origin(annotation) is list:
        return "list"
    if get_origin(annotation) is dict:
        return "map"
    return next((shape for arg in get_args(annotation) if (shape := _shape_of(arg)) != "one"), "one")


def _models_in(annotation: Any) -> Iterator[type[Model]]:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
        return
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _without_consequences(problems: list[Problem]) -> list[Problem]:
    """A key that is misspelt is not also missing."""
    meant = {(*problem.loc[:-1], (problem.hint or "").removeprefix("did you mean '").removesuffix("'?"))
             for problem in problems if problem.code == "unknown-key"}  # fmt: skip
    return [problem for problem in problems if problem.code != "missing" or problem.loc not in meant]


def _problem(doc: Document, error: Any) -> Problem:
    """pydantic's error in our words; its own words are kept for the platform's endpoint."""
    loc: Loc = tuple(part for n, part in enumerate(error["loc"]) if not (n == 2 and part in UNION_TAGS))
    kind, msg, value = error["type"], error["msg"], error["input"]
    name = _name(loc)
    if kind == "extra_forbidden":
        known = _keys_at(error["loc"][:-1])
        hint = _ELSEWHERE.get(str(loc[-1])) or did_you_mean(str(loc[-1]), known) or f"known here: {', '.join(known)}"
        return doc.problem("unknown-key", loc, f"unknown key {name}", hint, key=True, type=kind, msg=msg)
    if kind == "missing":
        return doc.problem("missing", loc, f"{name} is required here", key=True, type=kind, msg=msg)
    if kind in ("literal_error", "enum"):
        expected = re.findall(r"'([^']+)'", error["ctx"]["expected"])
        hint = did_you_mean(str(value), expected) or f"one of {', '.join(expected)}"
        said = f"'{value}'" if isinstance(value, (str, int, float)) else kind_of(value)
        return doc.problem("wrong-value", loc, f"{said} is not allowed for {name}", hint, type="enum", msg=msg)
    if _RANGE.search(kind):
        said = re.sub(r"^(Input|String|List|Dictionary) | after validation", "", msg)
        return doc.problem("out-of-range", loc, f"{name} {said}", type=kind, msg=msg)
    wanted = {"string": "text", "dict": "a mapping", "model": "a mapping", "list": "a list", "bool": "true or false",
              "int": "a whole number"}.get(kind.split("_")[0], msg)  # fmt: skip
    said = str(value) if wanted == "a whole number" and isinstance(value, float) else _article(kind_of(value))
    message = f"{name} must be {wanted}, not {said}"
    return doc.problem("wrong-type", loc, message, _type_hint(doc, loc, wanted, value), type=kind, msg=msg)


def _name(loc: Loc) -> str:
    if not loc:
        return "the pipeline"
    if isinstance(loc[-1], int):
        return f"an item of {_name(loc[:-1])}"
    return f"'{loc[-1]}'"


def _article(kind: str) -> str:
    return {
        "bool": "true or false",
        "int": "a number",
        "number": "a number",
        "list": "a list",
        "dict": "a mapping",
    }.get(kind, kind)


def _type_hint(doc: Document, loc: Loc, wanted: str, value: Any) -> str | None:
    written = doc.written(loc)
    if wanted == "text" and isinstance(value, (bool, int, float)):
        read = str(value).lower() if isinstance(value, bool) else str(value)
        return f"{'' if written == read else f'YAML reads {written} as {read}; '}quote it: '{written}'"
    if wanted == "a list" and isinstance(value, str):
        return f"write [{value}]"
    if wanted == "a whole number" and isinstance(value, str):
        if value.isdigit():
            return f"without quotes: {value}"
        return "a number of seconds" if loc[-1] == "timeout" else None
    if wanted == "true or false" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"without quotes: {value.lower()}"
    return None


def _keys_at(loc: Loc) -> list[str]:
    """The keys that the model knows at `loc` (as pydantic words it, union tags included)."""
    current: Any = Pipeline
    for part in loc:
        if part in UNION_TAGS and _is_union(current):
            current = UNION_TAGS[str(part)]
        elif get_origin(current) in (list, dict):
            current = get_args(current)[-1]
        else:
            model = next(_models_in(current))
            field = model.model_fields.get(str(part))
            container = field.annotation if field else None
            while container is not None and get_origin(container) not in (list, dict, None):
                container = next((a for a in get_args(container) if next(_models_in(a), None)), None)
            current = container
    return list(next((model.model_fields for model in _models_in(current)), {}))


def _is_union(annotation: Any) -> bool:
    return sum(1 for _ in _models_in(annotation)) > 1


def keys_used(doc: Document) -> Iterator[tuple[str, Any]]:
    """Every key of a model that a document (spelled in snake_case) uses, as `schedule.cron`, with its value."""
    yield from _keys_used(doc.value, Pipeline)


def _keys_used(value: Any, model: type[Model]) -> Iterator[tuple[str, Any]]:
    children = _fields(model)[1]
    for name, inner in value.items() if isinstance(value, dict) else ():
        yield f"{MODEL_NAMES[model]}.{name}", inner
        if (child := children.get(name)) is None:
            continue
        items = [inner] if child.shape == "one" else inner if isinstance(inner, list) else list((inner or {}).values())
        for item in items:
            yield from _keys_used(item, _member(child, item))
