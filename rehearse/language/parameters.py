"""The parameters of every job whose schema is known, and the checks of one task's parameters.

Pure: values in, findings out; where they stand in a file is the caller's business. The texts are in `parameter_tables`.
Sources: sections 3.2, 5.1 and 9.3 to 9.11 of the language reference, and checks 6 and 7 of section 12.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from rehearse.language.parameter_tables import JOBS, MEANINGS
from rehearse.language.words import closest, did_you_mean


class Parameter(NamedTuple):  # as `Finding`: a dataclass costs a millisecond at the start of every command
    """One parameter of a job or of a sensor.

    `kind`: text, bool, int, number, list, dict, json (text that holds JSON) or any. An optional parameter may be null.
    Bools, numbers, lists, dicts and JSON may also be one whole `${{ }}`; texts may hold any number of them, unless they
    have options or are thresholds.
    """

    kind: str = "text"
    required: bool = False
    options: tuple[str, ...] = ()
    default: Any = None
    description: str = ""
    threshold: bool = False
    """An operator and a whole number, such as `> 0` (section 9.7)."""
    holds: str = ""
    """What the JSON must be: object, list, or anything when empty."""


class Finding(NamedTuple):
    """One thing wrong with the parameters of a task.

    `code` is one of `problems.CODES`. `path` leads from the parameters to the value: () are the parameters themselves. A
    missing parameter's path ends in its name, as in the platform's errors, though nothing stands there. `on_key` says
    that the key is wrong, not the value. `offset` counts characters inside the value's text. `type` is the platform's
    word, or None for that of the code. `meant`: the parameter that was perhaps meant by an unknown one.
    """

    code: str
    path: tuple[str | int, ...]
    message: str
    hint: str | None = None
    on_key: bool = False
    offset: int | None = None
    type: str | None = None
    meant: str | None = None


def kind_of(value: Any) -> str:
    """The kind that a YAML value has: text, bool, number, list, dict, null, or the name of its Python type."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    names = {str: "text", int: "number", float: "number", list: "list", dict: "dict"}
    return next((name for kind, name in names.items() if isinstance(value, kind)), type(value).__name__)


def _read_meanings() -> dict[str, tuple[str, str]]:
    """`name` or `JOB.name` -> type and meaning."""
    read = {}
    for line in filter(None, MEANINGS.splitlines()):
        head, _, meaning = line.partition(": ")
        name, _, detail = head.partition("(")
        read[name] = detail.removesuffix(")"), meaning
    return read


_MEANINGS = _read_meanings()


def read_parameters(owner: str, names: str) -> dict[str, Parameter]:
    """`"pipeline_id! branch"` to parameters, as the table describes them for this job or sensor type (`owner`)."""
    parameters = {}
    for word in names.split():
        name = word.rstrip("!")
        detail, description = _MEANINGS.get(f"{owner}.{name}") or _MEANINGS[name]
        parameters[name] = _read_parameter(detail, description, required=word != name)
    return parameters


def _read_parameter(detail: str, description: str, *, required: bool) -> Parameter:
    if detail.startswith("one of "):
        words = detail.split()[2:]
        default = next((word.rstrip("*") for word in words if word.endswith("*")), None)
        options = tuple(word.rstrip("*") for word in words)
        return Parameter("text", required, options, default, description)
    kind, _, default = detail.partition("=")
    if kind == "threshold":
        return Parameter("text", required, (), default or None, description, threshold=True)
    kind, _, holds = kind.partition(" ")
    return Parameter(kind or "text", required, (), False if default else None, description, holds=holds)


class _Catalogue(Mapping[str, Mapping[str, Parameter]]):
    """Job -> parameters. A command looks at a few jobs only, so each is read when it is first asked for."""

    def __init__(self, names: dict[str, str]):
        self._names = names
        self._read: dict[str, Mapping[str, Parameter]] = {}

    def __getitem__(self, job: str) -> Mapping[str, Parameter]:
        if job not in self._read:
            self._read[job] = read_parameters(job, self._names[job])
        return self._read[job]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _read_jobs() -> tuple[dict[str, str], dict[str, str]]:
    descriptions: dict[str, str] = {}
    names: dict[str, str] = {}
    job = ""
    for line in JOBS.strip().splitlines():
        if line.startswith(" "):
            names[job] = names.get(job, "") + line
        else:
            job, _, descriptions[job] = line.partition(": ")
    return descriptions, names


JOB_DESCRIPTIONS, _names = _read_jobs()
PARAMETERS: Mapping[str, Mapping[str, Parameter]] = _Catalogue(_names)
OPEN_JOBS = frozenset({"AWS_S3_PUT_FILE", "DUCKDB_EXECUTE_QUERY", "MONGODB_RUN_TEST"})
"""Jobs whose known parameters are only inferred (9.7, 9.11 and question 21): others are accepted with a warning."""

# Possessive, so that no text takes more than linear time. As for the parser, a quote left open runs to the end.
_EXPRESSION = re.compile(
    r"""\$\{\{ (?: '(?:\\.|[^'\\])*+(?:'|\\?\Z) | "(?:\\.|[^"\\])*+(?:"|\\?\Z) | (?!\}\}). )*+ (?:\}\}|\Z)""",
    re.DOTALL | re.VERBOSE,
)
_QUOTED = re.compile(r"""\\. | '[^']*+' | "(?:\\.|[^"\\])*+" """, re.DOTALL | re.VERBOSE)
THRESHOLD = re.compile(r"\s*(?:!=|>=|<=|[=><])\s*[0-9]+\s*")
_DBT_LINE = re.compile(r"\n[ \t]*+(?=dbt\s)")
_JSON_QUOTE = re.compile(r'\\.|(")', re.DOTALL)
_A_THRESHOLD = "an operator and a whole number, in quotes: '> 0'"
_PROGRAMS = ("python", "poetry", "uv")

_TYPES = {"text": "string_type", "bool": "bool_type", "int": "int_type", "number": "float_type", "list": "list_type",
          "dict": "dict_type"}  # fmt: skip
_WORDS = {"bool": "true or false", "int": "a whole number", "number": "a number", "list": "a list",
          "dict": "a mapping"}  # fmt: skip
_SYNONYMS = {  # what other tools call it -> what the job may
    "url": ("path",), "headers": ("custom_headers",), "sql": ("statement", "query"), "query": ("statement",),
    "statement": ("query",), "env": ("environment_variables",), "script": ("command", "code"),
    "working_dir": ("project_dir",), "workdir": ("project_dir",), "message": ("text",), "channel": ("channel_name",),
}  # fmt: skip
_ELSEWHERE = {
    **dict.fromkeys(("retries", "retry_delay", "timeout"), "it belongs in the 'configuration' of the task"),
    "requirements": "write build_command: pip install -r requirements.txt",
    **dict.fromkeys(("connection", "condition", "depends_on", "tags", "treat_failure_as_warning"),
                    "it belongs beside 'parameters', not in them"),
}  # fmt: skip


def check_parameters(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with the parameters of one task. `job` is one of the enum of section 9.2. Never raises."""
    known = PARAMETERS.get(job)
    found = [*_check_values(job, known or {}, parameters, known is None or job in OPEN_JOBS)]
    if job in _RULES:
        found += _RULES[job](job, parameters)
    return _without_consequences(found)


def check_values(
    owner: str, known: Mapping[str, Parameter], parameters: Mapping[str, Any], *, others: bool = False
) -> Iterator[Finding]:
    """Names, types and values, without the rules of single jobs. `owner` is the job or the sensor type.

    With `others`, parameters may exist that are not `known`: they are accepted, with one warning in all.
    """
    return _without_consequences([*_check_values(owner, known, parameters, others)])


def _without_consequences(found: list[Finding]) -> Iterator[Finding]:
    """A parameter that is misspelt is not also missing."""
    meant = {each.meant for each in found}
    for each in found:
        if each.code != "missing-parameter" or not each.path or each.path[-1] not in meant:
            yield each


def _check_values(
    owner: str, known: Mapping[str, Parameter], parameters: Mapping[str, Any], others: bool
) -> Iterator[Finding]:
    strange = [name for name in parameters if name not in known]
    if others and not known:
        yield Finding("unknown-schema", (), f"the parameters of {owner} are not public: any are accepted", on_key=True)
    elif others and strange:
        message = f"not all parameters of {owner} are public: '{_short(strange[0])}' is accepted as it is"
        yield Finding("unknown-schema", (), message, did_you_mean(_short(strange[0]), known), on_key=True)
    else:
        for name in strange:
            message = f"{owner} has no parameter '{_short(name)}'"
            meant, hint = _instead_of(_short(name), known)
            yield Finding("unknown-parameter", (name,), message, hint, on_key=True, meant=meant)
    for name, value in parameters.items():
        if name in known and value is not None:
            yield from _check_value(name, value, known[name])
    for name, parameter in known.items():
        if parameter.required and parameters.get(name) is None:
            yield _missing(owner, name)


def _missing(owner: str, name: str, why: str = "", hint: str | None = None) -> Finding:
    message = f"{owner} needs the parameter '{name}'{why}"
    return Finding("missing-parameter", (name,), message, hint, on_key=True)


def _instead_of(name: str, known: Mapping[str, Parameter]) -> tuple[str | None, str]:
    """The parameter that was perhaps meant, and what to say."""
    meant = next((each for each in _SYNONYMS.get(name.lower(), ()) if each in known), None)
    if meant is None and name == "target" and "commands" in known:
        return None, "write --target in the dbt commands"
    if meant is None and name in _ELSEWHERE:
        return None, _ELSEWHERE[name]
    meant = meant or closest(name, known)
    return meant, f"did you mean '{meant}'?" if meant else f"its parameters are {', '.join(known)}"


def _check_value(name: str, value: Any, parameter: Parameter) -> Iterator[Finding]:
    if parameter.kind == "any":
        return
    if parameter.kind == "json":
        yield from _check_json(name, value, parameter)
    elif parameter.kind == "text":
        if isinstance(value, str):
            yield from _check_text(name, value, parameter)
        else:
            yield _wrong_type(name, value, parameter)
    elif not (_fits(value, parameter.kind) or (isinstance(value, str) and _is_whole_expression(value))):
        yield _wrong_type(name, value, parameter)


def _fits(value: Any, kind: str) -> bool:
    if kind == "int":
        return isinstance(value, int) and not isinstance(value, bool)
    return kind_of(value) == kind


def _wrong_type(name: str, value: Any, parameter: Parameter) -> Finding:
    kind, wanted = kind_of(value), parameter.kind
    found = _short(value) if kind == "number" else _WORDS.get(kind, kind)
    message = f"'{name}' must be {_WORDS.get(wanted, wanted)}, not {found}"
    hint = _quoting(name, value, parameter) if wanted == "text" else _unquoting(value, wanted)
    return Finding("parameter-type", (name,), message, hint, type=_TYPES[wanted])


def _quoting(name: str, value: Any, parameter: Parameter) -> str | None:
    """What to write where text is wanted and something else stands. YAML has read 3.10 as 3.1, and yes as true."""
    if parameter.threshold:
        return _A_THRESHOLD
    if name == "python_version" and value == 3.1:
        return f"YAML reads 3.10 as the number 3.1; {_one_of(parameter.options)}, in quotes"
    if parameter.options:
        in_quotes = "" if isinstance(value, (list, dict)) else ", in quotes"
        known = _short(value) in parameter.options
        return f"quote it: '{_short(value)}'" if known else f"{_one_of(parameter.options)}{in_quotes}"
    if isinstance(value, (bool, int, float)):
        return f"quote it: '{_short(value)}'"
    return "separate the commands by ';', in one text" if name == "commands" else None


def _unquoting(value: Any, wanted: str) -> str | None:
    if not isinstance(value, str):
        return None
    word = value.strip()
    if "${{" in word:
        return "an expression gives text when there is text around it; write nothing but one ${{ }}"
    if wanted == "list":
        return f"write [{_short(word)}]"
    bare = word.lower() if wanted == "bool" else word
    literal = bare in ("true", "false") if wanted == "bool" else wanted in ("int", "number") and word.isdecimal()
    return f"without quotes: {_short(bare)}" if literal else None


def _check_text(name: str, value: str, parameter: Parameter) -> Iterator[Finding]:
    start = value.find("${{")
    if parameter.threshold:
        if not THRESHOLD.fullmatch(value):
            hint = "expressions are not evaluated here" if start >= 0 else _A_THRESHOLD
            yield Finding("threshold", (name,), "Invalid threshold expression format", hint, offset=max(start, 0))
    elif parameter.options and start >= 0:
        message = f"'{name}' is a fixed word: expressions are not evaluated here"
        yield Finding("expression-place", (name,), message, _one_of(parameter.options), offset=start)
    elif parameter.options and value not in parameter.options:
        near = did_you_mean(_short(value), parameter.options) or _one_of(parameter.options)
        yield Finding("parameter-value", (name,), f"'{_short(value)}' is not allowed for '{name}'", near)


def _check_json(name: str, value: Any, parameter: Parameter) -> Iterator[Finding]:
    if not isinstance(value, str):
        message = f"'{name}' must be text that holds JSON, not {_WORDS.get(kind_of(value), kind_of(value))}"
        hint = "put it in quotes, or under '|' as JSON"
        yield Finding("parameter-json", (name,), message, hint, type="string_type")
    elif not value.strip():
        yield Finding("parameter-json", (name,), f"'{name}' holds no JSON", "leave it out, or write {}", offset=0)
    elif _EXPRESSION.sub("", value).strip():  # else it is all expressions: nobody knows what they give
        yield from _check_json_text(name, value, parameter.holds)


def _check_json_text(name: str, text: str, holds: str) -> Iterator[Finding]:
    failures: list[tuple[int, str]] = []
    for candidate in _without_expressions(text):
        try:
            parsed = json.loads(candidate, parse_int=float)  # a whole number of 5,000 digits would raise
        except json.JSONDecodeError as e:
            failures.append((e.pos, e.msg))
        except RecursionError:
            failures.append((0, "it is nested too deeply"))
        else:
            if holds and not isinstance(parsed, {"object": dict, "list": list}[holds]):
                wanted = "an object, so it starts with {" if holds == "object" else "a list, so it starts with ["
                start = len(text) - len(text.lstrip())
                yield Finding("parameter-json", (name,), f"'{name}' must hold {wanted}", offset=start)
            return
    offset, why = max(failures[:2])  # where the better of the likely candidates, a number and a text, came to grief
    hint: str | None = None
    if text.startswith("'", offset):
        hint = "keys and texts stand in double quotes"
    elif text.startswith(("}", "]"), offset) and text[:offset].rstrip().endswith(","):
        hint = "no comma before a closing bracket"
    yield Finding("parameter-json", (name,), f"'{name}' does not hold valid JSON: {why}", hint, offset=offset)


def _without_expressions(text: str) -> Iterator[str]:
    """The JSON text with every expression replaced by something as long, so that offsets stay what they are.

    Inside quotes any letters will do. A bare expression may give a number, a text or key, or nothing at all; the text is
    accepted if one of these makes it JSON.
    """
    spans = [match.span() for match in _EXPRESSION.finditer(text)]
    if not spans:
        yield text
        return
    for bare in (lambda n: "1" * n, lambda n: f'"{"x" * (n - 2)}"', lambda n: " " * n):
        parts, end, inside = [], 0, False
        for start, stop in spans:
            literal = text[end:start]
            inside ^= sum(1 for match in _JSON_QUOTE.finditer(literal) if match[1]) % 2 == 1
            length = stop - start
            parts += [literal, "x" * length if inside else bare(length)]
            end = stop
        yield "".join(parts) + text[end:]


def _python(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """Section 9.4: GIT runs `command`, INLINE runs `code`; only `build_command` is read by a shell."""
    source, command, code = (parameters.get(name) for name in ("source", "command", "code"))
    if source == "INLINE" and code is None:
        why = " when the source is INLINE"
        yield _missing(job, "code", why, "'command' is run with 'source: GIT'" if command is not None else None)
    if source is None or source == "GIT":
        if command is None:
            yield _missing(job, "command", hint="'code' is run with 'source: INLINE'" if code is not None else None)
        elif isinstance(command, str):
            yield from _command(command)
    build = parameters.get("build_command")
    if isinstance(build, str) and "${{" in build:
        message = "build_command is given to a shell, so it may not contain an expression"
        hint = "pass the value through environment_variables"
        yield Finding("build-command", ("build_command",), message, hint, offset=build.find("${{"))


def _command(text: str) -> Iterator[Finding]:
    def wrong(message: str, hint: str | None = None, offset: int = 0) -> Finding:
        return Finding("command", ("command",), message, hint, offset=offset)

    masked = _masked(text)
    first = re.search(r"\S+", masked)
    if first is None:
        yield wrong("the command is empty", "it starts with python, poetry or uv")
        return
    program = text[first.start() : first.end()].strip("'\"")
    if re.fullmatch(r"python[\d.]+", program):
        message = f"the command starts with {program}, which may not be there"
        yield wrong(message, "write python, and say python_version", first.start())._replace(code="unusual-command")
    elif "${{" not in program and program not in _PROGRAMS:
        hint = "shell lines belong in build_command"
        yield wrong("the command must start with python, poetry or uv", hint, first.start())
    if (at := _open_quote(masked)) >= 0:
        yield wrong("a quote is opened and never closed", None, at)
    elif (at := masked.find("&&")) >= 0:
        yield wrong("a command is one command, without &&", "put what comes first into build_command", at)


def _dbt(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    """Section 9.5: commands are separated by `;` outside quotes, and line breaks are blanks."""
    text = parameters.get("commands")
    if not isinstance(text, str):
        return

    def wrong(message: str, hint: str | None, offset: int, code: str = "command") -> Finding:
        return Finding(code, ("commands",), message, hint, offset=offset)

    masked = _masked(text)
    if (at := _open_quote(masked)) >= 0:
        yield wrong("a quote is opened and never closed", None, at)
        return
    commands = [match for match in re.finditer(r"[^;]+", masked) if match[0].strip()]
    if not commands:
        yield wrong("there is no dbt command", "write dbt build", 0)
    line = None
    for command in commands:
        start = command.start() + len(command[0]) - len(command[0].lstrip())
        program = text[start : command.end()].split(None, 1)[0]
        if "${{" not in program and program != "dbt":
            yield wrong(
                "every command must start with dbt", "write dbt before it; commands are separated by ';'", start
            )
        line = line or _DBT_LINE.search(masked, start, command.end())
    if (at := masked.find("&&")) >= 0:
        yield wrong("commands are separated by ';', not by &&", "dbt would get the signs as arguments", at)
    if line:
        message = "a line break does not end a dbt command on the platform"
        yield wrong(message, "put ';' before this command", line.end(), "unusual-command")


def _masked(text: str) -> str:
    """The text with what is quoted or an expression blotted out, each character in its place."""
    text = _EXPRESSION.sub(lambda match: "x" * len(match[0]), text)
    return _QUOTED.sub(lambda match: "x" * len(match[0]), text)


def _open_quote(masked: str) -> int:
    return min((at for at in (masked.find("'"), masked.find('"')) if at >= 0), default=-1)


def _http(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    method = parameters.get("method")
    if method in ("POST", "PUT") and parameters.get("body") is None:
        yield _missing(job, "body", f" when the method is {method}", "write '{}' if there is nothing to send")


def _slack(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    if all(parameters.get(name) is None for name in ("text", "blocks", "attachments")):
        message = f"{job} needs one of the parameters 'text', 'blocks' and 'attachments'"
        yield Finding("missing-parameter", (), message, "write text: ...", on_key=True)


def _reconciliation(job: str, parameters: Mapping[str, Any]) -> Iterator[Finding]:
    for side in ("source", "destination"):
        if parameters.get(f"{side}_integration") == "DATABRICKS" and parameters.get(f"{side}_warehouse_id") is None:
            yield _missing(job, f"{side}_warehouse_id", f" when the {side} is DATABRICKS")


_RULES: dict[str, Callable[[str, Mapping[str, Any]], Iterator[Finding]]] = {
    "PYTHON_EXECUTE_SCRIPT": _python,
    "DBT_CORE_EXECUTE": _dbt,
    "HTTP_REQUEST": _http,
    "HTTP_REQUEST_ASYNC": _http,
    "SEND_SLACK_MESSAGE": _slack,
    "DATA_RECONCILIATION_CURSOR_FIELD": _reconciliation,
    "DATA_RECONCILIATION_MANUAL_QUERY": _reconciliation,
}


def _is_whole_expression(text: str) -> bool:
    return _EXPRESSION.fullmatch(text.strip()) is not None


def _one_of(options: tuple[str, ...]) -> str | None:
    return f"one of {', '.join(options)}" if options else None


def _short(value: Any) -> str:
    try:
        text = str(value).lower() if isinstance(value, bool) else str(value)
    except ValueError:  # Python does not write out whole numbers of more than 4,300 digits
        return "a very long number"
    return text if len(text) <= 60 else f"{text[:57]}..."
