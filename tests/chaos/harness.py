"""The differential harness: a run that is disturbed and goes on must end as the undisturbed one.

Usage: python tests/chaos/harness.py [RUNS] [SEED]     (each run: one `kill -9` at a random named point, sometimes two)
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearse.engine.crash import POINTS, SUPERVISOR_POINTS, VARIABLE

HERE = Path(__file__).parent
REHEARSE = Path(sys.executable).with_name("rehearse")
LIMIT_SECONDS = 90
# How often each point is passed in an undisturbed run, at most: a later passage would never come.
PASSAGES = {"run.recorded": 2, "child.recorded": 1, "wait.begun": 2, "finish.before": 2, "finish.after": 2}
RECOVERY = ("recovery.taken", "recovery.looked")
NOT_HERE = ("retry.scheduled", "stop.sent", *RECOVERY)


@dataclass(frozen=True)
class Outcome:
    """`states`: pipeline/task[item] -> status, of the run and of the run that it starts. `table`: its rows, sorted.
    `attempts`: each start that a task signed for. `deaths`: how often the engine was killed."""

    status: str
    states: dict[str, str]
    outputs: dict[str, Any]
    table: list[tuple[str, str]]
    attempts: Counter[str]
    deaths: int
    left: list[str]


def run(folder: Path, crashes: list[str]) -> Outcome:
    """A run in a fresh folder; the n-th start of rehearse dies at the n-th crash point, then it is started again."""
    folder.mkdir()
    for name in ("pipeline.yml", "child.yml", "work.py"):
        shutil.copy(HERE / name, folder)
    (folder / "rehearse.toml").touch()
    command, deaths = [str(REHEARSE), "run", "pipeline.yml", "--workers", "4"], 0
    for number in range(len(crashes) + 2):
        env = dict(os.environ) | ({VARIABLE: crashes[number]} if number < len(crashes) else {})
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_SECONDS)
        if done.returncode != -signal.SIGKILL:
            break
        deaths += 1
        command = [str(REHEARSE), "resume"]
    else:
        raise AssertionError(f"it died without being told to: {crashes}")
    if done.returncode not in (0, 1) or "internal error" in done.stderr:
        raise AssertionError(done.stderr)
    return _outcome(folder, deaths)


def _outcome(folder: Path, deaths: int) -> Outcome:
    db = sqlite3.connect(folder / ".rehearse" / "rehearse.db")
    runs = dict(db.execute("select id, pipeline from runs"))
    status = db.execute("select status from runs where pipeline = 'pipeline'").fetchall()
    assert len(status) == 1 and sorted(runs.values()) == ["child", "pipeline"], (status, runs)
    states, outputs = {}, {}
    for run_id, task, item, state, value in db.execute("select run_id, task_id, item, status, outputs from task_runs"):
        label = f"{runs[run_id]}/{task}" + (f"[{item}]" if item else "")
        assert label not in states, label
        states[label] = state
        kept = json.loads(value)
        outputs[label] = {"pipeline_run_id": "..."} if "pipeline_run_id" in kept else kept
    db.close()
    table = sqlite3.connect(folder / "table.db")
    rows = sorted(table.execute("select key, value from t"))
    table.close()
    attempts = Counter((folder / "attempts").read_text().splitlines())
    return Outcome(status[0][0], states, outputs, rows, attempts, deaths, left_behind(folder))


def left_behind(folder: Path) -> list[str]:
    """Processes that still run in this folder."""
    deadline = time.monotonic() + 5
    while True:
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:
                continue
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def check(disturbed: Outcome, undisturbed: Outcome) -> None:
    """Raises AssertionError when the crash made a difference."""
    assert disturbed.status == undisturbed.status
    assert disturbed.states == undisturbed.states
    assert disturbed.outputs == undisturbed.outputs
    assert disturbed.table == undisturbed.table
    assert set(disturbed.attempts.values()) == {1}, disturbed.attempts  # no attempt ran twice
    assert disturbed.left == []


def choose(rng: random.Random) -> list[str]:
    """One crash, or a second one while the first is recovered from."""
    points = [point for point in POINTS if point not in NOT_HERE] + list(SUPERVISOR_POINTS)
    point = rng.choice(points)
    first = f"{point}:{rng.randint(1, PASSAGES.get(point, 10))}"
    if rng.random() < 0.25:
        return [first, rng.choice([*RECOVERY, "commit.before:2", "commit.after:2", "attempt.after:1"])]
    return [first]


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    rng = random.Random(seed)
    started, deaths, failures = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory() as name:
        undisturbed = run(Path(name) / "undisturbed", [])
        for number in range(count):
            crashes = choose(rng)
            folder = Path(name) / str(number)
            try:
                disturbed = run(folder, crashes)
                check(disturbed, undisturbed)
                deaths += disturbed.deaths
                shutil.rmtree(folder)
            except (AssertionError, subprocess.TimeoutExpired) as e:
                failures += 1
                kept = Path(tempfile.mkdtemp(prefix="chaos-")) / "run"
                shutil.copytree(folder, kept, symlinks=True)
                print(f"run {number}, {crashes}: {str(e)[:2000]}\n  kept in {kept}", flush=True)
            if number % 20 == 19:
                print(f"{number + 1} runs, {deaths} engines killed, {failures} differ", flush=True)
    seconds = time.monotonic() - started
    print(f"{count} runs (seed {seed}), {deaths} engines killed, {failures} differ; {seconds:.0f} s")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
