"""`rehearse serve` as a process of its own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path


class Served:
    """`url` and `token` are what it says at its start; `said` are its lines."""

    url: str = ""
    token: str = ""

    def __init__(self, root: Path, *arguments: str, **env: str):
        self.root = root
        self.process = subprocess.Popen(
            [sys.executable, "-u", "-m", "rehearse", "serve", *arguments], cwd=root, text=True, stderr=subprocess.PIPE,
            env=os.environ | env,
        )  # fmt: skip
        self.said: list[str] = []
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.said.append(line)
            if found := re.search(r"at (http://\S+?:\d+)/\?token=(\S+)", line):
                self.url, self.token = found.groups()
                return

    def stop(self, number: int = signal.SIGINT) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        _, rest = self.process.communicate(timeout=20)
        self.said.append(rest)
        return self.process.returncode
