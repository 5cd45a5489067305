"""Reading ahead: a source waits for its system, and dlt for its disk; both need not wait for each other."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any, TypeVar

T = TypeVar("T")
DEPTH = 1
"""Batches that are read before they are wanted: what bounds the memory that this takes."""
_END = object()


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, taken from `items` in a thread of its own. What it raises is raised here. Who stops early stops it."""
    found: queue.Queue[Any] = queue.Queue(DEPTH)
    stopped = threading.Event()

    def put(item: Any) -> bool:
        while not stopped.is_set():
            try:
                found.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def read() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    break
            else:
                put((_END, None))
        except BaseException as error:
            put((_END, error))
        finally:
            if close := getattr(items, "close", None):
                close()

    thread = threading.Thread(target=read, name="read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = found.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stopped.set()
        thread.join()
