"""The real `orchestra-cli`, old and new, against `rehearse serve`: every command (section 5.1 of the API reference)."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from api_harness import BINDINGS, PIPELINE
from serve_harness import Served

from rehearse.store.ids import pipeline_id

OLD, NEW = "0.3.0", "0.5.2"
Cli = Callable[..., subprocess.CompletedProcess[str]]
QUICK = PIPELINE.replace("day: {type: string}", "day: {type: string, default: today}")
SLOW = """version: v1
name: Slow
pipeline:
  talk:
    name: Talk
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters: {command: python -u talk.py}
"""
TALK = """import time
for number in range(8):
    print(f'line {number}', flush=True)
    time.sleep(0.5)
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A checkout with a remote, as `import` and `run` look at git."""
    root = tmp_path_factory.mktemp("workspace")
    (root / "orchestra").mkdir()
    (root / "orchestra" / "slow.yml").write_text(SLOW)
    (root / "orchestra" / "orders.yml").write_text(QUICK)
    (root / "talk.py").write_text(TALK)
    (root / "rehearse.toml").write_text(BINDINGS)
    (root / ".gitignore").write_text(".rehearse/\n*.new.yml\n")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com"]
    remote = tmp_path_factory.mktemp("remote") / "shop.git"
    for command in (
        ["git", "init", "-q", "--bare", "-b", "main", str(remote)], ["git", "init", "-q", "-b", "main"], ["git", "add", "."],
        [*git, "commit", "-qm", "x"], ["git", "remote", "add", "origin", str(remote)],
        ["git", "push", "-q", "-u", "origin", "main"], ["git", "remote", "set-head", "origin", "main"],
        ["git", "remote", "set-url", "origin", "https://github.com/lumen/shop.git"],
    ):  # fmt: skip
        subprocess.run(command, cwd=root, check=True, capture_output=True)
    served = Served(root, "--port", "0")
    yield served
    served.stop()


@pytest.fixture
def cli(served: Served, tmp_path: Path, bin_dir: Path) -> Cli:
    def run(version: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        program = bin_dir.parent / "clients" / f"orchestra-cli-{version}" / "bin" / "orchestra"
        env = {
            "PATH": os.environ["PATH"], "HOME": str(tmp_path), "ORCHESTRA_API_KEY": served.token, "BASE_URL": served.url,
            "NO_COLOR": "1", "COLUMNS": "200",
        }  # fmt: skip
        return subprocess.run(
            [str(program), *arguments],
            cwd=served.root,
            env=env,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
        )

    return run


def said(done: subprocess.CompletedProcess[str], code: int = 0) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def verb(version: str, name: str) -> list[str]:
    """The old one has flat names."""
    flat = {
        "new": "create-pipeline",
        "update": "update-pipeline",
        "delete": "delete-pipeline",
        "list": "fetch-pipelines",
    }
    return ["pipeline", name] if version == NEW else [flat.get(name, name)]


@pytest.mark.parametrize("version", [OLD, NEW])
def test_validate(cli: Cli, tmp_path: Path, version: str) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(QUICK)
    bad.write_text(QUICK.replace("integration_job: PYTHON_EXECUTE_SCRIPT", "integration_job: PYTHON_EXECUTE", 1))
    said(cli(version, *verb(version, "validate"), str(good)))
    text = said(cli(version, *verb(version, "validate"), str(bad)), 1)
    assert "pipeline.load.tasks.extract" in text and "PYTHON_EXECUTE_SCRIPT" in text


@pytest.mark.parametrize("version", [OLD, NEW])
def test_create_update_run_delete(cli: Cli, served: Served, tmp_path: Path, version: str) -> None:
    alias = f"made_{version.replace('.', '_')}"
    file = tmp_path / "made.yaml"
    file.write_text(QUICK.replace("name: Orders", "name: Made"))
    said(cli(version, *verb(version, "new"), "-a", alias, "-p", str(file), "--publish"))
    file.write_text(QUICK.replace("name: Orders", "name: Made again"))
    force = ["--force"] if version == NEW else []
    said(cli(version, *verb(version, "update"), "-a", alias, "-p", str(file), "--publish", *force))
    listed = json.loads(said(cli(version, *verb(version, "list"))))
    [made] = [pipeline for pipeline in listed if pipeline["alias"] == alias]
    assert (made["name"], made["latestVersionNumber"], made["publishedVersionNumber"]) == ("Made again", 2, 2)
    text = said(cli(version, *verb(version, "run"), "-a", alias, "--force"))
    assert "SUCCEEDED" in text
    said(cli(version, *verb(version, "delete"), "-a", alias, stdin="y\n"))
    assert alias not in said(cli(version, *verb(version, "list")))


def test_run_with_inputs_environment_and_tasks_without_waiting(cli: Cli, served: Served) -> None:
    arguments = ["--input", "day=2026-01-01", "--environment-name", "prod", "--env", "SCHEMA=tonight", "--task", "extract",
                 "--no-wait", "--force"]  # fmt: skip
    text = said(cli(NEW, "pipeline", "run", "-a", "orders", *arguments))
    with api(served) as client:
        [run] = [run for run in client.get("/pipeline_runs").json()["results"] if run["id"] in text]
        assert run["envName"] == "prod"
        until(lambda: client.get(f"/pipeline_runs/{run['id']}").json()["runStatus"] == "SUCCEEDED")
        tasks = client.get(f"/pipeline_runs/{run['id']}/task_runs").json()["results"]
        assert {task["taskId"]: task["status"] for task in tasks} == {"extract": "SUCCEEDED", "check": "SKIPPED"}


def test_a_run_that_fails_is_exit_1(cli: Cli, served: Served) -> None:
    (served.root / "orchestra" / "bad.yml").write_text(
        SLOW.replace("python -u talk.py", "python -c 'raise SystemExit(3)'")
    )
    assert "FAILED" in said(cli(NEW, "pipeline", "run", "-a", "bad", "--force"), 1)


def test_build_starts_a_draft(cli: Cli, served: Served, tmp_path: Path) -> None:
    file = tmp_path / "draft.yaml"
    file.write_text(QUICK)
    for number in (1, 2):
        text = said(cli(NEW, "pipeline", "build", "-a", "draft", "-p", str(file), "--no-wait", "--force"))
        with api(served) as client:
            [run] = [run for run in client.get("/pipeline_runs").json()["results"] if run["id"] in text]
            assert run["pipelineVersionNumber"] == number
            pipeline = client.get("/pipeline", params={"alias": "draft"}).json()
            assert (pipeline["latestVersionNumber"], pipeline["publishedVersionNumber"]) == (number, None)


def test_logs_follow_a_running_task(cli: Cli, served: Served) -> None:
    with api(served) as client:
        run_id = client.post("/pipelines/slow/start").json()["pipelineRunId"]
        task = client.get(f"/pipeline_runs/{run_id}/task_runs").json()["results"][0]["id"]
        until(lambda: client.get(f"/task_runs/{task}").json()["status"] == "RUNNING")
        followed = said(cli(NEW, "task", "logs", "-tr", task))
        assert [f"line {number}" in followed for number in range(8)] == [True] * 8
        assert client.get(f"/task_runs/{task}").json()["status"] == "SUCCEEDED"
    assert "line 7" in said(cli(NEW, "task", "logs", "-tr", task, "--no-watch"))


def test_get_by_alias_and_id(cli: Cli, served: Served) -> None:
    found = said(cli(NEW, "pipeline", "get", "-a", "orders"))
    assert "Name: Orders" in found and pipeline_id("orders") in found
    assert "Alias: orders" in said(cli(NEW, "pipeline", "get", "-i", pipeline_id("orders")))
    said(cli(NEW, "pipeline", "get", "-a", "nothing"), 1)


@pytest.mark.parametrize("version", [OLD, NEW])
def test_import_from_a_git_checkout(cli: Cli, served: Served, version: str) -> None:
    said(cli(version, *verb(version, "import"), "-a", "orders", "-p", "orchestra/orders.yml"))
    with api(served) as client:
        by_path = client.get("/pipeline", params={"repository": "lumen/shop", "yaml_path": "orchestra/orders.yml"})
        assert by_path.json()["alias"] == "orders"


def test_accounts(cli: Cli, served: Served) -> None:
    assert served.root.name in said(cli(NEW, "accounts", "list"))


def api(served: Served) -> httpx.Client:
    return httpx.Client(
        base_url=f"{served.url}/api/engine/public", headers={"Authorization": f"Bearer {served.token}"}, timeout=20
    )


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)
