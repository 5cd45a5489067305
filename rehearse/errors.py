"""Every error that rehearse raises on purpose.

RehearseError                 shown as one message, never as a traceback; `exit_code` says how the process ends
├── UsageError                exit 2: a flag, a file name or a value given by the caller
├── InvalidPipeline           exit 2: the YAML is not a valid pipeline; carries every problem found
├── StoreError                exit 2: the run store cannot be reached, written or read
├── BindingError              exit 2: rehearse.toml, a connection or an environment
├── InputError                exit 2: a run input is missing or of the wrong type
├── CronError                 exit 2: a cron expression that cannot be read; carries the offset in its text
└── ExpressionError           a `${{ }}` that cannot be parsed or evaluated; carries the offset in its text
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rehearse.language.problems import Problem


class RehearseError(Exception):
    """Base class. `hint` is the next thing to do, printed under the message."""

    exit_code = 3

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.hint = hint


class UsageError(RehearseError):
    exit_code = 2


class StoreError(RehearseError):
    exit_code = 2


class BindingError(RehearseError):
    exit_code = 2


class InputError(RehearseError):
    exit_code = 2


class MissingInput(InputError):
    """Inputs that are required and have no default: `names`."""

    def __init__(self, names: list[str], message: str, hint: str):
        super().__init__(message, hint)
        self.names = names


class InvalidPipeline(RehearseError):
    exit_code = 2

    def __init__(self, problems: list[Problem]):
        super().__init__(f"{len(problems)} problem(s) in the pipeline")
        self.problems = problems


class ExpressionError(RehearseError):
    """`offset` counts characters from the start of the expression or template it was raised for."""

    exit_code = 1

    def __init__(self, message: str, offset: int = 0, hint: str | None = None):
        super().__init__(message, hint)
        self.offset = offset


class CronError(RehearseError):
    """`offset` counts characters from the start of the cron text (0-based) to where the mistake is."""

    exit_code = 2

    def __init__(self, message: str, offset: int = 0, hint: str | None = None):
        super().__init__(message, hint)
        self.offset = offset
