"""Run in a task's own process: one call of another system. The request is in the environment (see `calls`)."""

from __future__ import annotations

import importlib
import logging
import signal
import sys

from rehearse.errors import RehearseError
from rehearse.jobs import egress
from rehearse.jobs.calls import Outcome, take
from rehearse.jobs.report import report

_NOWHERE = egress.Egress("", "nowhere", "")


def main() -> int:
    request = take()
    signal.signal(signal.SIGTERM, _stop)
    logging.basicConfig(level=logging.CRITICAL)  # what libraries say of themselves, with addresses and headers
    allowed = egress.Egress(**request["egress"]) if request["egress"] else _NOWHERE
    egress.confine(allowed)
    try:
        allowed.check_behind_proxy(allowed.host)
        outcome: Outcome = importlib.import_module(f"rehearse.jobs.{request['module']}").perform(request)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    except Exception as e:
        outcome = Outcome("FAILED", _reason(e, allowed))
    if outcome.message:
        print(outcome.message, file=sys.stderr if outcome.status == "FAILED" else sys.stdout, flush=True)
    report(outcome.status, outcome.message, outcome.outputs, outcome.operations)
    return 1 if outcome.status == "FAILED" else 0


def _reason(error: Exception, allowed: egress.Egress) -> str:
    """One line. What was refused comes first: a client tells it as if nobody had answered."""
    answered = isinstance(error, RehearseError) and error.__cause__ is None
    known = error if isinstance(error, RehearseError) else None
    told: RehearseError | egress.Refused | None = allowed.refused[-1] if allowed.refused and not answered else known
    if told is None:
        text = " ".join(str(error).split())
        return f"{type(error).__name__}: {text[:500]}" if text else type(error).__name__
    return f"{told} ({told.hint})" if told.hint else str(told)


def _stop(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
