"""A warm process, as the engine's: imports modules once, then forks a child for each step that has a `call`.

Usage: fork_harness.py MODULE ... Reads one JSON object per line on stdin, {"call", "env", "cwd", "log", "reports"} (the last
two are paths), and prints "ready", then "<index> <exit code>" for each child that ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import select
import signal
import sys
from typing import Any


def main() -> None:
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()
    print("ready", flush=True)
    children: dict[int, int] = {}
    index = 0
    held = b""
    while True:
        if select.select([0], [], [], 0.02)[0]:
            data = os.read(0, 65536)
            if not data:
                return
            *lines, held = (held + data).split(b"\n")
            for line in lines:
                children[_start(json.loads(line))] = index
                index += 1
        for pid in list(children):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                print(children.pop(pid), os.waitstatus_to_exitcode(status), flush=True)


def _start(request: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    log = os.open(request["log"], os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    reports = os.open(request["reports"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.closerange(3, reports)
    os.closerange(reports + 1, 4096)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"], REHEARSE_REPORT_FD=str(reports))
    sys.stdout = os.fdopen(1, "w", buffering=1, encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, encoding="utf-8", closefd=False)
    module, function = request["call"].split(":")
    sys.argv = [module]
    raise SystemExit(getattr(importlib.import_module(module), function)())


if __name__ == "__main__":
    main()
