"""`[schedules]` of rehearse.toml: what becomes of a slot that was missed, or comes while the last run still runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from rehearse.bindings.places import Places
from rehearse.errors import BindingError
from rehearse.language.words import did_you_mean

OVERLAP = ("skip", "queue", "cancel")
CATCH_UP = ("latest", "none", "all")
_OPTIONS = {"overlap": OVERLAP, "catch_up": CATCH_UP}


@dataclass(frozen=True)
class Policy:
    """`overlap`: skip the slot, queue it (one at most), or cancel the run before. `catch_up`: of the slots that were missed
    only the latest, none, or all one after another."""

    overlap: str = "skip"
    catch_up: str = "latest"


@dataclass(frozen=True)
class Policies:
    """`of_pipelines`: alias -> its own policy; `general` for all others."""

    general: Policy = Policy()
    of_pipelines: Mapping[str, Policy] = field(default_factory=dict)

    def of(self, alias: str) -> Policy:
        return self.of_pipelines.get(alias, self.general)


def make_policies(places: Places, table: Any) -> Policies:
    """From the table. Raises BindingError with the place of what is wrong."""
    if not isinstance(table, dict):
        raise BindingError(f"{places.at('schedules')}: schedules must be a table", 'for example: overlap = "queue"')
    general = _policy(places, ("schedules",), {k: v for k, v in table.items() if not isinstance(v, dict)}, Policy())
    own = {
        alias: _policy(places, ("schedules", alias), entry, general)
        for alias, entry in table.items()
        if isinstance(entry, dict)
    }
    return Policies(general, own)


def _policy(places: Places, keys: tuple[str, ...], table: Mapping[str, Any], default: Policy) -> Policy:
    where = f"[{'.'.join(keys)}]"
    for key, value in table.items():
        place = f"{places.at(*keys, key)}: {where}"
        known = _OPTIONS.get(key)
        if known is None:
            raise BindingError(
                f"{place}: unknown key '{key}'", did_you_mean(key, _OPTIONS) or f"it has: {', '.join(_OPTIONS)}"
            )
        if value not in known:
            near = did_you_mean(value, known) if isinstance(value, str) else None
            raise BindingError(f"{place}: {key} cannot be {value!r}", near or f"one of {', '.join(known)}")
    return replace(default, **table)
