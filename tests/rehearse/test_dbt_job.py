"""DBT_CORE_EXECUTE on DuckDB. Importing dbt takes seconds, so most tests fork from one warm process, as the engine does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from process_harness import WarmProcess, attempt_in, connection, run_steps

from rehearse.bindings.config import Connection
from rehearse.jobs import dbt_core, dbt_state
from rehearse.jobs.base import JobError, Launch
from rehearse.jobs.dbt_host import VARIABLE

JOB = "DBT_CORE_EXECUTE"
PRELOAD = ("dbt.adapters.duckdb", "rehearse.jobs.dbt_warm")
FILES = {
    "dbt_project.yml": "{name: shop, version: '1.0', profile: shop, flags: {send_anonymous_usage_stats: false}}",
    "profiles.yml": """
shop:
  target: dev
  outputs:
    dev: {type: duckdb, path: "{{ env_var('DUCKDB_PATH') }}", threads: 2}
""",
    "seeds/raw.csv": "id,amount\n1,10\n2,20\n",
    "models/base.sql": "{{ config(materialized='ephemeral') }} select * from {{ ref('raw') }}",
    "models/sales.sql": "{{ config(materialized='table') }} select * from {{ ref('base') }}",
    "models/report.sql": "select sum(amount) as total, '{{ env_var(\"X_WHO\", \"nobody\") }}' as who from {{ ref('sales') }}",
    "models/models.yml": """
models:
  - name: sales
    columns: [{name: amount, data_tests: [{accepted_values: {arguments: {values: [10]}, config: {severity: warn}}}]}]
""",
    "models/broken/broken.sql": "{{ config(enabled=var('broken', false)) }} select nothing from {{ ref('sales') }}",
    "models/broken/slow.sql": "{{ config(enabled=var('slow', false)) }} select count(*) as n from range(40000) a, range(9999999)",
}


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmProcess]:
    process = WarmProcess(PRELOAD)
    process.wait_until_ready()
    yield process
    process.close()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, warm: WarmProcess) -> Path:
    """The project, parsed: dbt takes seconds for its own macros."""
    root = tmp_path_factory.mktemp("template")
    for name, text in FILES.items():
        path = root / "dbt" / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert warm.run(prepared(root, "dbt parse").steps[0])[0].code == 0
    shutil.rmtree(root / ".rehearse")
    return root


@pytest.fixture
def root(tmp_path: Path, template: Path) -> Path:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return tmp_path


def prepared(
    root: Path, commands: str, folder: str = "attempt", on: Connection | None = None, isolate: bool = False, **more: Any
) -> Launch:
    own = {"DUCKDB_PATH": "w.duckdb"} | more.pop("variables", {})
    parameters = {"commands": commands, "project_dir": "dbt/shop", "environment_variables": json.dumps(own)} | more
    return dbt_core.prepare(JOB, parameters, on, attempt_in(root, folder, isolate=isolate))


def kept(root: Path, folder: str = "attempt") -> dict[str, list[str]]:
    attempt = root / ".rehearse" / "runs" / "r" / folder / "1"
    folders = [path for path in attempt.iterdir() if path.name[0].isdigit()]
    return {path.name: sorted(file.name for file in path.iterdir()) for path in folders}


def rows(root: Path, sql: str, database: str = "w") -> list[tuple[Any, ...]]:
    import duckdb

    with duckdb.connect(str(root / "dbt" / "shop" / f"{database}.duckdb"), read_only=True) as opened:
        return opened.execute(sql).fetchall()


def test_commands_run_in_order_and_report_what_they_did(root: Path, warm: WarmProcess) -> None:
    launch = prepared(root, "dbt seed; dbt build --exclude raw;", variables={"X_WHO": "it is me"})
    [step] = launch.steps
    assert (step.call, step.preload) == ("rehearse.jobs.dbt_host:main", PRELOAD)
    [done] = warm.run(step)
    assert (done.code, done.status, done.message) == (0, "WARNING", "3 success, 1 warn"), done.log
    assert done.log.index("$ dbt seed\n") < done.log.index("$ dbt build --exclude raw\n")
    assert kept(root) == {
        "1-seed": ["manifest.json", "run_results.json"],
        "2-build": ["manifest.json", "run_results.json"],
    }
    assert rows(root, "select total, who from report") == [(30, "it is me")]

    found = {operation["name"]: operation for operation in done.operations}
    assert {name: (o["type"], o["status"], o["upstream"]) for name, o in found.items()} == {
        "seed.shop.raw": ("SEED", "SUCCEEDED", []),
        "model.shop.sales": ("MATERIALISATION", "SUCCEEDED", ["w.main.raw"]),
        "model.shop.report": ("MATERIALISATION", "SUCCEEDED", ["w.main.sales"]),
        "test.shop.accepted_values_sales_amount__10.e03fff75b4": ("TEST", "WARNING", ["w.main.sales"]),
    }
    assert found["model.shop.report"]["asset"] == {
        "integration": "DUCKDB",
        "name": "w.main.report",
        "type": "VIEW",
    }
    assert found["model.shop.sales"]["asset"]["type"] == "TABLE"
    test = found["test.shop.accepted_values_sales_amount__10.e03fff75b4"]
    assert (test["asset"], test["rows"]) == (None, 1) and "Got 1 result" in test["message"]
    assert all(o["started_at"] < o["ended_at"] and o["ended_at"].endswith("Z") for o in found.values())


def test_two_at_once_on_one_project_do_not_meet(root: Path, warm: WarmProcess) -> None:
    """Forked from one process: each has its own environment, folder, artifacts and database."""
    names = ("one", "two")
    launches = [
        prepared(root, "dbt build", name, variables={"X_WHO": name, "DUCKDB_PATH": f"{name}.duckdb"}) for name in names
    ]
    results = warm.run(*(launch.steps[0] for launch in launches))
    assert [done.code for done in results] == [0, 0], results
    for name, done in zip(names, results, strict=True):
        assert rows(root, "select who from report", name) == [(name,)]
        assert {o["asset"]["name"].split(".")[0] for o in done.operations if o["asset"]} == {name}
        assert list(kept(root, name)) == ["1-build"]
        compiled = root / ".rehearse/runs/r" / name / "1/target/compiled/shop/models/report.sql"
        assert f"'{name}' as who" in compiled.read_text()
    # The project gets what dbt knows from parsing, and its newest artifacts.
    assert {"manifest.json", "run_results.json", "partial_parse.msgpack"} <= {
        p.name for p in (root / "dbt/shop/target").iterdir()
    }


def test_the_first_failure_ends_the_task(root: Path, warm: WarmProcess) -> None:
    [done] = warm.run(prepared(root, "dbt build --vars '{broken: true}'; dbt seed").steps[0])
    assert (done.code, done.status, done.message) == (1, "FAILED", "dbt build failed: broken")
    assert "$ dbt seed" not in done.log and list(kept(root)) == ["1-build"]
    [operation] = [o for o in done.operations if o["name"] == "model.shop.broken"]
    assert (operation["status"], operation["rows"]) == ("FAILED", None) and "nothing" in operation["message"]


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("dbt build --no-such-flag", "dbt build failed: No such option '--no-such-flag'"),
        ("dbt build --target nowhere", "does not have a target named 'nowhere'"),
    ],
)
def test_what_dbt_refuses(root: Path, warm: WarmProcess, command: str, message: str) -> None:
    [done] = warm.run(prepared(root, command).steps[0])
    assert (done.code, done.status) == (1, "FAILED") and done.message is not None
    assert message in done.message and message in done.log
    assert (kept(root), done.operations) == ({}, [])


def git(root: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_latest_production_is_the_last_good_run_on_the_default_branch(root: Path, warm: WarmProcess) -> None:
    (root / ".gitignore").write_text(".rehearse/\ntarget/\nlogs/\n*.duckdb\nlatest_production\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-q", "-m", "first")
    commit = git(root, "rev-parse", "HEAD")
    compare = "dbt ls --resource-type model --select state:modified+ --state latest_production"
    [missing] = warm.run(prepared(root, compare).steps[0])
    assert (missing.code, missing.status) == (1, "FAILED")
    assert (
        missing.message is not None
        and "no successful run of this project on 'main' is kept here yet" in missing.message
    )

    [good] = warm.run(prepared(root, "dbt build").steps[0])
    assert good.code == 0 and "kept for latest_production\n" in good.log
    git(root, "switch", "-q", "-c", "feature/x")
    with (root / "dbt/shop/models/report.sql").open("a") as file:
        file.write(" -- changed")
    [other, known, unknown] = warm.run(
        prepared(root, f"dbt build --exclude raw --defer --state latest_production; {compare}").steps[0],
        prepared(root, compare, "known", production_run_identifier=commit[:8]).steps[0],
        prepared(root, compare, "unknown", production_run_identifier="release").steps[0],
    )
    assert other.code == 0 and "kept for latest_production" not in other.log
    assert "Unable to do partial parsing" not in good.log + other.log
    assert "shop.report\n" in other.log and "shop.sales\n" not in other.log.split("$ dbt ls")[1]
    assert known.code == 0 and f"on '{commit[:8]}'" in known.log
    assert unknown.code == 1 and unknown.message is not None and "on 'release' is kept here yet" in unknown.message
    link = root / "dbt" / "shop" / "latest_production"
    assert link.is_symlink() and (link / "run_results.json").is_file()
    assert git(root, "status", "--short", "--untracked-files=all").split() == ["M", "dbt/shop/models/report.sql"]


def test_production_runs_are_kept_whole_and_few(tmp_path: Path) -> None:
    project, artifacts = tmp_path / "p q", tmp_path / "artifacts"
    project.mkdir()
    artifacts.mkdir()
    for number in range(5):
        (artifacts / "manifest.json").write_text(str(number))
        assert dbt_state.save(tmp_path, project, artifacts)
    folder = tmp_path / ".rehearse" / "dbt_state" / "p%20q" / "main"
    assert len(list(folder.iterdir())) == 4 and (folder / "latest" / "manifest.json").read_text() == "4"
    assert dbt_state.place(tmp_path, project, None).startswith("latest_production: the run of 2")
    assert (project / "latest_production" / "manifest.json").read_text() == "4"
    (project / "latest_production").unlink()
    (project / "latest_production").mkdir()
    assert dbt_state.place(tmp_path, project, None) == "latest_production: the project's own folder is used"


@pytest.mark.parametrize(
    ("command", "env", "counts"),
    [
        ("build", {}, True), ("run --select a", {}, True), ("test", {}, True), ("ls", {}, False), ("deps", {}, False),
        ("build --state x", {}, False), ("build --defer --defer-state=x", {}, False), ("run --empty", {}, False),
        ("build", {"DBT_STATE": "x"}, False), ("", {}, False),
    ],
)  # fmt: skip
def test_which_command_leaves_a_production_state(command: str, env: dict[str, str], counts: bool) -> None:
    assert dbt_state.is_production(command.split(), env) is counts


def test_profiles_of_the_connection(root: Path, warm: WarmProcess) -> None:
    """Its text, or a file: in place of the project's own; secrets come by env_var and are not written anywhere."""
    text = FILES["profiles.yml"].replace("threads: 2", "threads: 1, schema: \"{{ env_var('X_SCHEMA') }}\"")
    (root / "dbt" / "shop" / "profiles.yml").unlink()
    (root / "ours").mkdir()
    (root / "ours" / "prod.yml").write_text(text)
    for number, fields in enumerate(({"profiles": text}, {"profiles": "ours/prod.yml"})):
        on = connection("DBT_CORE", root, **fields)
        launch = prepared(root, "dbt seed", f"a{number}", on, variables={"X_SCHEMA": "from_connection"})
        assert launch.steps[0].preload == PRELOAD
        [done] = warm.run(launch.steps[0])
        assert done.operations[0]["asset"]["name"] == "w.from_connection.raw", done.log
        written = Path(launch.steps[0].env["DBT_PROFILES_DIR"], "profiles.yml")
        assert "env_var" in written.read_text() and written.parent.stat().st_mode & 0o077 == 0
    shutil.move(root / "ours" / "prod.yml", root / "ours" / "profiles.yml")
    for fields in ({"profiles_dir": "ours"}, {"profiles": "ours/profiles.yml"}):
        launch = prepared(root, "dbt seed", on=connection("DBT_CORE", root, **fields))
        assert launch.steps[0].env["DBT_PROFILES_DIR"] == str(root / "ours")
    mine = prepared(
        root, "dbt seed", on=connection("DBT_CORE", root, profiles_dir="ours"), variables={"DBT_PROFILES_DIR": "x"}
    )
    assert mine.steps[0].env["DBT_PROFILES_DIR"] == "x"
    for fields in ({"profiles_dir": "nowhere"}, {"profiles": "nowhere.yml"}):
        with pytest.raises(JobError, match=r"connection 'c': .*nowhere"):
            prepared(root, "dbt seed", on=connection("DBT_CORE", root, **fields))


def test_fault_07_an_interrupt_cancels_the_queries(root: Path) -> None:
    """In a process of its own: SIGINT while a query runs that would take hours."""
    launch = prepared(root, "dbt run --vars '{slow: true}' --select slow; dbt seed", use_state_orchestration=True)
    launch.steps[0].env["PATH"] = os.defpath  # where no dbt-orchestra is
    done = run_steps(launch, interrupt_at="1 of 1 START")
    assert (done.code, done.status, done.message) == (130, "FAILED", "interrupted; dbt has cancelled its queries"), (
        done.log
    )
    assert "CANCEL query model.shop.slow" in done.log and "$ dbt seed" not in done.log
    assert done.log.startswith("use_state_orchestration is ignored: dbt-orchestra is not installed")


def test_a_project_in_an_environment_of_its_own(root: Path) -> None:
    """The host runs by path there: that environment has no rehearse. Its dbt is made by hand here, to need no network."""
    (root / "dbt" / "shop" / "requirements.txt").write_text("dbt-duckdb\n")
    launch = prepared(root, "dbt build", isolate=True)
    [build, step] = launch.steps
    assert (
        json.loads(build.env["REHEARSE_ENVIRONMENT"])["made_from"]["build"]
        == "python -m pip install -r requirements.txt"
    )
    environment = Path(step.argv[0]).parents[1]
    library = environment / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    subprocess.run(
        [
            str(Path(sys.executable).parent / "uv"),
            "venv",
            "-q",
            "--no-project",
            "--python",
            sys.executable,
            str(environment),
        ],
        check=True,
    )
    dbt = library / "dbt" / "cli"
    dbt.mkdir(parents=True)
    (dbt / "main.py").write_text(
        "import sys\nclass Result: success, exception = True, None\n"
        "class dbtRunner:\n    def invoke(self, words):\n"
        "        print(words, sys.prefix, [name for name in sys.modules if name.startswith('rehearse')])\n"
        "        return Result\n"
    )
    done = run_steps(Launch([step]))
    assert (done.code, done.status) == (0, "SUCCEEDED"), done.log
    modules = [
        "rehearse",
        "rehearse.jobs",
        "rehearse.jobs.dbt_state",
        "rehearse.jobs.lineage_dbt",
        "rehearse.jobs.report",
    ]
    assert done.log.splitlines()[1] == f"['build'] {environment} {modules}"

    # With dbt-orchestra among the requirements: its command, with a state of this project, and not with that of the cloud.
    (library / "orchestra_dbt").mkdir()
    orc = environment / "bin" / "orc"
    orc.write_text(
        f"#!{environment}/bin/python\nimport json, os, sys\n"
        "names = ('ORCHESTRA_USE_STATEFUL', 'ORCHESTRA_API_KEY', 'ORCHESTRA_STATE_FILE')\n"
        "said = [os.environ.get(name) for name in names]\n"
        "print(json.dumps([sys.argv[1:], *said, open(said[-1]).read()]))\n"
        "sys.exit('--bad' in sys.argv)\n"
    )
    orc.chmod(0o755)
    launch = prepared(root, "dbt run --select a; dbt run --bad", isolate=True, use_state_orchestration=True)
    done = run_steps(Launch([launch.steps[1]]))
    state = root / ".rehearse" / "dbt_state" / "dbt%2fshop" / "orchestration.json"
    said = json.loads(done.log.splitlines()[1])
    assert said == [["dbt", "run", "--select", "a"], "true", None, str(state), '{"state": {}}']
    assert (done.code, done.message) == (1, "dbt run failed: exit code 1")


@pytest.mark.parametrize(
    ("profiles", "modules"),
    [
        ("a: {outputs: {dev: {type: duckdb}, prod: {type: 'postgres'}}}", ["duckdb", "postgres"]),
        ("a:\n  outputs:\n    dev:\n      type: \"duckdb\"\n      path: x\n", ["duckdb"]),
        ("a: {outputs: {dev: {type: nothing_like_it}}}", []),
        ("a: {outputs: {dev: {type: '{{ env_var(1) }}'}}}", []),
        (None, []),
    ],
)  # fmt: skip
def test_what_a_warm_process_imports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, profiles: str | None, modules: list[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    if profiles is not None:
        (tmp_path / "profiles.yml").write_text(profiles)
    wanted = (*(f"dbt.adapters.{name}" for name in modules), "rehearse.jobs.dbt_warm") if modules else ()
    assert dbt_core.preload(tmp_path) == wanted
    assert dbt_core.preload(tmp_path / "other", tmp_path) == wanted


def test_a_variable_for_the_start_of_a_process_needs_a_new_one(root: Path) -> None:
    [step] = prepared(root, "dbt build", variables={"PYTHONHASHSEED": "1"}).steps
    assert (step.call, step.preload) == (None, ())


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"project_dir": None}, "there is no dbt_project.yml in "),
        ({"variables": {"A": "a\0"}}, "variable A holds a NUL character"),
    ],
)
def test_what_is_refused_before_anything_starts(root: Path, more: dict[str, Any], message: str) -> None:
    with pytest.raises(JobError) as error:
        prepared(root, "dbt build", **more)
    assert str(error.value).startswith(message)
    assert VARIABLE not in os.environ
