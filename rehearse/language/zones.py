"""Time zones by name."""

from __future__ import annotations

from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_OF_THIS_MACHINE = ("localtime", "posixrules", "Factory", "posix/", "right/")


@cache
def zone(name: str) -> ZoneInfo:
    """By its IANA name in any case, as pytz finds it. Raises ValueError for a name that is none.

    The list of all zones is read only when it must be: it is slow.
    """
    if not name.startswith(_OF_THIS_MACHINE):
        try:
            return ZoneInfo(name)
        except (ValueError, LookupError, OSError):
            pass
        for known in available_timezones():
            if known.lower() == name.lower():
                return ZoneInfo(known)
    raise ValueError(f"there is no time zone '{name}'")


@cache
def cities() -> dict[str, str]:
    """The last part of a zone's name -> the name, for suggestions."""
    return {known.rpartition("/")[2]: known for known in sorted(available_timezones()) if "/" in known}
