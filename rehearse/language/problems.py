"""What can be wrong with a pipeline file: one code per rule, and the problem that a rule reports.

Codes are stable: `--ignore`, `[validate] ignore` and `# rehearse: ignore[code]` name them, and `rehearse explain CODE`
prints the text that stands here. Only warnings can be switched off. The sections are those of the language reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

MAX_PROBLEMS = 500
"""Of one file, in reading it and again in applying the rules. Nobody reads more, and it must not take long to find them."""

Loc = tuple[str | int, ...]
"""The way from the top of the document to a value: keys (as spelled in snake_case) and list indices."""


class Position(NamedTuple):
    """1-based, as editors count."""

    line: int
    column: int


@dataclass(frozen=True)
class Code:
    """`type` is the platform's word for it. `section` is where the rule comes from."""

    name: str
    severity: str
    section: str
    type: str
    text: str


# name, severity, section, the platform's type (- is value_error), text
_TABLE = """
extension            error   12.1 -               A pipeline file ends in .yml, .yaml or .oml.
unreadable           error   12.1 -               The file cannot be opened.
encoding             error   1.2  -               The file is not UTF-8 text, or has characters that YAML forbids.
too-large            error   12.1 -               The file, its depth or its size with aliases expanded is over the limit.
yaml-syntax          error   12.1 -               The text is not YAML.
duplicate-key        error   1.2  -               A key occurs twice in one mapping. The first one is used.
key-type             error   1.2  string_type     A mapping key is not text.
several-documents    error   1.2  -               A file holds exactly one YAML document.
not-a-mapping        error   12.2 dict_type       A pipeline is a YAML mapping.
yaml-surprise        warning 1.2  -               YAML 1.1 reads a value otherwise than it looks: 1:30, 010, 2026-01-31.
missing              error   12.2 missing         A required key is not there.
unknown-key          error   12.3 extra_forbidden A key that the platform does not know.
wrong-type           error   12.2 -               A value of the wrong type.
wrong-value          error   12.6 enum            A value that is not one of those allowed.
out-of-range         error   12.8 -               A number, text or list outside its limits.
spelled-twice        error   1.2  -               One field, in snake_case and in camelCase.
sensors-list         warning 11.1 -               Sensors written as a list, as old versions of the editor did.
duplicate-id         error   12.4 -               Ids of groups and tasks are unique in the pipeline, whatever their case.
unknown-dependency   error   12.5 -               `depends_on` names groups in a group, and tasks of the same group in a task.
self-dependency      error   12.5 -               A node or task depends on itself.
cycle                error   12.5 -               Nodes or tasks wait for each other.
unknown-integration  error   9.2  enum            An integration that the platform does not have.
unknown-job          error   9.2  enum            A job that the platform does not have.
job-mismatch         error   9.2  -               The job belongs to another integration.
unknown-parameter    error   9.3  extra_forbidden The job has no such parameter.
missing-parameter    error   9.3  missing         The job needs this parameter.
parameter-type       error   3.2  -               A parameter of the wrong type.
parameter-value      error   9.2  enum            A parameter that is not one of the values allowed.
parameter-json       error   3.2  -               A parameter that must be text which holds JSON.
command              error   9.4  -               Commands start with python, poetry or uv; dbt commands with dbt.
build-command        error   9.4  -               `build_command` goes to a shell, so no expression may be in it.
unusual-command      warning 9.4  -               A command in a form that the platform may refuse.
unknown-schema       warning 9.3  -               The parameters of this job are not public: any are accepted.
threshold            error   9.7  -               A threshold is an operator and a whole number, without an expression.
matrix-keys          error   2.3  -               A matrix has exactly one key.
matrix-values        error   2.3  list_type       The values of a matrix are a list, or one expression that gives one.
matrix-reference     error   2.3  -               MATRIX.x is used only inside a group whose matrix has the key x.
expression           error   5.8  -               An expression that cannot be parsed.
expression-place     error   5.1  -               An expression where the platform evaluates none.
unknown-name         error   5.4  -               A variable or attribute that does not exist, or not in this place.
unknown-task         error   5.6  -               An expression names a task that is not in the pipeline.
unknown-group        error   5.6  -               An expression names a task group that is not in the pipeline.
paused-status        error   4.8  -               There is no status PAUSED: a paused task reports SUCCEEDED or SKIPPED.
unknown-status       warning 5.6  -               A status is compared with a word that is none.
undeclared-input     warning 6.2  -               An expression reads an input that the pipeline does not declare.
input-name           error   6.1  -               Input names are letters, digits and underscores.
input-default        error   6.1  -               A default of another type than the input.
input-options        error   6.1  -               Options belong to string inputs, are unique, and hold the default.
input-missing        error   6.2  -               A schedule does not give an input that is required and has no default.
input-value          error   6.2  -               A trigger gives an input a value that is not of its type.
trigger-input        warning 6.2  -               A sensor or event does not give a required input without a default.
cron                 error   8.1  -               A cron expression has six fields: minute hour day month weekday year.
timezone             error   8.1  -               A time zone is an IANA name.
exclude-date         error   8.1  -               Dates to exclude are written YYYY-MM-DD.
sensor-window        error   8.2  -               A sensor's window is shorter than the time between its firings.
sensor-type          error   8.2  enum            A sensor type that the platform does not have, or of another integration.
alert-name           error   1.4  -               Alert names are unique within their list.
alert-destination    error   1.4  -               A destination lacks what its integration needs.
anomaly-level        error   1.5  -               An anomaly of another level than the place where it stands.
unknown-connection   warning 7.3  -               A connection that rehearse.toml does not know.
unknown-variable     warning 7.1  -               No environment of rehearse.toml has this variable.
local-alias          warning 8.4  -               The platform wants a pipeline's id; its file name is understood only here.
trigger-cycle        error   8.4  -               Pipelines start each other in a circle.
not-evaluated        warning 5.2  -               Text that looks like an expression, or stands where none is evaluated.
raw-splice           warning 5.3  -               A value is spliced into SQL, Python or a shell line as it is, without quoting.
output-not-kept      warning 9.1  -               An expression reads an output of a task that does not set `set_outputs: true`.
racy-reference       warning 5.4  -               An expression reads a task that need not have ended before.
dead-condition       warning 4.3  -               A condition that is always true or always false.
unreachable          warning 4.3  -               A group or task that can never run.
never-fires          warning 8.1  -               A schedule or sensor whose cron expression fits no date.
unpinned-branch      warning 8.1  -               The code's branch is chosen at run time, or named in some tasks only.
ignore-comment       warning 12.1 -               A comment `# rehearse: ignore[...]` that names no code of a warning.
no-limit             warning 1.3  -               `max_active: 0` and `timeout: 0` are no limit.
"""


def _read(line: str) -> Code:
    name, severity, section, type, text = line.split(None, 4)
    return Code(name, severity, section, "value_error" if type == "-" else type, text)


CODES = {code.name: code for code in map(_read, _TABLE.strip().splitlines())}


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a pipeline file.

    `message` and `hint` are for people. `type` and `msg` are in the words of the platform's validation endpoint, and
    `loc` is the way to the place in the document; `platform_loc` words that way as the endpoint does.
    """

    file: str
    position: Position
    code: str
    message: str
    hint: str | None = None
    loc: Loc = ()
    type: str = "value_error"
    msg: str = ""
    severity: str = "error"
    platform_loc: Loc = ()
    meant: str | None = None
    """The word that was perhaps meant, where the problem is one that does not exist."""

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        place = f"{self.file}:{self.position.line}:{self.position.column}"
        return f"{place}: {self.severity}: {self.message}{hint} [{self.code}]"

    def as_dict(self) -> dict[str, Any]:
        return {
            "file": self.file, "line": self.position.line, "column": self.position.column, "severity": self.severity,
            "code": self.code, "message": self.message, "hint": self.hint, "type": self.type,
            "loc": list(self.platform_loc), "msg": self.msg or self.message,
        }  # fmt: skip
