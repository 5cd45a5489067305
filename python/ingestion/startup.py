"""What a cold process need not wait for. An invocation imports two thousand modules to load, often, nothing at all."""

from __future__ import annotations

import atexit
import gc
import importlib
import sys
from typing import Any

_OBJECTS = 500_000
"""Objects that are made between two looks for garbage; imports make half a million, and none of them is."""
_WITHOUT_SQLALCHEMY = ("duckdb", "postgres", "filesystem")


def hurry() -> None:
    """To be called before pyarrow, dlt or a client is imported."""
    gc.set_threshold(_OBJECTS)
    atexit.register(gc.freeze)  # else the interpreter looks through everything before it ends: 0.1 s
    # pyarrow imports pandas as soon as it is installed, whoever needs it: 0.4 s. Nothing of ours does.
    sys.meta_path.insert(0, _Hidden("pandas"))


def import_dlt(destination: str) -> None:
    """Without sqlalchemy, of which dlt wants the class of a URL, and has one for those who did not install it: 0.2 s."""
    hidden = _Hidden("sqlalchemy")
    if destination in _WITHOUT_SQLALCHEMY:
        sys.meta_path.insert(0, hidden)
    try:
        importlib.import_module("dlt.common.libs.sql_alchemy_compat")
    finally:
        if hidden in sys.meta_path:
            sys.meta_path.remove(hidden)


class _Hidden:
    """A module that cannot be imported, although it is there."""

    def __init__(self, name: str):
        self._name = name

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == self._name:
            raise ModuleNotFoundError(f"python/ingest.py does without {name}", name=name)
