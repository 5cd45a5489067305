"""Operations of an attempt from what it left behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def collect(
    job: str, folder: Path, root: Path, started: str, ended: str, outputs: Mapping[str, Any]
) -> list[dict[str, Any]]:
    return []
