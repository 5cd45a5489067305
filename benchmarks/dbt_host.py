"""What a dbt task costs beside the same command in one warm Python process, where dbt has been imported and has run already.

Usage: python benchmarks/dbt_host.py [BUILDS]     (the environment of `make install`; nothing has to be up)

A generated project (20 models, 40 tests, DuckDB) is built BUILDS times by each, in turns: the pipeline has a dbt task, then a
task that asks the warm process for a build, and so on. Each has a copy of the project. Prints the medians without the first
build of each, and the ratio. The target is 1.3.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from startup import BIN

TARGET = 1.3
WARM = """
import contextlib, io, json, os, socket, sys, time
os.environ["DBT_VERSION_CHECK"] = "false"
from dbt.cli.main import dbtRunner
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
times = []
for _ in range(int(sys.argv[1])):
    caller = server.accept()[0]
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        assert dbtRunner().invoke(["build"]).success
    times.append(time.perf_counter() - start)
    caller.close()
print(json.dumps(times))
"""
ASK = "import socket; socket.create_connection(('127.0.0.1', {port})).recv(1)"
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


def pipeline(builds: int, port: int) -> str:
    dbt = {"integration": "DBT_CORE", "integration_job": "DBT_CORE_EXECUTE"}
    ask = {"integration": "PYTHON", "integration_job": "PYTHON_EXECUTE_SCRIPT"}
    tasks: dict[str, Any] = {}
    for number in range(builds):
        before = [f"w{number - 1}"] if number else []
        build = {"commands": "dbt build", "project_dir": "ours"}
        tasks[f"b{number}"] = {"name": f"b{number}", **dbt, "depends_on": before, "parameters": build}
        code = {"source": "INLINE", "code": ASK.format(port=port)}
        tasks[f"w{number}"] = {"name": f"w{number}", **ask, "depends_on": [f"b{number}"], "parameters": code}
    return json.dumps({"version": "v1", "name": "builds", "pipeline": {"g": {"tasks": tasks}}})


def main() -> None:
    builds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "rehearse.toml").touch()
        for project in ("ours", "theirs"):
            write_project(folder / project)
        command = [sys.executable, "-c", WARM, str(builds)]
        with subprocess.Popen(command, cwd=folder / "theirs", stdout=subprocess.PIPE, text=True) as warm:
            assert warm.stdout is not None
            (folder / "p.yml").write_text(pipeline(builds, int(warm.stdout.readline())))
            try:
                run = [str(BIN / "rehearse"), "run", "p.yml", "--json"]
                done = subprocess.run(run, cwd=folder, check=True, capture_output=True, text=True)
                bare = json.loads(warm.stdout.readline())
            finally:
                warm.kill()
        ours = [task["seconds"] for task in json.loads(done.stdout)["tasks"] if task["task"].startswith("b")]
    mine, other = statistics.median(ours[1:]), statistics.median(bare[1:])
    print(f"| A dbt task ({builds - 1} builds of 20 models and 40 tests) | One warm process | Ratio |\n|---|---|---|")
    print(f"| {mine:.2f} s | {other:.2f} s | {mine / other:.2f} (target: {TARGET:g}) |")
    print(f"The first one: {ours[0]:.1f} s with the import of dbt, {bare[0]:.1f} s without.")


if __name__ == "__main__":
    main()
