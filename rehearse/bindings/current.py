"""The bindings of now, for a process that goes on: rehearse.toml is read again when it changes."""

from __future__ import annotations

import threading
from pathlib import Path

from rehearse.bindings.config import FILE, Bindings, load_bindings

_Stamp = tuple[int, int] | None


class CurrentBindings:
    """Call it for them. Raises BindingError while the file is broken. Threads may share it."""

    def __init__(self, root: Path):
        self._root = root
        self._lock = threading.Lock()
        self._stamp = self._look()
        self._found = load_bindings(root)

    def __call__(self) -> Bindings:
        with self._lock:
            stamp = self._look()
            if stamp != self._stamp:
                self._found = load_bindings(self._root)
                self._stamp = stamp
            return self._found

    def _look(self) -> _Stamp:
        try:
            found = (self._root / FILE).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size
