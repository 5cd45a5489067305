"""What a cold process need not wait for. An invocation imports two thousand modules to load, often, nothing at all."""

from __future__ import annotations

import gc
import sys
from typing import Any

_OBJECTS = 100_000
"""Objects that are made between two looks for garbage; imports make half a million, and none of them is."""


def hurry() -> None:
    """To be called before pyarrow, dlt or a client is imported."""
    gc.set_threshold(_OBJECTS)
    sys.meta_path.insert(0, _NoPandas())


class _NoPandas:
    """pyarrow imports pandas as soon as it is installed, whoever needs it: 0.4 s. Nothing of ours does."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("python/ingest.py does without pandas", name=name)
