"""What `rehearse explain` knows: every key, job, parameter, sensor, function, variable and code of a problem.

Nothing is written twice: the texts come from the models, the parameter tables and the table of codes.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from rehearse.language import expressions
from rehearse.language.integrations import INTEGRATION_OF, JOBS_BY_INTEGRATION, MISSPELT, SENSORS
from rehearse.language.model import MODELS, Kind, keys_of
from rehearse.language.parameters import JOB_DESCRIPTIONS, OPEN_JOBS, PARAMETERS, Parameter
from rehearse.language.problems import CODES
from rehearse.language.words import closest

FUNCTIONS = {
    "format_date": "Text of a date in strftime's format. `date`: a datetime or ISO text (UTC if it names no zone). `zone`: an "
    "IANA name; the date is converted before.",
    "add_days": "The date so many days later; `days` may be a fraction or negative.",
    "len": "Number of items of a list, keys of a dict or characters of a text.",
    "int": "A whole number from text or a number.",
    "str": "Text, as a value looks when it is spliced into one.",
}
QUANTIFIERS = {
    "all": "Followed by an attribute and a comparison: true when it holds for every task.",
    "any": "Followed by an attribute and a comparison: true when it holds for at least one task.",
}
VARIABLES = {
    "orchestra": "The run: the attributes below.",
    "orchestra.pipeline_run_id": "Id of this run (UUID).",
    "orchestra.pipeline_run_started_at": "When the run started (UTC).",
    "orchestra.current_time": "The time at which the expression is evaluated (UTC).",
    "orchestra.current_branch": "The git branch that the run uses, or None.",
    "orchestra.task_run_id": "Id of the current task run (UUID); the same over its attempts. None in a group's condition.",
    "orchestra.pipeline_run_tasks": "Task id -> task, as `tasks`.",
    "tasks": "Task id -> task, with .status, .task_run_id, .run_parameters['k'] and .outputs['k'].",
    "task_groups": "Group id -> its tasks; write .all() or .any() after it.",
    "inputs": "The inputs of the run. One that is optional and not given is None.",
    "outputs": "In map_outputs, a sensor's condition and trigger_events only: what the trigger found.",
    "env": "The variables of the run's environment.",
    "secrets": "Secrets of the workspace.",
    "matrix": "Inside a group with a matrix: the current item, as MATRIX.<key>.",
}


class Entry(NamedTuple):
    """One line of a topic: a key or parameter. `type` is in words; `default` None: there is none."""

    name: str
    type: str
    required: bool
    text: str


class Topic(NamedTuple):
    """`kind`: model, key, integration, job, parameter, sensor, function, variable or code."""

    name: str
    kind: str
    section: str
    text: str
    entries: tuple[Entry, ...] = ()


def topics() -> Iterator[Topic]:
    """Everything that can be explained."""
    yield from _models()
    for integration, jobs in JOBS_BY_INTEGRATION.items():
        entries = tuple(Entry(job, "job", False, JOB_DESCRIPTIONS.get(job, "")) for job in jobs)
        yield Topic(integration, "integration", "9.2", "" if jobs else "A task can run none of its jobs.", entries)
    for job in INTEGRATION_OF:
        yield _job(job)
    for name, sensor in SENSORS.items():
        text = f"Sensor of {sensor.integration}. Its outputs: {', '.join(sensor.outputs)}."
        text += " Further parameters are not public." if sensor.others else ""
        yield Topic(name, "sensor", "8.2", text, _parameters(sensor.parameters))
    for name, text in FUNCTIONS.items():
        yield Topic(name, "function", "5.5", f"{expressions.FUNCTIONS[name][0]}\n{text}")
    for name, text in QUANTIFIERS.items():
        yield Topic(name, "function", "5.6", f"task_groups['...'].{name}()\n{text}")
    for name, text in VARIABLES.items():
        yield Topic(name, "variable", "5.4", text)
    for code in CODES.values():
        switch = " Switch it off with --ignore." if code.severity == "warning" else ""
        yield Topic(code.name, "code", code.section, f"{code.severity.capitalize()}. {code.text}{switch}")


def find(word: str) -> tuple[list[Topic], str | None]:
    """The topics of that name, whatever its case; or none, and the name that is nearest."""
    folded = _fold(word.removesuffix("()"))
    known = list(topics())
    found = [topic for topic in known if _fold(topic.name) == folded]
    found += [t for t in known if t.kind == "key" and _fold(t.name.partition(".")[2]) == folded]
    found += _parameter(word.strip().lower())
    if not found and word.upper() in MISSPELT:
        found = [Topic(word.upper(), "job", "9.2", f"There is no such job: {MISSPELT[word.upper()]}.")]
    names = {name for topic in known for name in (topic.name, topic.name.rpartition(".")[2])}
    return found, None if found else closest(word.strip(), sorted(names), 0.75)


def _fold(name: str) -> str:
    """Keys are found in camelCase, too."""
    return name.strip().lower().replace("_", "")


def _parameter(name: str) -> list[Topic]:
    """A parameter by its name, with the jobs that have it; one entry for each meaning."""
    meanings: dict[tuple[str, str], list[str]] = {}
    for job, parameters in PARAMETERS.items():
        if name in parameters:
            meanings.setdefault((_kind(parameters[name]), parameters[name].description), []).append(job)
    entries = tuple(Entry(name, kind, False, f"{text} In {_some(jobs)}.") for (kind, text), jobs in meanings.items())
    return [Topic(name, "parameter", "9.3", "", entries)] if entries else []


def _some(names: list[str], most: int = 6) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more jobs" if len(names) > most else "")


def _models() -> Iterator[Topic]:
    for model in MODELS:
        entries = tuple(Entry(key.name, _in_words(key.kind), key.required, key.text) for key in keys_of(model).values())
        yield Topic(model.NAME, "model", model.SECTION, (model.__doc__ or "").strip(), entries)
        for entry in entries:
            yield Topic(f"{model.NAME}.{entry.name}", "key", model.SECTION, "", (entry,))


def _in_words(kind: Kind) -> str:
    if kind.options:
        return "one of " + "|".join(kind.options)
    if kind.name == "list":
        return f"list of {_in_words(kind.of)}"
    word = {"flag": "true or false", "whole": "whole number", "limit": "whole number or expression", "map": "mapping",
            "model": "mapping", "node": "mapping"}.get(kind.name, kind.name)  # fmt: skip
    if kind.high is not None:
        return f"{word} {kind.low} to {kind.high}"
    if kind.low is not None:
        return f"{word} from {kind.low}"
    return f"{word}, at most {kind.longest} characters" if kind.longest else word


def _job(job: str) -> Topic:
    text = f"{JOB_DESCRIPTIONS.get(job, '')}\nintegration: {INTEGRATION_OF[job]}".strip()
    if job not in PARAMETERS:
        return Topic(job, "job", "9.3", text + "\nIts parameters are not public: any are accepted, with a warning.")
    if job in OPEN_JOBS:
        text += "\nNot all of its parameters are public: further ones are accepted, with a warning."
    return Topic(job, "job", "9.3", text, _parameters(PARAMETERS[job]))


def _parameters(parameters: Any) -> tuple[Entry, ...]:
    return tuple(Entry(name, _kind(parameter), parameter.required, parameter.description)
                 for name, parameter in parameters.items())  # fmt: skip


def _kind(parameter: Parameter) -> str:
    if parameter.options:
        return "one of " + "|".join(parameter.options)
    words = {"json": "text that holds JSON", "bool": "true or false", "int": "whole number", "dict": "mapping"}
    return "threshold" if parameter.threshold else words.get(parameter.kind, parameter.kind)
