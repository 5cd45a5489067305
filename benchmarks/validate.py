"""`rehearse validate` over 70 realistic pipelines in one cold process, beside a bare interpreter that only parses them.

Usage: python benchmarks/validate.py [RUNS]     (the environment of `make install`; nothing has to be up)

Prints medians of alternating runs and the ratio; the target is 1.0 s, better 0.5 s, on two cores.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines import write_pipelines
from startup import BIN, seconds

BARE = "import sys, yaml\nfor name in sys.argv[1:]: yaml.load(open(name, encoding='utf-8'), yaml.CSafeLoader)"


def main() -> None:
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 9
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [str(path) for path in write_pipelines(folder, 70)]
        size, lines = sum(Path(f).stat().st_size for f in files), sum(Path(f).read_text().count("\n") for f in files)
        rehearse, python = str(BIN / "rehearse"), sys.executable
        rows = [
            ("`rehearse validate`, 70 pipelines", [rehearse, "validate", *files], [python, "-c", BARE, *files]),
            ("`rehearse validate`, one of them", [rehearse, "validate", files[0]], [python, "-c", BARE, files[0]]),
            ("`rehearse --help`", [rehearse, "--help"], [python, "-c", "pass"]),
        ]  # fmt: skip
        print(f"70 pipelines: {lines:,} lines, {size // 1024:,} KiB; {runs} runs each, alternating")
        print("| What | Time | Bare | Ratio |\n|---|---|---|---|")
        for label, ours, bare in rows:
            subprocess.run(ours, cwd=folder, check=True, capture_output=True)
            pairs = [(seconds(ours, folder), seconds(bare, folder)) for _ in range(runs)]
            mine, other = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(a / b for a, b in pairs)
            print(f"| {label} | {mine:.2f} s | {other:.2f} s | {ratio:.1f} |")


if __name__ == "__main__":
    main()
