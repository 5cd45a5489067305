"""What the jobs that call another system share: how a request gets to `call_host`, and what comes of it.

A family is one module. Its `prepare` makes a request (JSON) out of parameters and connection; its `perform(request)` runs in
the task's own process, under `call_host`, and gives an `Outcome` or raises `CallFailed`.
"""

from __future__ import annotations

import base64
import contextvars
import hashlib
import json
import os
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError, RehearseError
from rehearse.jobs.base import Attempt, JobError, Launch, host_step
from rehearse.jobs.egress import Egress, without_proxies
from rehearse.language.integrations import INTEGRATION_OF
from rehearse.planning.secrets import MASK, SHORTEST, is_secret_name

VARIABLE = "REHEARSE_CALL"
OUTPUT_LIMIT = 5_000_000
REQUEST_LIMIT = 10_000_000
_VARIABLE_LIMIT = 100_000  # Linux allows 128 KB per variable
T = TypeVar("T")


class CallFailed(RehearseError):
    """The call was made, or tried, and did not succeed; the attempt is FAILED with this message."""

    exit_code = 1


@dataclass(frozen=True)
class Outcome:
    """How a call ended. See `report` for the fields."""

    status: str = "SUCCEEDED"
    message: str | None = None
    outputs: dict[str, Any] = field(default_factory=dict)
    operations: list[dict[str, Any]] = field(default_factory=list)


# In the engine: from parameters to a process


def launch(
    module: str,
    request: dict[str, Any],
    egress: Egress | None,
    connection: Connection,
    attempt: Attempt,
    *hidden: str | None,
) -> Launch:
    """`rehearse.jobs.<module>.perform(request)` in a process of its own, which connects only where `egress` allows (None:
    nowhere). `hidden`: secrets of the connection, masked in all that is kept. Raises JobError for a request that is too large."""
    texts = tuple(text for text in hidden if text)
    request |= {"module": module, "egress": egress.data() if egress else None, "hidden": texts}
    env = attempt.environment(connection)
    if egress is None or egress.mode == "local":
        env = without_proxies(env)
    env[VARIABLE] = _sealed(json.dumps(request), attempt.folder)
    return Launch([host_step("call_host", env, attempt.root)], texts)


def required(connection: Connection | None, job: str) -> Connection:
    """Raises BindingError when the task has no connection."""
    if connection is None:
        raise BindingError(
            f"{job} names no connection and none is the default",
            f'add [connections.NAME] with integration = "{INTEGRATION_OF[job]}", default = true to rehearse.toml',
        )
    return connection


def needed(connection: Connection, name: str, example: str) -> str:
    """A field without which nothing goes. Raises BindingError."""
    value = connection.get(name)
    if not value:
        raise BindingError(f"connection '{connection.id}' has no '{name}'", f'for example: {name} = "{example}"')
    return value


def parse_json(job: str, name: str, text: Any) -> Any:
    """The JSON in a parameter, once its expressions are filled in. Raises JobError."""
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as e:
        raise JobError(
            f"the parameter '{name}' of {job} is not valid JSON once its expressions are filled in: {e}",
            "a text that is spliced into JSON must not bring quotes or line breaks of its own",
        ) from e


def need_client(library: str, module: str | None = None) -> None:
    """Raises JobError when a client library is not installed. `module`: what is imported, where it has another name."""
    try:
        is_there = find_spec(module or library) is not None
    except ModuleNotFoundError:  # not even the package around it
        is_there = False
    if not is_there:
        raise JobError(
            f"the Python package {library} is not installed",
            f"pip install {library}; it is one of the group `clients` of pyproject.toml",
        )


def no_nul(name: str, text: Any) -> str:
    """Raises JobError for a text that other systems would cut off at its NUL."""
    if "\0" in str(text):
        raise JobError(f"the parameter '{name}' holds a NUL character: {str(text)!r:.100}")
    return str(text)


# In the task's process


def take() -> dict[str, Any]:
    """The request. It is gone from the environment and the disk afterwards."""
    data = json.loads(_unsealed(os.environ.pop(VARIABLE)))
    return dict(data)


def within(seconds: float, do: Callable[[], T]) -> T:
    """The result of `do()`. Raises TimeoutError when that takes longer, and what `do()` raised.

    It is done in a thread that is left alone then: nothing else ends a name server or a peer that sends a byte a second.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(do())
        except BaseException as e:
            failed.append(e)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(run,), daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        raise TimeoutError(f"no end after {seconds:g} s")
    return done[0]


def fitting(name: str, value: Any, source: str) -> dict[str, Any]:
    """The output {name: value}. Raises CallFailed when it is larger than outputs may be."""
    size = len(json.dumps(value))
    if size > OUTPUT_LIMIT:
        raise CallFailed(
            f"{source} has {size:,} bytes, and outputs may have {OUTPUT_LIMIT:,}",
            f"pass its path to the next task instead of the output '{name}', and read it there",
        )
    return {name: value}


def hide(text: str, hidden: Iterable[str]) -> str:
    """A text without the secrets in it, for what does not go through the supervisor: a file of our own."""
    known = {*hidden, *(value for name, value in os.environ.items() if is_secret_name(name))}
    for secret in sorted(known, key=len, reverse=True):
        if len(secret) >= SHORTEST:
            text = text.replace(secret, MASK).replace(json.dumps(secret)[1:-1], MASK)
    return text


def excerpt(text: str, length: int = 200) -> str:
    """The beginning of a text as one line that is safe to print."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * length]).split())
    return words if len(words) <= length else f"{words[:length]}..."


def file_written(integration: str, name: str, started: datetime) -> dict[str, Any]:
    """The operation of a file that was written (see `jobs.report`)."""
    return {
        "type": "OPERATION", "name": f"write {name}", "status": "SUCCEEDED", "message": None, "rows": None,
        "started_at": _text(started), "ended_at": _text(datetime.now(UTC)),
        "asset": {"integration": integration, "name": name, "type": "FILE"}, "upstream": [],
    }  # fmt: skip


def first(parameters: Mapping[str, Any], *names: str) -> Any:
    """The first of these parameters that is set."""
    return next((parameters[name] for name in names if parameters.get(name) is not None), None)


def _text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _sealed(text: str, folder: Path) -> str:
    """The text if it fits into a variable. Otherwise it goes into a file, under a key that only the variable has: a request
    may hold secrets, and those are never on the disk."""
    data = text.encode()
    if len(data) > REQUEST_LIMIT:
        raise JobError(
            f"the request has {len(data):,} bytes, and {REQUEST_LIMIT:,} are the most that is sent",
            "put the data into a file and let a Python task send it",
        )
    if len(data) <= _VARIABLE_LIMIT:
        return text
    key = secrets.token_bytes(32)
    path = folder / "request"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(_mixed(data, key))
    return json.dumps({"file": str(path), "key": base64.b64encode(key).decode()})


def _unsealed(text: str) -> str:
    data = json.loads(text)
    if set(data) != {"file", "key"}:
        return text
    path = Path(data["file"])
    sealed = path.read_bytes()
    path.unlink()
    return _mixed(sealed, base64.b64decode(data["key"])).decode()


def _mixed(data: bytes, key: bytes) -> bytes:
    """Data and the stream of a key that is used once: done twice, the data again."""
    stream = hashlib.shake_256(key).digest(len(data))
    return (int.from_bytes(data) ^ int.from_bytes(stream)).to_bytes(len(data))
