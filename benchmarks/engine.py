"""What the engine adds to the tasks: cold process to finished run, durable store on, beside a bare script on the same work.

Usage: python benchmarks/engine.py [RUNS] [--memory]     (the environment of `make install`; nothing has to be up)

The bare script is `concurrent.futures` and `subprocess`, nothing else. Alternating runs; medians, and the difference per task.
`--memory` runs 10,000 tasks and prints how much the engine's memory grew per task (Linux).
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from startup import BIN, seconds

TASK = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT"
BARE = """\
import subprocess, sys
from concurrent.futures import ThreadPoolExecutor
command, count, width = sys.argv[3:], int(sys.argv[1]), int(sys.argv[2])
with ThreadPoolExecutor(width) as pool:
    list(pool.map(lambda _: subprocess.run(command, check=True, capture_output=True), range(count)))
"""
TARGET_MS = 10.0
TARGET_SECONDS = 0.6
TARGET_KB = 20.0


def fan_out(count: int, command: str) -> str:
    items = json.dumps(list(range(count)))
    return (
        f"version: v1\nname: fan-out\npipeline:\n  g:\n    matrix: {{inputs: {{n: {items}}}}}\n"
        f"    tasks: {{t: {{name: t, {TASK}, parameters: {{command: {command}}}}}}}\n"
    )


def chain(count: int) -> str:
    lines = ["version: v1", "name: chain", "pipeline:", "  g:", "    tasks:"]
    for number in range(count):
        before = f"[t{number - 1}]" if number else "[]"
        task = f"{TASK}, depends_on: {before}, parameters: {{command: python -c pass}}"
        lines.append(f"      t{number}: {{name: t{number}, {task}}}")
    return "\n".join(lines) + "\n"


def main() -> None:
    arguments = [argument for argument in sys.argv[1:] if argument != "--memory"]
    runs = int(arguments[0]) if arguments else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rehearse.toml").touch()
        if "--memory" in sys.argv:
            measure_memory(folder)
            return
        python, empty = sys.executable, [sys.executable, "-c", "pass"]
        # `/bin/true` as a task: the command of a task begins with python, poetry or uv, so a link of that name stands for it
        links = folder / "bin"
        links.mkdir()
        (links / "poetry").symlink_to("/bin/true")
        rows = [
            ("100 x `python -c pass`, 2 wide", fan_out(100, "python -c pass"), 2, 100, empty),
            ("100 x `python -c pass`, 8 wide", fan_out(100, "python -c pass"), 8, 100, empty),
            ("a chain of 50 x `python -c pass`", chain(50), 1, 50, empty),
            ("1,000 x `/bin/true`, 8 wide", fan_out(1000, "poetry"), 8, 1000, ["/bin/true"]),
            ("one empty task", fan_out(1, "python -c pass"), 2, 1, empty),
        ]
        print(f"| What ({runs} runs each, alternating) | Ours | Bare | Ratio | Per task |\n|---|---|---|---|---|")
        for number, (label, text, width, count, command) in enumerate(rows):
            (folder / f"{number}.yml").write_text(text)
            ours = [str(BIN / "rehearse"), "run", f"{number}.yml", "--workers", str(width)]
            ours = ["env", f"PATH={links}:/usr/bin:/bin", *ours] if command == ["/bin/true"] else ours
            bare = [python, "-c", BARE, str(count), str(width), *command]
            seconds(ours, folder), seconds(bare, folder)
            pairs = [(seconds(ours, folder), seconds(bare, folder)) for _ in range(runs)]
            mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
            extra = statistics.median(a - b for a, b in pairs) / count * 1000
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {label} | {mine:.2f} s | {other:.2f} s | {ratio:.1f} | {extra:+.1f} ms |", flush=True)
        print(f"Targets: at most {TARGET_MS:g} ms per task, at most {TARGET_SECONDS:g} s for one task.")


def measure_memory(folder: Path, count: int = 10_000) -> None:
    """Resident memory of the engine's process while it runs, sampled: how much more than with 100 tasks, per task."""
    peaks = []
    for number in (100, count):
        (folder / "many.yml").write_text(fan_out(number, "python -V"))
        command = [str(BIN / "rehearse"), "run", "many.yml", "--workers", "4"]
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        peak = [0]

        def sample(process: subprocess.Popen[bytes] = process, peak: list[int] = peak) -> None:
            while process.poll() is None:
                peak[0] = max(peak[0], resident(process.pid))
                time.sleep(0.1)

        thread = threading.Thread(target=sample)
        started = time.perf_counter()
        thread.start()
        code = process.wait()
        thread.join()
        peaks.append(peak[0])
        print(
            f"{number:,} tasks: exit {code}, {time.perf_counter() - started:.0f} s, {peak[0] / 1024:.0f} MB", flush=True
        )
    print(f"{(peaks[1] - peaks[0]) / (count - 100):.1f} KB per task (target: below {TARGET_KB:g})")


def resident(pid: int) -> int:
    """KiB."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


if __name__ == "__main__":
    main()
