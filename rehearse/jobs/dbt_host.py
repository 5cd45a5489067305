"""Run in a task's own process: dbt commands through `dbtRunner`, which imports dbt once instead of once per command.

Usage: dbt_host.py FOLDER JSON. Stops at the first command that fails. Keeps each command's artifacts in the attempt's
folder, and reports WARNING when a test warned.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from collections import Counter
from pathlib import Path


def main() -> int:
    folder, commands = Path(sys.argv[1]), json.loads(sys.argv[2])
    # Set by dbt's own flags it would have to go before the verb of every command.
    os.environ.setdefault("DBT_VERSION_CHECK", "false")
    from dbt.cli.main import dbtRunner

    runner = dbtRunner()
    counts: Counter[str] = Counter()
    for number, command in enumerate(commands, 1):
        print(f"$ dbt {shlex.join(command)}", flush=True)
        outcome = runner.invoke(command)
        _keep_artifacts(folder / f"{number}-{command[0] if command else 'dbt'}")
        results = getattr(outcome.result, "results", None) or []
        counts.update(str(result.status) for result in results if hasattr(result, "status"))
        if not outcome.success:
            failed = [r.node.name for r in results if str(getattr(r, "status", "")) in ("error", "fail")]
            what = f": {', '.join(failed[:5])}" if failed else f": {outcome.exception}" if outcome.exception else ""
            _report(folder, "FAILED", f"dbt {command[0]} failed{what}")
            return 1
    summary = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    _report(folder, "WARNING" if counts["warn"] else "SUCCEEDED", summary or None)
    return 0


def _keep_artifacts(folder: Path) -> None:
    target = Path(os.environ.get("DBT_TARGET_PATH", "target"))
    for name in ("manifest.json", "run_results.json"):
        if (target / name).is_file():
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy2(target / name, folder / name)


def _report(folder: Path, status: str, message: str | None) -> None:
    (folder / "result.json").write_text(json.dumps({"status": status, "message": message}))


if __name__ == "__main__":
    sys.exit(main())
