from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trigger_harness import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    made = Repository(tmp_path)
    yield made
    made.store.close()
