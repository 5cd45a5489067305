"""One look of a sensor at the outside world, in a process of its own: a client that hangs or dies hurts nobody else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.config import Bindings, Connection
from rehearse.engine.masking import Masker, secret_values
from rehearse.errors import BindingError
from rehearse.jobs import file_listing, sql
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.report import VARIABLE
from rehearse.jobs.sql_targets import target_of
from rehearse.language.model import SensorCheck
from rehearse.store import sensor_events
from rehearse.store.ids import pipeline_id
from rehearse.store.records import Store, decoded, timestamp
from rehearse.triggers.events import outputs_of

SECONDS = 60.0
"""How long one look may take."""
FILES = ("AWS_S3_FILE", "ADLS_FILE", "SFTP_FILE")
OF_THE_STORE = ("ORCHESTRA_PIPELINE_STATUS", "ORCHESTRA_WEBHOOK_EVENT")
_LIMIT = 1_000_000  # characters of outputs that are kept


@dataclass(frozen=True)
class Look:
    """`message`: why it has not passed, or what was found. `is_error`: the system could not be asked."""

    passed: bool
    outputs: Mapping[str, Any] = field(default_factory=dict)
    message: str | None = None
    is_error: bool = False


def look_at_store(check: SensorCheck, parameters: Mapping[str, Any], store: Store, since: datetime) -> Look:
    """What we know ourselves: runs of pipelines, and events that were posted."""
    if check.sensor_type == "ORCHESTRA_WEBHOOK_EVENT":
        oldest = since - sensor_events.KEPT if parameters.get("check_latest_event") else since
        row = sensor_events.latest(store.database, str(parameters.get("event_type")), timestamp(oldest) or "")
        if row is None:
            return Look(False, message=f"no event {parameters.get('event_type')}")
        return Look(True, {"sensor_event": row["event"], **row["event"]})
    wanted = parameters.get("statuses") or parameters.get("status") or ["SUCCEEDED"]
    statuses = [wanted] if isinstance(wanted, str) else list(wanted)
    name = str(parameters.get("pipeline_id"))
    rows = store.database.rows(
        "SELECT * FROM runs WHERE (pipeline = ? OR pipeline_id = ?) AND ended_at IS NOT NULL "
        "ORDER BY ended_at DESC, id LIMIT 100",
        (name, name.lower() if "-" in name else pipeline_id(name)),
    )
    ended = [decoded(row) for row in rows]
    if parameters.get("check_latest_run"):
        ended = ended[:1]
    else:
        ended = [row for row in ended if datetime.fromisoformat(row["ended_at"]) >= since]
    found = next((row for row in ended if row["status"] in statuses), None)
    if found is None:
        return Look(False, message=f"no run of {name} is {' or '.join(statuses)}")
    return Look(True, {"pipeline_run": outputs_of(found)})


def look(
    check_id: str, check: SensorCheck, parameters: Mapping[str, Any], bindings: Bindings, root: Path, since: datetime
) -> Look:
    """Files and queries. Never raises: what goes wrong is in the answer."""
    try:
        connection = bindings.connection(check.integration, check.connection)
        if connection is not None and connection.mode == "stub":
            ending = connection.ending("", check_id)
            passed = ending.get("status", "SUCCEEDED") in ("SUCCEEDED", "WARNING")
            return Look(passed, ending.get("outputs", {}), ending.get("message"))
        with tempfile.TemporaryDirectory(prefix="rehearse-check-") as folder:
            attempt = Attempt(root, Path(folder), "sensor", "sensor", 1, "", connections=bindings.connection)
            return _run(_prepare(check, parameters, connection, attempt, since), connection)
    except (BindingError, JobError) as e:
        return Look(False, message=f"{e} ({e.hint})" if e.hint else str(e), is_error=True)
    except Exception as e:  # a look that fails must not end the others
        return Look(False, message=f"{type(e).__name__}: {' '.join(str(e).split())[:300]}", is_error=True)


def _prepare(
    check: SensorCheck, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt, since: datetime
) -> Launch:
    if check.sensor_type in FILES:
        if connection is None:
            raise BindingError(
                f"the check names no connection, and none of {check.integration} is the default",
                f'add [connections.NAME] with integration = "{check.integration}", default = true to rehearse.toml',
            )
        return file_listing.prepare(check.sensor_type, parameters, connection, attempt, since)
    if not check.sensor_type.endswith("_QUERY") or check.sensor_type == "MONGODB_QUERY":
        raise JobError(f"{check.sensor_type} cannot be asked from here", "give it a connection of the mode stub")
    query = str(parameters.get("query") or "")
    if not query.strip():
        raise JobError(f"{check.sensor_type} has no query")
    target = target_of(check.integration, connection, attempt.root, parameters, check.sensor_type)
    return sql.launch(attempt, connection, {"do": "query", "sql": query, "set_outputs": True}, [target])


def _run(launch: Launch, connection: Connection | None) -> Look:
    [step] = launch.steps
    read_end, write_end = os.pipe()
    argv = [sys.executable, *step.argv[1:]]
    with os.fdopen(read_end, "rb") as reports:
        process = subprocess.Popen(
            argv, env=step.env | {VARIABLE: str(write_end)}, cwd=step.cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, pass_fds=(write_end,), start_new_session=True,
        )  # fmt: skip
        os.close(write_end)
        timer = _Killer(process)
        with timer:
            said = reports.read()
            process.wait()
    values = secret_values(connection.known_values()) if connection else set()
    masker = Masker([*values, *launch.secrets])
    if timer.killed:
        return Look(False, message=f"it took longer than {SECONDS:g} s", is_error=True)
    answers = [json.loads(line) for line in said.splitlines() if line.strip()]
    last: dict[str, Any] = answers[-1] if answers else {}
    message = masker.text(str(last.get("message") or "")) or None
    if last.get("status") not in ("SUCCEEDED", "WARNING"):
        return Look(False, message=message or f"its process ended with {process.returncode}", is_error=True)
    outputs = masker.value(last.get("outputs") or {})
    if len(json.dumps(outputs, default=str)) > _LIMIT:
        return Look(False, message="it found more than can be kept: narrow the query or the prefix", is_error=True)
    return Look(any(outputs.values()), outputs, message)


class _Killer:
    """Ends a process group when its time is over."""

    def __init__(self, process: subprocess.Popen[bytes]):
        import threading

        self.killed = False
        self._process = process
        self._timer = threading.Timer(SECONDS, self._kill)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *exception: object) -> None:
        self._timer.cancel()

    def _kill(self) -> None:
        self.killed = True
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
