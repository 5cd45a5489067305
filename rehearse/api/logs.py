"""Logs and artifacts of task runs, in ranges, while they are written (section 2.7 of the API reference).

What may be read is listed first, and only what is listed is read: no path of a caller leads anywhere else, and links are
not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse
from pydantic import UUID4

from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError
from rehearse.api.models import Strict
from rehearse.api.responses import refused
from rehearse.api.service import Service
from rehearse.api.task_runs import find_task_run
from rehearse.engine.attempt_folder import LOG
from rehearse.language.statuses import TERMINAL
from rehearse.store.database import Row

router = APIRouter(dependencies=[Authorized], prefix="/pipeline_runs/{pipeline_run_id}/task_runs/{task_run_id}")
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_CHUNK = 262_144
_BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {}}, "description": "The whole file"},
    204: {"description": "Nothing was written yet"},
    206: {"content": {"application/octet-stream": {}}, "description": "The range, and Content-Range"},
}
Range = Annotated[str | None, Header(description="bytes=N-, bytes=N-M or bytes=-N")]


class LogFile(Strict):
    attemptNumber: int
    displayName: str | None


class LogFiles(Strict):
    filenames: list[str]
    files: dict[str, LogFile]


class Filenames(Strict):
    filenames: list[str]


@router.get("/logs", responses=refused(404))
def list_logs(service: ServiceHere, pipeline_run_id: UUID4, task_run_id: UUID4) -> LogFiles:
    """Each attempt has its log, and those that the task has posted."""
    row = find_task_run(service, str(task_run_id), str(pipeline_run_id))
    files = {
        name: LogFile(attemptNumber=int(name.split("/")[0]), displayName=row["name"]) for name in _logs(service, row)
    }
    return LogFiles(filenames=list(files), files=files)


@router.get("/logs/download", response_class=Response, responses=_BYTES | refused(404, 416))
def download_log(
    service: ServiceHere, pipeline_run_id: UUID4, task_run_id: UUID4, filename: str, range: Range = None
) -> Response:
    """`x-file-status` is WRITING while the task may still write, else READY."""
    row = find_task_run(service, str(task_run_id), str(pipeline_run_id))
    path = _logs(service, row).get(filename)
    if path is None:
        raise ApiError(404, "File not found")
    is_last = filename.split("/")[0] == str(row["attempt"])
    status = "WRITING" if is_last and row["status"] not in TERMINAL else "READY"
    return _answer(path, range, {"x-file-status": status})


@router.get("/artifacts", responses=refused(404))
def list_artifacts(service: ServiceHere, pipeline_run_id: UUID4, task_run_id: UUID4) -> Filenames:
    """Of the last attempt."""
    row = find_task_run(service, str(task_run_id), str(pipeline_run_id))
    return Filenames(filenames=list(_artifacts(service, row)))


@router.get("/artifacts/download", response_class=Response, responses=_BYTES | refused(404, 416))
def download_artifact(
    service: ServiceHere,
    pipeline_run_id: UUID4,
    task_run_id: UUID4,
    filename: Annotated[str, Query(max_length=1000)],
    range: Range = None,
) -> Response:
    row = find_task_run(service, str(task_run_id), str(pipeline_run_id))
    path = _artifacts(service, row).get(filename)
    if path is None:
        raise ApiError(404, "File not found")
    return _answer(path, range, {})


def _attempts(service: Service, row: Row) -> dict[int, Path]:
    """Attempt -> its folder."""
    root = service.root / ".rehearse" / "runs"
    found = {}
    for attempt in service.store.attempts(row["run_id"]):
        if attempt["task_run_id"] == row["id"]:
            folder = service.root / attempt["folder"]
            if folder.resolve().is_relative_to(root.resolve()):
                found[attempt["number"]] = folder
    return found


def _logs(service: Service, row: Row) -> dict[str, Path]:
    """`<attempt>/<name>` -> file. The log has the name of the task."""
    found = {}
    for number, folder in sorted(_attempts(service, row).items()):
        for path in _files(folder, (LOG, "logs")):
            name = row["name"] if path.name == LOG and path.parent == folder else str(path.relative_to(folder / "logs"))
            found[f"{number}/{name}"] = path
    return found


def _artifacts(service: Service, row: Row) -> dict[str, Path]:
    """`<command>/<name>` -> file, and the name alone for that of the last command: what the platform has."""
    folder = _attempts(service, row).get(row["attempt"])
    found: dict[str, Path] = {}
    for place in sorted(folder.iterdir(), key=_number) if folder is not None and folder.is_dir() else ():
        if place.is_dir() and _number(place) >= 0:
            for path in _files(folder or place, (place.name,)):
                found[path.name] = found[f"{place.name}/{path.relative_to(place)}"] = path
    return dict(sorted(found.items()))


def _number(place: Path) -> int:
    """Of the command whose artifacts a folder of the attempt holds: <number>-<verb>. -1 when it holds others."""
    number = place.name.partition("-")[0]
    return int(number) if number.isascii() and number.isdigit() else -1


def _files(folder: Path, names: tuple[str, ...]) -> Iterator[Path]:
    """Files of that name, and all inside of folders of that name; no links."""
    for name in names:
        place = folder / name
        if place.is_symlink():
            continue
        if place.is_file():
            yield place
        for parent, _, files in os.walk(place, followlinks=False):
            yield from (path for path in (Path(parent, file) for file in sorted(files)) if not path.is_symlink())


def _answer(path: Path, wanted: str | None, headers: dict[str, str]) -> Response:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError as e:
        raise ApiError(404, "File not found") from e
    size = os.fstat(descriptor).st_size
    headers = headers | {"Accept-Ranges": "bytes", "X-Content-Type-Options": "nosniff"}
    match = _RANGE.fullmatch(wanted.strip()) if wanted else None
    if match is None or match[0] == "bytes=-":
        if size == 0:
            os.close(descriptor)
            return Response(status_code=204, headers=headers)
        headers |= {"Content-Length": str(size)}
        return StreamingResponse(_chunks(descriptor, 0, size), 200, headers, "application/octet-stream")
    first, last = match.groups()
    start = int(first) if first else max(0, size - int(last))
    end = min(int(last) if first and last else size - 1, size - 1)
    if start >= size or end < start:
        os.close(descriptor)
        return Response(status_code=416, headers=headers | {"Content-Range": f"bytes */{size}"})
    headers |= {"Content-Range": f"bytes {start}-{end}/{size}", "Content-Length": str(end - start + 1)}
    return StreamingResponse(_chunks(descriptor, start, end - start + 1), 206, headers, "application/octet-stream")


def _chunks(descriptor: int, start: int, length: int) -> Iterator[bytes]:
    with os.fdopen(descriptor, "rb") as file:
        file.seek(start)
        while length > 0 and (chunk := file.read(min(_CHUNK, length))):
            length -= len(chunk)
            yield chunk
