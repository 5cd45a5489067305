"""What a person waits for: cold processes, alternating with the same work done without us. Prints medians and ratios.

Usage: python benchmarks/startup.py [RUNS]     (the environment of `make install`; nothing has to be up)
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
ONE_TASK = """\
version: v1
name: one task
pipeline:
  g: {tasks: {t: {name: t, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {command: python -c pass}}}}
"""
TEN_TASKS = ONE_TASK.replace(
    "tasks: {t", "matrix: {inputs: {n: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]}, max_parallel: 2}, tasks: {t"
)
BARE_TEN = (
    "import subprocess, sys; from concurrent.futures import ThreadPoolExecutor as P; "
    "list(P(2).map(lambda _: subprocess.run([sys.executable, '-c', 'pass']), range(10)))"
)
BARE_YAML = "import yaml; yaml.load(open(r'{}'), yaml.CSafeLoader)"


def seconds(command: list[str], cwd: Path) -> float:
    start = time.perf_counter()
    subprocess.run(command, cwd=cwd, check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    python, rehearse = sys.executable, str(BIN / "rehearse")
    pipeline = str(ROOT / "orchestra" / "commerce_daily.yml")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rehearse.toml").touch()
        (folder / "one.yml").write_text(ONE_TASK)
        (folder / "ten.yml").write_text(TEN_TASKS)
        rows = [
            ("`rehearse --help`", [rehearse, "--help"], [python, "-c", "pass"]),
            (
                "`rehearse validate` of one pipeline",
                [rehearse, "validate", pipeline],
                [python, "-c", BARE_YAML.format(pipeline)],
            ),
            ("`rehearse run`, one empty Python task", [rehearse, "run", "one.yml"], [python, "-c", "pass"]),
            ("`rehearse run`, ten, two at a time", [rehearse, "run", "ten.yml"], [python, "-c", BARE_TEN]),
            (
                "`python python/ingest.py --help`",
                [python, str(ROOT / "python" / "ingest.py"), "--help"],
                [python, "-c", "pass"],
            ),
        ]
        print(f"| What | Time | Bare |\n|---|---|---|   ({runs} runs each, alternating)")
        for label, ours, bare in rows:
            seconds(ours, folder), seconds(bare, folder)  # fills the caches of files and bytecode
            pairs = [(seconds(ours, folder), seconds(bare, folder)) for _ in range(runs)]
            mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"| {label} | {mine:.2f} s | {other:.2f} s |")


if __name__ == "__main__":
    main()
