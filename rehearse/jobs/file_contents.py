"""The contents of a file as a parameter or an output: text, or Base64 for what is none."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

from rehearse.jobs.base import JobError
from rehearse.jobs.calls import OUTPUT_LIMIT, CallFailed


def to_bytes(contents: Any, encoding: str, parameter: str) -> bytes:
    """Raises JobError for contents that this encoding (of Python, or `base64`) does not have."""
    text = contents if isinstance(contents, str) else json.dumps(contents)
    try:
        if encoding == "base64":
            return b64decode("".join(text.split()), validate=True)
        return text.encode(encoding)
    except ValueError as e:
        raise JobError(f"the parameter '{parameter}' cannot be written as {encoding}: {e}") from e


def to_text(data: bytes, encoding: str, what: str, hint: str) -> str:
    """Raises CallFailed for bytes that are none in this encoding."""
    if encoding == "base64":
        return b64encode(data).decode()
    try:
        return data.decode(encoding)
    except ValueError as e:
        raise CallFailed(f"{what} is no text in {encoding}: {e}", hint) from None


def refuse_size(what: str, size: int) -> None:
    """Raises CallFailed for a file that is too large for an output, before it is read."""
    if size > OUTPUT_LIMIT:
        raise CallFailed(
            f"{what} has {size:,} bytes, and outputs may have {OUTPUT_LIMIT:,}",
            "pass its path to the next task instead, and read it there",
        )
