"""SFTP_GET_FILE and SFTP_PUT_FILE (section 9.11). Connection: see `ssh_client`.

A file is written under another name beside its own and then renamed, so that nobody reads half of it.
"""

from __future__ import annotations

import contextlib
import posixpath
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.calls import OUTPUT_LIMIT, CallFailed, Outcome, file_written, fitting, launch, no_nul, required
from rehearse.jobs.file_contents import refuse_size, to_bytes, to_text
from rehearse.jobs.ssh_client import access, connect

_ENCODINGS = {"TEXT": "utf-8", "BASE64": "base64"}
_SILENCE_SECONDS = 60.0


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    connection = required(connection, job)
    how, egress, hidden = access(connection, attempt.root)
    path = no_nul("file_path", parameters.get("file_path") or "")
    if not path or path.endswith("/"):
        raise JobError(f"file_path {path!r} names no file")
    content_format = parameters.get("content_format") or "TEXT"
    if content_format not in _ENCODINGS:
        raise JobError(f"content_format {content_format!r} is none of {', '.join(_ENCODINGS)}")
    request: dict[str, Any] = {
        "ssh": how,
        "path": path,
        "encoding": _ENCODINGS[content_format],
        "put": job == "SFTP_PUT_FILE",
        "set_outputs": bool(parameters.get("set_outputs")),
    }
    if request["put"]:
        if parameters.get("contents") is None:
            raise JobError(f"{job} needs the parameter 'contents'")
        to_bytes(parameters["contents"], request["encoding"], "contents")
        request |= {
            "contents": parameters["contents"],
            "overwrite": bool(parameters.get("overwrite")),
            "temporary": f".{attempt.task_run_id}.part",
        }
    return launch("sftp_files", request, egress, connection, attempt, *hidden)


def perform(request: dict[str, Any]) -> Outcome:
    import paramiko  # type: ignore[import-untyped]

    started = datetime.now(UTC)
    what = f"sftp://{request['ssh']['host']}/{request['path'].lstrip('/')}"
    with contextlib.closing(connect(request["ssh"])) as client:
        try:
            with client.open_sftp() as sftp:
                sftp.get_channel().settimeout(_SILENCE_SECONDS)
                if request["put"]:
                    size = _put(sftp, request, what)
                    operation = file_written("SFTP", what, started)
                    return Outcome(message=f"{size:,} bytes written to {what}", operations=[operation])
                return _get(sftp, request, what)
        except CallFailed:
            raise
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise CallFailed(f"{what}: {' '.join(str(e).split()) or type(e).__name__}") from e


def _get(sftp: Any, request: dict[str, Any], what: str) -> Outcome:
    size = int(sftp.stat(request["path"]).st_size or 0)
    if size > OUTPUT_LIMIT and not request["set_outputs"]:
        return Outcome(message=f"{what} has {size:,} bytes; not read, because set_outputs is not true")
    refuse_size(what, size)
    with sftp.open(request["path"], "rb") as file:
        data = file.read(OUTPUT_LIMIT + 1)  # it may have grown meanwhile
    text = to_text(data, request["encoding"], what, "content_format: BASE64")
    outputs = fitting("contents", text, what) if request["set_outputs"] else {}
    return Outcome(message=f"{len(data):,} bytes read from {what}", outputs=outputs)


def _put(sftp: Any, request: dict[str, Any], what: str) -> int:
    """Bytes written. Raises CallFailed when the file is there and may not be replaced."""
    path, data = request["path"], to_bytes(request["contents"], request["encoding"], "contents")
    if not request["overwrite"] and _exists(sftp, path):
        raise CallFailed(f"{what} exists", "write overwrite: true to replace it")
    temporary = posixpath.join(posixpath.dirname(path), f".{posixpath.basename(path)}{request['temporary']}")
    try:
        with sftp.open(temporary, "wb") as file:
            file.set_pipelined(True)
            file.write(data)
        if request["overwrite"]:
            _replace(sftp, temporary, path)
        else:
            sftp.rename(temporary, path)  # which fails when somebody was faster
    except BaseException:
        with contextlib.suppress(Exception):
            sftp.remove(temporary)
        raise
    return len(data)


def _replace(sftp: Any, source: str, target: str) -> None:
    try:
        sftp.posix_rename(source, target)
    except OSError:
        if not _exists(sftp, source):
            raise
        with contextlib.suppress(FileNotFoundError):
            sftp.remove(target)  # a server without that extension: there is no other way
        sftp.rename(source, target)


def _exists(sftp: Any, path: str) -> bool:
    try:
        sftp.lstat(path)
    except FileNotFoundError:
        return False
    return True
