"""How a job's own program tells its supervisor more than its exit code. Imports only the standard library.

The supervisor gives it the write end of a pipe; what comes out is masked before it is kept.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from typing import Any

VARIABLE = "REHEARSE_REPORT_FD"


def report(
    status: str | None = None,
    message: str | None = None,
    outputs: Mapping[str, Any] | None = None,
    operations: Sequence[Mapping[str, Any]] = (),
) -> None:
    """Say how the job ended: SUCCEEDED, WARNING or FAILED, why, its outputs and its operations (see `store.lineage`).

    May be called several times: later statuses and messages win, outputs and operations are added. Without a supervisor,
    when somebody runs the program by hand, it does nothing.
    """
    number = os.environ.get(VARIABLE)
    if number is None:
        return
    said = {"status": status, "message": message, "outputs": dict(outputs or {}), "operations": list(operations)}
    data = json.dumps(said, default=str).encode() + b"\n"
    while data:
        data = data[os.write(int(number), data) :]
