"""Where attempts are executed: in threads of this process, or on a cluster. Both are `concurrent.futures` executors."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Protocol

from rehearse.engine.attempts import AttemptSpec, Ended, Workshop, stop

LOCAL = "local"


class Pool(Protocol):
    """`name` stands in the record of each attempt. `slots`: attempts that may run at the same time."""

    name: str
    slots: int

    def submit(self, spec: AttemptSpec) -> Future[Ended]: ...
    def attend(self, spec: AttemptSpec) -> Future[Ended]: ...
    def stop(self, spec: AttemptSpec, *, kill: bool = False) -> None: ...
    def close(self) -> None: ...


class Threads:
    """Attempts of this machine. A thread only waits for its supervisor."""

    name = LOCAL

    def __init__(self, workshop: Workshop, workers: int):
        self.slots = workers
        self._workshop = workshop
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="task")
        self._others = ThreadPoolExecutor(256, thread_name_prefix="attended")  # of an earlier engine, whatever its size

    def submit(self, spec: AttemptSpec) -> Future[Ended]:
        return self._executor.submit(self._workshop.execute, spec)

    def attend(self, spec: AttemptSpec) -> Future[Ended]:
        return self._others.submit(self._workshop.attend, spec)

    def stop(self, spec: AttemptSpec, *, kill: bool = False) -> None:
        stop(self._workshop.root / spec.folder, kill=kill)

    def close(self) -> None:
        for executor in (self._executor, self._others):
            executor.shutdown(wait=False, cancel_futures=True)


PoolMaker = Callable[[Workshop, int], Pool]


def make_pool(executor: str | None, workshop: Workshop, workers: int) -> Pool:
    """`executor`: None for threads, or `dask://host:port`. Raises UsageError."""
    if executor is None or executor == LOCAL:
        return Threads(workshop, workers)
    from rehearse.engine.cluster import Cluster

    return Cluster(executor, workshop, workers)
