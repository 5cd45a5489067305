"""Everything that comes due by itself, in a thread beside the engine: whoever is in it may be slow, or fail, alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from rehearse.errors import StoreError
from rehearse.store.records import Store

Tick = Callable[[datetime], "datetime | None"]
"""Does what is due at that moment, and says when it wants to be called again; None when nothing is to come."""
LONGEST = 1.0
"""Seconds until everything is asked again, whatever it said: somebody else may have written to the store."""


class Loop:
    """`ticks`: name -> what to call. `make` is called in the thread, whose store is no other's. `tell` shows a problem."""

    def __init__(self, make: Callable[[], Mapping[str, Tick]], tell: Callable[[str], None]):
        self._make = make
        self._tell = tell
        self._wake = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="triggers", daemon=True)
        self._said: dict[str, str] = {}

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._over.set()
        self._wake.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        ticks: Mapping[str, Tick] = {}
        while not self._over.is_set():
            now = datetime.now(UTC)
            due = now + timedelta(seconds=LONGEST)
            try:
                ticks = ticks or self._make()
            except Exception as e:
                self._problem("triggers", e)
            for name, tick in ticks.items():
                try:
                    due = min(due, tick(now) or due)
                    self._said.pop(name, None)
                except StoreError as e:  # a connection that broke is no use any more
                    self._problem("triggers", e)
                    ticks = {}
                    break
                except Exception as e:
                    self._problem(name, e)
            self._wake.wait(max(0.02, (due - datetime.now(UTC)).total_seconds()))
            self._wake.clear()

    def _problem(self, name: str, error: Exception) -> None:
        """Once, until it is another one: a store that is gone is gone for many ticks."""
        said = f"{name}: {error}" if str(error) else f"{name}: {type(error).__name__}"
        if self._said.get(name) != said:
            self._said[name] = said
            self._tell(said)


def when_leading(store: Store, tick: Tick) -> Tick:
    """Of several servers on one store, only one runs triggers at a time; another one takes over when it is gone."""
    return lambda now: tick(now) if store.leads() else None


def every(seconds: float, call: Callable[[], None]) -> Tick:
    """A tick that does the same again and again."""
    due = datetime.min.replace(tzinfo=UTC)

    def tick(now: datetime) -> datetime:
        nonlocal due
        if now >= due or due - now > timedelta(seconds=seconds):  # the clock was set back
            call()
            due = now + timedelta(seconds=seconds)
        return due

    return tick
