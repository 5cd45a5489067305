"""The three systems, really running, in a state folder of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox import systems
from sandbox.home import Home


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Systems for tests that only read."""
    home = Home(tmp_path_factory.mktemp("sandbox") / "home")
    systems.up(home=home)
    yield home
    systems.reset(home=home)


@pytest.fixture
def own_home(tmp_path: Path) -> Iterator[Home]:
    """A state folder with nothing in it, for tests that start, stop and change."""
    home = Home(tmp_path / "home")
    yield home
    systems.reset(home=home)
