"""All checks, by topic, in the order in which they are shown."""

from __future__ import annotations

from collections.abc import Iterator

from rehearse.checks import bound, files, machine
from rehearse.checks.base import FAIL, Check, Finding, Patient
from rehearse.errors import RehearseError

CHECKS: dict[str, tuple[Check, ...]] = {
    "machine": (machine.tools, machine.disk, machine.ports),
    "runs": (machine.store,),
    "connections": (bound.variables, bound.credentials, bound.secrets, bound.clients, bound.reach, machine.locks),
    "pipelines": (files.tasks,),
    "secrets": (files.secrets, files.ignored),
}


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """(topic, finding). A check that breaks is a finding, too."""
    for topic, checks in CHECKS.items():
        for check in checks:
            try:
                found = list(check(patient))
            except RehearseError as e:
                found = [Finding(FAIL, f"the check '{check.__name__}'", str(e), e.hint)]
            except Exception as e:  # its text is left out: it may quote what could not be read
                found = [Finding(FAIL, f"the check '{check.__name__}'", f"it broke: {type(e).__name__}")]
            yield from ((topic, finding) for finding in found)
