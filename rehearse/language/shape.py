"""The document against the model: unknown keys, missing keys, wrong types, each at its place and with a suggestion.

What a problem is called by `type` and `msg` is the wording of pydantic, which the platform's validation endpoint uses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from rehearse.language.document import Document
from rehearse.language.model import Key, Kind, Model, Pipeline, TaskGroupModel, TaskModel, keys_of
from rehearse.language.parameters import kind_of
from rehearse.language.positions import Mark
from rehearse.language.problems import MAX_PROBLEMS, Loc, Problem
from rehearse.language.words import closest, did_you_mean

_ELSEWHERE = {  # key at a wrong place -> what to do instead
    "matrix": "a matrix belongs on a task group",
    "tasks": "tasks belong into a task group under 'pipeline'",
    "env": "variables of a process go into parameters.environment_variables; those of ENV into an environment",
    "secrets": "secrets belong into a connection",
    "connections": "connections are not defined in the YAML; rehearse.toml says what they mean here",
    "description": "put notes at the top of the pipeline: meta: {description: ...}",
    "configuration": "a configuration belongs on a task or on the pipeline",
    "connection": "a connection belongs on a task",
    "treat_failure_as_warning": "treat_failure_as_warning belongs on a task",
    "alerts": "alerts belong on a task, a sensor or the pipeline",
    "tags": "tags belong on tasks",
    "enabled": "a task or group has 'paused: true'; a schedule is paused on the platform",
    **dict.fromkeys(("when", "if"), "write condition: ..."),
    **dict.fromkeys(("allow_failure", "continue_on_error"), "write treat_failure_as_warning: true"),
    "retry": "write configuration: {retries: 2}",
    "job": "write integration_job: ...",
    "set_outputs": "it belongs into the parameters of a task",
    "max_active_runs": "write configuration: {concurrency: {max_active: 1}}",
    "max_concurrent_tasks": "limit a matrix by max_parallel",
    "retries": "write configuration: {retries: 2}",
    "retry_delay": "write configuration: {retries: 2, retry_delay: 1}",
    "timeout": "write configuration: {timeout: 600}",
    "retry_policy": "write configuration: {retries: 2, retry_delay: 1}",
}


_WANTED = {  # kind -> in our words, pydantic's type, and its message
    "text": ("text", "string_type", "Input should be a valid string"),
    "whole": ("a whole number", "int_type", "Input should be a valid integer"),
    "flag": ("true or false", "bool_type", "Input should be a valid boolean"),
    "list": ("a list", "list_type", "Input should be a valid list"),
    "map": ("a mapping", "dict_type", "Input should be a valid dictionary"),
    "model": ("a mapping", "model_type", "Input should be a valid dictionary"),
}
_FOUND = {"bool": "true or false", "number": "a number", "list": "a list", "dict": "a mapping"}


class _Enough(Exception):
    """There are more problems than anybody reads."""


def check_shape(doc: Document) -> tuple[Pipeline | None, list[Problem]]:
    """The model of the document, or None, and what is wrong with its shape. Spells the document in snake_case."""
    reader = _Reader(doc)
    try:
        _list_of_sensors(doc, reader.problems)
        pipeline = reader.model(Pipeline, doc.value, doc.marks, ())
    except _Enough:
        pipeline = None
        message = f"there are more than {MAX_PROBLEMS} mistakes in the shape of this file"
        reader.problems.append(doc.problem("too-large", (), message))
    wrong = any(problem.severity == "error" for problem in reader.problems)
    return None if wrong else cast("Pipeline | None", pipeline), reader.problems


def keys_used(doc: Document) -> Iterator[tuple[str, Any]]:
    """Every key of a model that a document (spelled in snake_case) uses, as `schedule.cron`, with its value."""
    yield from _keys_used(Kind("model", Pipeline), doc.value)


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


class _Reader:
    """Reads values as kinds say; what it gives back is worth something only if it found no error."""

    def __init__(self, doc: Document):
        self.doc = doc
        self.problems: list[Problem] = []
        self.kinds: dict[str, Callable[[Kind, Any, Mark | None, Loc], Any]] = {
            "text": self.text, "whole": self.whole, "flag": self.flag, "list": self.list_of, "map": self.map_of,
            "model": lambda kind, value, mark, loc: self.model(kind.of, value, mark, loc), "node": self.node,
            "limit": self.limit, "any": lambda kind, value, mark, loc: value,
        }  # fmt: skip

    def add(self, code: str, loc: Loc, message: str, hint: str | None = None, **more: Any) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            raise _Enough
        self.problems.append(self.doc.problem(code, loc, message, hint, **more))

    def read(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        return self.kinds[kind.name](kind, value, mark, loc)

    def model(self, model: type[Model], value: Any, mark: Mark | None, loc: Loc) -> Model | None:
        if not isinstance(value, dict):
            self.wrong_type("model", value, loc)
            return None
        keys = keys_of(model)
        self.spell(keys, value, mark, loc)
        before = len(self.problems)
        meant = {self.unknown(name, keys, loc, value) for name in value if name not in keys}
        made = {}
        for name, key in keys.items():
            if name in value:
                empty = value[name] is None or (key.kind.name == "map" and value[name] == [])  # [] as editors write it
                if key.required or not empty:
                    made[name] = self.read(key.kind, value[name], _inside(mark, name), (*loc, name))
            elif key.required and name not in meant:  # a key that is misspelt is not also missing
                hint = f"write {name}: {key.kind.options[0]}" if len(key.kind.options) == 1 else key.text
                self.add("missing", (*loc, name), f"'{name}' is required here", hint, key=True, msg="Field required")
        return model(**made) if len(self.problems) == before else None

    def spell(self, keys: dict[str, Key], value: dict[str, Any], mark: Mark | None, loc: Loc) -> None:
        """Rename the camelCase keys of a model, in the values and in the marks; what is inside parameters stays."""
        if all(name in keys for name in value):
            return
        names = {key.camel: name for name, key in keys.items() if key.camel != name}
        for camel in [each for each in value if each in names]:
            name = names[camel]
            if name in value:
                message = f"'{camel}' and '{name}' are the same field"
                self.add("spelled-twice", (*loc, camel), message, f"keep '{name}'", key=True)
                del value[camel]
            else:
                value[name] = value.pop(camel)
                if mark is not None and mark.items and camel in mark.items:
                    mark.items[name] = mark.items.pop(camel)

    def unknown(self, name: str, keys: dict[str, Key], loc: Loc, value: dict[str, Any]) -> str | None:
        """Report an unknown key. Gives the key that was perhaps meant."""
        meant = closest(name, keys)
        hint = _ELSEWHERE.get(name)
        if hint is None and name.startswith("x-"):
            hint = "put it under 'meta'"
        elif hint is None and "max_parallel" in keys and "inputs" not in value and meant is None:
            hint = f"write inputs: {{{name}: [...]}}"
        if hint is not None:
            meant = None
        elif meant is not None:
            hint = f"did you mean '{meant}'?"
        else:
            hint = f"known here: {', '.join(keys)}"
        self.add("unknown-key", (*loc, name), f"unknown key '{name}'", hint, key=True, msg="Extra inputs are not permitted",
                 meant=meant)  # fmt: skip
        return meant

    def node(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Model | None:
        return self.model(node_model(value), value, mark, loc)

    def text(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        if not isinstance(value, str) and not kind.options:
            self.wrong_type("text", value, loc)
        elif kind.options and value not in kind.options:
            expected = ", ".join(f"'{option}'" for option in kind.options[:-1])
            expected = f"{expected} or '{kind.options[-1]}'" if expected else f"'{kind.options[-1]}'"
            known = f"one of {', '.join(kind.options)}" if len(kind.options) > 1 else f"write {kind.options[0]}"
            hint = did_you_mean(str(value), kind.options) or known
            said = f"'{value}'" if isinstance(value, (str, int, float)) else kind_of(value)
            message = f"{said} is not allowed for {_name(loc)}"
            self.add("wrong-value", loc, message, hint, type="enum", msg=f"Input should be {expected}")
        elif kind.longest is not None and len(value) > kind.longest:
            msg = f"String should have at most {kind.longest} characters"
            self.out_of_range(loc, f"has at most {kind.longest} characters, not {len(value)}", "string_too_long", msg)
        return value

    def whole(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        if not isinstance(value, int) or isinstance(value, bool):
            self.wrong_type("whole", value, loc)
        elif kind.low is not None and value < kind.low:
            msg = f"Input should be greater than or equal to {kind.low}"
            self.out_of_range(loc, f"is at least {kind.low}, not {_short(value)}", "greater_than_equal", msg)
        elif kind.high is not None and value > kind.high:
            msg = f"Input should be less than or equal to {kind.high}"
            self.out_of_range(loc, f"is at most {kind.high}, not {_short(value)}", "less_than_equal", msg)
        return value

    def limit(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        """A number from 0 on, or text that begins with an expression."""
        if isinstance(value, str) and value.strip().startswith("${{"):
            return value
        return self.whole(Kind("whole", low=0), value, mark, loc)

    def flag(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        if not isinstance(value, bool):
            self.wrong_type("flag", value, loc)
        return value

    def list_of(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        if not isinstance(value, list):
            self.wrong_type("list", value, loc)
            return None
        self.least(kind, value, "List", loc)
        return [self.read(kind.of, item, _inside(mark, n), (*loc, n)) for n, item in enumerate(value)]

    def map_of(self, kind: Kind, value: Any, mark: Mark | None, loc: Loc) -> Any:
        if not isinstance(value, dict):
            self.wrong_type("map", value, loc)
            return None
        self.least(kind, value, "Dictionary", loc)
        if kind.of.name == "any":
            return value
        return {name: self.read(kind.of, item, _inside(mark, name), (*loc, name)) for name, item in value.items()}

    def least(self, kind: Kind, value: Any, what: str, loc: Loc) -> None:
        if len(value) < kind.least:
            msg = f"{what} should have at least {kind.least} item after validation, not {len(value)}"
            self.out_of_range(loc, f"has at least {kind.least} item, not {len(value)}", "too_short", msg)

    def out_of_range(self, loc: Loc, said: str, type: str, msg: str) -> None:
        self.add("out-of-range", loc, f"{_name(loc)} {said}", type=type, msg=msg)

    def wrong_type(self, name: str, value: Any, loc: Loc) -> None:
        wanted, type, msg = _WANTED[name]
        found = str(value) if wanted == "a whole number" and isinstance(value, float) else kind_of(value)
        message = f"{_name(loc)} must be {wanted}, not {_FOUND.get(found, found)}"
        self.add("wrong-type", loc, message, _type_hint(self.doc, loc, wanted, value), type=type, msg=msg)


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**20 else "a number of many digits"


def _inside(mark: Mark | None, name: str | int) -> Mark | None:
    return mark.items.get(name) if mark is not None and mark.items else None


def node_model(value: Any) -> type[Model]:
    """A node that has tasks is a group (section 2.1)."""
    return TaskGroupModel if isinstance(value, dict) and "tasks" in value else TaskModel


def _keys_used(kind: Kind, value: Any) -> Iterator[tuple[str, Any]]:
    if kind.name in ("model", "node") and isinstance(value, dict):
        model = kind.of or node_model(value)
        keys = keys_of(model)
        for name, inner in value.items():
            yield f"{model.NAME}.{name}", inner
            if name in keys:
                yield from _keys_used(keys[name].kind, inner)
    elif kind.name in ("list", "map") and isinstance(value, (list, dict)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _keys_used(kind.of, item)


def _name(loc: Loc) -> str:
    if not loc:
        return "the pipeline"
    if isinstance(loc[-1], int):
        return f"an item of {_name(loc[:-1])}"
    return f"'{loc[-1]}'"


def _type_hint(doc: Document, loc: Loc, wanted: str, value: Any) -> str | None:
    written = doc.written(loc)
    if wanted == "text" and isinstance(value, (bool, int, float)):
        read = str(value).lower() if isinstance(value, bool) else str(value)
        return f"{'' if written == read else f'YAML reads {written} as {read}; '}quote it: '{written}'"
    if wanted == "a list" and isinstance(value, str):
        return f"write [{value}]"
    if loc[-1:] == ("max_active",):
        return "a number, or ${{ ENV.NAME }}"
    if wanted == "a whole number" and isinstance(value, str):
        if value.isdigit():
            return f"without quotes: {value}"
        return {"timeout": "a number of seconds", "retry_delay": "a number of minutes"}.get(str(loc[-1]))
    if wanted == "true or false" and isinstance(value, str) and value.lower() in ("true", "false"):
        return f"without quotes: {value.lower()}"
    return None
