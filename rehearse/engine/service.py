"""An engine that goes on: it takes every run that was accepted or abandoned, until it is told to stop.

When the store fails, runs are let go of as they are, and taken up again when it is back: their tasks go on meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from rehearse.engine.attempts import Workshop
from rehearse.engine.engine import Engine, Progress
from rehearse.engine.pools import Pool
from rehearse.engine.recovery import recover, take
from rehearse.engine.waits import WAIT
from rehearse.errors import StoreError
from rehearse.store.records import Store

SWEEP_SECONDS = 5.0
"""How often we look for runs of engines that died beside us."""
RETRY_SECONDS = 2.0


def serve_runs(
    workshop: Workshop, open_store: Callable[[], Store], pool: Pool, progress: Progress, is_over: Callable[[], bool]
) -> None:
    """Returns when `is_over`, or after a signal. Raises StoreError only when the store cannot be opened at the start."""
    store = open_store()
    while True:
        engine = Engine(workshop, store, pool, progress, WAIT)
        try:
            _drive(engine, is_over)
            engine.leave()
            return
        except StoreError as e:
            engine.leave()
            progress.note(f"{e}; tasks that run go on, and so do we when the store is back")
        finally:
            store.close()
        while True:
            if is_over() or engine.interrupted:
                return
            time.sleep(RETRY_SECONDS)
            try:
                store = open_store()
                break
            except StoreError:
                continue


def _drive(engine: Engine, is_over: Callable[[], bool]) -> None:
    next_sweep = 0.0

    def noticed() -> None:
        take(engine, engine.store.unowned())

    def over() -> bool:
        nonlocal next_sweep
        if time.monotonic() >= next_sweep:
            next_sweep = time.monotonic() + SWEEP_SECONDS
            recover(engine)
        return is_over() or engine.interrupted

    engine.noticed = noticed
    engine.drive(until=over)
