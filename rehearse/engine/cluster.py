"""Attempts on a `dask.distributed` cluster. We write no distribution of our own.

Each worker runs in a checkout of the repository of its own, with its own rehearse.toml, environment and credentials. The
attempt runs there under a supervisor as it does here; what it said, and the end of its log, come back as the result.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from rehearse.engine.attempts import AttemptSpec, Ended, Workshop, stop, with_log
from rehearse.errors import UsageError

CONNECT_SECONDS = 10
LOG_BYTES = 10_000_000
"""As much of a log comes back."""
POLL_SECONDS = 0.5
ROOT_VARIABLE = "REHEARSE_ROOT"

_workshops: dict[Path, Workshop] = {}
_guard = threading.Lock()


class Cluster:
    """`slots`: the threads of all workers, unless `workers` says otherwise."""

    def __init__(self, url: str, workshop: Workshop, workers: int | None):
        try:
            from distributed import Client
        except ImportError as e:
            raise UsageError(f"--executor {url} needs dask", "pip install distributed") from e
        address = url.removeprefix("dask://")
        if not url.startswith("dask://") or not address:
            raise UsageError(f"--executor {url}: there is no such executor", "write dask://HOST:PORT")
        try:
            self._client = Client(f"tcp://{address}", timeout=CONNECT_SECONDS, set_as_default=False)
        except (OSError, TimeoutError) as e:
            raise UsageError(f"no scheduler answers at {address}", "start one with: dask scheduler") from e
        self.name = url
        self._local = workshop
        self._futures: dict[str, Any] = {}
        threads = sum(worker["nthreads"] for worker in self._client.scheduler_info()["workers"].values())
        self.slots = workers or max(1, threads)

    def submit(self, spec: AttemptSpec) -> Future[Ended]:
        key = _key(spec)
        self._queue(key).put(
            "start"
        )  # whoever takes it starts the attempt: should its worker die, nobody does so again
        remote = self._client.submit(execute_on_worker, spec, key=key, pure=False, retries=0)
        self._futures[key] = remote
        result: Future[Ended] = Future()

        def done(remote: Any) -> None:
            self._futures.pop(key, None)
            try:
                ended = (
                    remote.result() if remote.status == "finished" else Ended("FAILED", f"interrupted: {_why(remote)}")
                )
            except Exception as e:
                ended = Ended("FAILED", f"interrupted: {type(e).__name__}: {e}")
            result.set_result(ended)

        remote.add_done_callback(done)
        return result

    def attend(self, spec: AttemptSpec) -> Future[Ended]:
        result: Future[Ended] = Future()
        result.set_result(self._local.conclude(spec))
        return result

    def stop(self, spec: AttemptSpec, *, kill: bool = False) -> None:
        self._client.sync(_set_event, self._client, _key(spec), kill)

    def close(self) -> None:
        self._client.close()

    def _queue(self, key: str) -> Any:
        from distributed import Queue

        return Queue(f"{key}/start", client=self._client)


def execute_on_worker(spec: AttemptSpec) -> Ended:
    """In a worker: run the attempt in this worker's checkout."""
    from distributed import Event, Queue

    key = _key(spec)
    try:
        Queue(f"{key}/start").get(timeout=2)
    except TimeoutError:
        return Ended("FAILED", "interrupted: the worker that ran it was lost")
    workshop = _workshop()
    folder = workshop.root / spec.folder
    over = threading.Event()
    stopping: Any = Event(f"{key}/stop")
    killing: Any = Event(f"{key}/kill")

    def listen() -> None:
        asked = False
        while not over.wait(POLL_SECONDS):
            if killing.is_set():
                stop(folder, kill=True)
            elif stopping.is_set() and not asked:
                asked = True
                stop(folder)

    threading.Thread(target=listen, daemon=True).start()
    try:
        return with_log(workshop.execute(spec), folder, LOG_BYTES)
    finally:
        over.set()


def _workshop() -> Workshop:
    from rehearse.bindings.config import find_root, load_bindings

    root = Path(os.environ.get(ROOT_VARIABLE) or find_root(Path.cwd())).resolve()
    with _guard:
        if root not in _workshops:
            _workshops[root] = Workshop(root, load_bindings(root))
        return _workshops[root]


async def _set_event(client: Any, key: str, kill: bool) -> None:
    from distributed import Event

    event: Any = Event(f"{key}/{'kill' if kill else 'stop'}", client=client)
    await event.set()


def _key(spec: AttemptSpec) -> str:
    return f"rehearse-{spec.task_run_id}-{spec.number}"


def _why(remote: Any) -> str:
    if remote.status == "error":
        return str(remote.exception())
    return "the worker that ran it was lost" if remote.status in ("lost", "cancelled") else str(remote.status)
