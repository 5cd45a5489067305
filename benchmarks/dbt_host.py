"""What a dbt task costs beside the same command in one warm Python process, where dbt has been imported and has run already.

Usage: python benchmarks/dbt_host.py [BUILDS]     (the environment of `make install`; nothing has to be up)

A generated project (20 models, 40 tests, DuckDB) is built BUILDS times: by a pipeline of as many tasks, and by `dbtRunner` in one
process. Prints the medians without the first build of each, and the ratio. The target is 1.3.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from startup import BIN

TARGET = 1.3
WARM = """
import contextlib, io, json, os, sys, time
os.environ["DBT_VERSION_CHECK"] = "false"
from dbt.cli.main import dbtRunner
times = []
for _ in range(int(sys.argv[1])):
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        assert dbtRunner().invoke(["build"]).success
    times.append(time.perf_counter() - start)
print(json.dumps(times))
"""
PROFILE = "tiny: {target: dev, outputs: {dev: {type: duckdb, path: tiny.duckdb, threads: 2}}}"
PROJECT = "{name: tiny, version: '1.0', profile: tiny, flags: {send_anonymous_usage_stats: false}}"


def write_project(folder: Path, models: int = 20) -> None:
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(PROJECT)
    (folder / "profiles.yml").write_text(PROFILE)
    entries = []
    for number in range(models):
        source = (
            f"select * from {{{{ ref('m{number - 1}') }}}}" if number % 4 else "select range as id from range(1000)"
        )
        (folder / "models" / f"m{number}.sql").write_text(f"{{{{ config(materialized='table') }}}} {source}")
        entries.append(f"{{name: m{number}, columns: [{{name: id, data_tests: [not_null, unique]}}]}}")
    (folder / "models" / "models.yml").write_text(f"models: [{', '.join(entries)}]")


def pipeline(builds: int) -> str:
    lines = ["version: v1", "name: builds", "pipeline:", "  g:", "    tasks:"]
    for number in range(builds):
        before = f"[b{number - 1}]" if number else "[]"
        job = "integration: DBT_CORE, integration_job: DBT_CORE_EXECUTE"
        lines.append(
            f"      b{number}: {{name: b{number}, {job}, depends_on: {before}, "
            "parameters: {commands: dbt build, project_dir: tiny}}"
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    builds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rehearse.toml").touch()
        write_project(folder / "tiny")
        (folder / "p.yml").write_text(pipeline(builds))
        command = [sys.executable, "-c", WARM, str(builds)]
        bare = json.loads(
            subprocess.run(command, cwd=folder / "tiny", check=True, capture_output=True, text=True).stdout
        )
        command = [str(BIN / "rehearse"), "run", "p.yml", "--json"]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        ours = [task["seconds"] for task in json.loads(done.stdout)["tasks"]]
    mine, other = statistics.median(ours[1:]), statistics.median(bare[1:])
    print(f"| A dbt task ({builds - 1} builds of 20 models and 40 tests) | One warm process | Ratio |\n|---|---|---|")
    print(f"| {mine:.2f} s | {other:.2f} s | {mine / other:.2f} (target: {TARGET:g}) |")
    print(f"The first one, with the import of dbt: {ours[0]:.1f} s and {bare[0]:.1f} s.")


if __name__ == "__main__":
    main()
