"""What all routes share: where the project is, its keys and switches, and a store per thread."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from rehearse.api.keys import Keys
from rehearse.bindings.config import Bindings
from rehearse.engine.catalog import Catalog, Files, with_stored
from rehearse.store.ids import id_of
from rehearse.store.records import Store, open_store


@dataclass(frozen=True)
class Switches:
    """For tests of clients (section 8 of the API reference). `rate`: requests per minute and key; 0 is no limit.

    `forced`: (method or *, path pattern, status). `latency`: seconds added to each answer. `window_hours`: how far back lists go
    that are asked for no time.
    """

    rate: int = 0
    forced: tuple[tuple[str, str, int], ...] = ()
    latency: float = 0.0
    window_hours: int = 24


@dataclass
class Service:
    """`bindings` gives the bindings of now: `rehearse.toml` may change while we serve. `wake` tells the engine of new work."""

    root: Path
    keys: Keys
    bindings: Callable[[], Bindings]
    switches: Switches = field(default_factory=Switches)
    hosts: frozenset[str] = frozenset({"127.0.0.1", "localhost", "[::1]", "testserver"})
    exposed: bool = False
    """Whether other machines may come, by this one's addresses."""
    wake: Callable[[], None] = lambda: None
    allow_edits: bool = True
    """Whether pipelines may be created and changed over the API: that is code execution by design."""
    files: Files = field(init=False)
    _local: Any = field(default_factory=threading.local, repr=False)

    def __post_init__(self) -> None:
        self.files = Files(self.root)

    def catalog(self) -> Catalog:
        """The pipelines of now. Raises StoreError."""
        return Catalog(self.files, self.store)

    def all_bindings(self) -> Bindings:
        """With the environments of the store. Raises BindingError, StoreError."""
        return with_stored(self.bindings(), self.store)

    @cached_property
    def account_id(self) -> str:
        """Of the workspace: one project is one workspace."""
        return id_of("account", self.root.resolve())

    @property
    def account_name(self) -> str:
        return self.root.resolve().name

    @property
    def store(self) -> Store:
        """That of the calling thread. Raises StoreError."""
        if not hasattr(self._local, "store") or self._local.store.database.is_lost():
            self._local.store = open_store(self.root)
        found: Store = self._local.store
        return found
