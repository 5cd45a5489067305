"""Every error that the sandbox raises on purpose.

SandboxError          shown as one message with the next command, never as a traceback; exit code 3
└── UsageError        exit code 2: something the caller can put right
"""


class SandboxError(Exception):
    exit_code = 3

    def __init__(self, message: str, hint: str | None = None):
        super().__init__(message)
        self.hint = hint


class UsageError(SandboxError):
    exit_code = 2
