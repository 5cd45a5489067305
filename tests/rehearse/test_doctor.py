"""`rehearse doctor` on repositories that are ill in one way each."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from rehearse.bindings.config import Bindings, load_bindings
from rehearse.bindings.connections import Connection
from rehearse.checks import bound, machine, registry
from rehearse.checks.base import Finding, Patient
from rehearse.cli.doctor import _tasks

TASK = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT"
KEY = "AKIA" + "ABCDEFGHIJKLMNOP"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / ".gitignore").write_text(".rehearse/\n.env\n.env.local\n*.env\n")
    (tmp_path / "rehearse.toml").write_text("")
    (tmp_path / "orchestra").mkdir()
    return tmp_path


def doctor(bin_dir: Path, folder: Path, *arguments: str, **env: str) -> tuple[int, list[dict[str, Any]], str]:
    command = [bin_dir / "rehearse", "doctor", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ | env)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)["findings"] if done.stdout else [], done.stdout + done.stderr


def bad(found: list[dict[str, Any]]) -> list[str]:
    return [f"{f['level']}: {f['what']}: {f['why']}" for f in found if f["level"] != "ok"]


def connection(folder: Path, **fields: Any) -> None:
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in fields.items())
    (folder / "rehearse.toml").write_text(f"[connections.c]\ndefault = true\n{lines}\n")


def pipeline(folder: Path, task: str) -> None:
    text = f"version: v1\nname: p\npipeline:\n  g:\n    depends_on: []\n    tasks:\n      t: {{name: t, {task}}}\n"
    (folder / "orchestra" / "p.yml").write_text(text)


def test_a_healthy_repository(bin_dir: Path, folder: Path) -> None:
    (folder / "work.py").write_text("")
    pipeline(folder, f"{TASK}, parameters: {{command: python work.py}}")
    code, found, _ = doctor(bin_dir, folder)
    assert code == 0 and bad(found) == []
    assert {"machine", "runs", "pipelines", "secrets"} == {f["topic"] for f in found}


def test_this_repository_tells_no_secret(bin_dir: Path, root: Path) -> None:
    _, found, _ = doctor(bin_dir, root, "--offline")
    assert [f for f in found if f["topic"] == "secrets" and f["level"] == "fail"] == []


def test_a_variable_without_a_value(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="HTTP", base_url="http://127.0.0.1:1", token="${API_TOKEN}")
    code, found, _ = doctor(bin_dir, folder, "--offline")
    assert code == 0 and "needs API_TOKEN, which is not in the environment" in bad(found)[0]
    _, found, said = doctor(bin_dir, folder, "--offline", API_TOKEN="long-enough-token")
    assert bad(found) == [] and "long-enough-token" not in said


def test_a_secret_that_is_too_short_to_be_masked(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="HTTP", base_url="http://127.0.0.1:1", token="${API_TOKEN}")
    _, found, said = doctor(bin_dir, folder, "--offline", API_TOKEN="q7w")
    assert [line for line in bad(found) if "connection 'c', token: it is shorter than 8" in line] and "q7w" not in said


def test_a_password_of_digits_is_not_shown(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="SFTP", password=12345678)
    code, _, said = doctor(bin_dir, folder)
    assert code == 2 and "'password' must be text, not int" in said and "12345678" not in said


def test_a_private_file_of_no_connection(bin_dir: Path, folder: Path) -> None:
    (folder / ".env.local").write_text("")
    (folder / ".env.local").chmod(0o640)
    code, found, _ = doctor(bin_dir, folder)
    assert code == 1 and bad(found) == ["fail: .env.local: holds secrets and can be read by others"]


def test_no_git(folder: Path) -> None:
    command = [sys.executable, "-m", "rehearse", "doctor", "--json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=os.environ | {"PATH": ""})
    said = bad(json.loads(done.stdout)["findings"])
    assert done.returncode == 0 and said == ["warn: git is not there: secrets in tracked files cannot be looked for"]


def test_a_private_file_that_is_not_private(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="PYTHON", env_file="my.env", env=["SHORT_*"])
    (folder / "my.env").write_text("A_TOKEN=abc\n")
    (folder / "my.env").chmod(0o644)
    code, found, _ = doctor(bin_dir, folder)
    assert code == 1 and any("can be read by others" in line for line in bad(found))
    (folder / "my.env").chmod(0o600)
    (folder / ".gitignore").write_text(".rehearse/\n.env*\n")
    code, found, said = doctor(bin_dir, folder)
    assert code == 1 and any("git does not ignore it" in line for line in bad(found))
    assert any("shorter than 8" in line for line in bad(found)) and "abc" not in said


def test_a_host_that_does_not_answer(bin_dir: Path, folder: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = server.getsockname()[1]
        connection(folder, integration="HTTP", base_url=f"http://127.0.0.1:{port}")
        assert any("nobody answers" in line for line in bad(doctor(bin_dir, folder)[1]))
        assert bad(doctor(bin_dir, folder, "--offline")[1]) == []
        server.listen()
        assert bad(doctor(bin_dir, folder)[1]) == []


def test_an_address_that_is_none(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="HTTP", base_url="http://u:${PORT}")
    code, found, said = doctor(bin_dir, folder, PORT="not-a-port-but-a-password")
    assert code == 1 and "its address cannot be read" in bad(found)[0] and "not-a-port" not in said


def test_a_host_without_a_port_is_asked_at_the_usual_one() -> None:
    assert bound._target(Connection("c", "SFTP", fields={"host": "sftp.company.net"})) == ("sftp.company.net", 22)
    assert bound._target(Connection("c", "SFTP", fields={"host": "h", "port": "2222"})) == ("h", 2222)


def test_hosts_whose_name_takes_long_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    monkeypatch.setattr(bound, "REACH_SECONDS", 0.01)
    monkeypatch.setattr(bound, "_answers", lambda _: released.wait(60) and None)
    try:
        assert bound._knock({"c": ("h", 1)}) == {"c": "nobody answers within 0.01 s"}
    finally:
        released.set()


def test_dbt_is_the_package_not_a_folder_of_that_name(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def missing(name: str) -> str:
        raise machine.PackageNotFoundError(name)

    (folder / "orchestra" / "p.yml").write_text(
        "version: v1\nname: p\npipeline:\n  t: {name: t, depends_on: [], integration: DBT_CORE, "
        "integration_job: DBT_CORE_EXECUTE, parameters: {commands: dbt build}}\n"
    )
    bindings = Bindings(folder, {}, {})
    patient = Patient(folder, bindings, tasks=_tasks(folder, bindings, None))
    assert [found.level for found in machine.tools(patient)] == ["ok", "ok"]
    monkeypatch.setattr(machine, "installed", missing)
    assert [found.level for found in machine.tools(patient)] == ["ok", "fail"]


def test_a_check_that_breaks_does_not_quote_what_it_read(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    def broken(patient: Patient) -> list[Finding]:
        raise ValueError("a-password")

    monkeypatch.setattr(registry, "CHECKS", {"topic": (broken,)})
    found = list(registry.examine(Patient(folder, Bindings(folder, {}, {}))))
    assert [(topic, finding.level) for topic, finding in found] == [("topic", "fail")]
    assert "ValueError" in str(found) and "a-password" not in str(found)


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (f"{TASK}, parameters: {{command: python -u gone.py}}", "there is no file gone.py"),
        (f"{TASK}, parameters: {{command: uv run gone.py}}", "there is no file gone.py"),
        ("integration: SNOWFLAKE, integration_job: SNOWFLAKE_RUN_QUERY, parameters: {statement: select 1}", "none of SNOWFLAKE"),
        (f"{TASK}, parameters: {{command: python gone.py --x}}", "there is no file gone.py"),
        (f"{TASK}, parameters: {{command: python -V, project_dir: gone}}", "there is no folder gone"),
        ("integration: DBT_CORE, integration_job: DBT_CORE_EXECUTE, parameters: {commands: dbt build}", "no dbt_project.yml"),
        (f"{TASK}, connection: gone_12345, parameters: {{command: python -V}}", "its connection is not in rehearse.toml"),
        ("integration: ORCHESTRA, integration_job: TRIGGER_PIPELINE, parameters: {pipeline_id: gone}", "no pipeline 'gone'"),
    ],
)  # fmt: skip
def test_a_task_that_would_fail(bin_dir: Path, folder: Path, task: str, said: str) -> None:
    pipeline(folder, task)
    code, found, _ = doctor(bin_dir, folder)
    assert code == 1 and len(bad(found)) == 1 and said in bad(found)[0]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"key = {KEY}", "an access key of AWS"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA1\n", "a private key"),
        ("ghp_" + "a1" * 18, "a token"),
        ("url: postgresql://app:s3cret-word@db.company.net/shop", "a URL with a password"),
    ],
)
def test_a_secret_in_a_tracked_file(bin_dir: Path, folder: Path, text: str, kind: str) -> None:
    (folder / "notes.md").write_text(f"first line\n{text}\n")
    assert bad(doctor(bin_dir, folder)[1]) == [], "git does not know it"
    subprocess.run(["git", "add", "notes.md"], cwd=folder, check=True)
    code, found, said = doctor(bin_dir, folder)
    assert code == 1 and bad(found) == [f"fail: notes.md:2: this looks like {kind}"] and text not in said
    first, _, rest = text.partition("\n")
    (folder / "notes.md").write_text(f"first line\n{first} doctor: allow\n{rest}")
    assert kind == "a private key" or bad(doctor(bin_dir, folder)[1]) == []
    (folder / "notes.md").write_text(f"first line\n{text}\n")
    (folder / "rehearse.toml").write_text('[doctor]\nallow = ["*.md"]\n')
    assert bad(doctor(bin_dir, folder)[1]) == []


def test_a_long_line_takes_no_time(bin_dir: Path, folder: Path) -> None:
    """With a pattern that looks for the scheme first, 800 KB of them take minutes: beyond the timeout of `doctor`."""
    (folder / "long.txt").write_text("a+" * 400_000 + f"\n{KEY}\n")
    subprocess.run(["git", "add", "long.txt"], cwd=folder, check=True)
    assert bad(doctor(bin_dir, folder, "--offline")[1]) == ["fail: long.txt:2: this looks like an access key of AWS"]


def test_a_store_that_is_not_there_is_not_made_and_a_server_not_asked_offline(bin_dir: Path, folder: Path) -> None:
    path = folder / "other.db"
    code, found, _ = doctor(bin_dir, folder, REHEARSE_STORE=f"sqlite:///{path}")
    assert (code, bad(found)) == (0, []) and not path.exists()
    server = "postgresql://u:x@127.0.0.1:1/d"
    assert doctor(bin_dir, folder, REHEARSE_STORE=server)[0] == 1
    assert doctor(bin_dir, folder, "--offline", REHEARSE_STORE=server)[0] == 0


def test_a_run_whose_engine_died_and_a_file_that_is_held(bin_dir: Path, folder: Path) -> None:
    (folder / "rehearse.toml").write_text('[connections.w]\nintegration = "DUCKDB"\npath = "w.duckdb"\n')
    pipeline(folder, f"{TASK}, parameters: {{command: python -V}}")
    crash = os.environ | {"REHEARSE_CRASH_AT": "run.recorded"}
    subprocess.run([bin_dir / "rehearse", "run", "orchestra/p.yml"], cwd=folder, env=crash, capture_output=True)
    secret = "postgresql://u:" + "on-the-command-line@h/d"
    code = "import duckdb, sys; c = duckdb.connect('w.duckdb'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, secret], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        lines = bad(doctor(bin_dir, folder)[1])
        holder.communicate()
    assert any("is CREATED: the rehearse that drove it is gone" in line for line in lines)
    assert "on-the-command-line" not in str(lines)
    assert any(f"w.duckdb is open in process {holder.pid}" in line for line in lines)


def test_a_broken_store_and_a_broken_file_of_bindings(bin_dir: Path, folder: Path) -> None:
    (folder / ".rehearse").mkdir()
    (folder / ".rehearse" / "rehearse.db").write_bytes(b"nonsense" * 1000)
    code, found, _ = doctor(bin_dir, folder)
    assert code == 1 and any("is damaged" in line for line in bad(found))
    (folder / "rehearse.toml").write_text("[")
    code, _, said = doctor(bin_dir, folder)
    assert code == 2 and "rehearse.toml" in said


def test_a_private_file_of_the_repository(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="HTTP", base_url="http://x.invalid", token="${API_TOKEN}")
    (folder / ".env.local").write_text("API_TOKEN=short\n")
    (folder / ".env.local").chmod(0o640)
    (folder / ".gitignore").write_text(".rehearse/\n")
    code, found, _ = doctor(bin_dir, folder, "--offline")
    assert code == 1
    local = [line for line in bad(found) if line.startswith("fail") and ".env.local" in line]
    assert ["can be read by others" in local[0], "git does not ignore it" in local[1], len(local)] == [True, True, 2]
    assert [f["then"] for f in found if f["what"] == ".env"] == ["echo .env >> .gitignore"]
    (folder / ".env.local").chmod(0o600)
    (folder / ".gitignore").write_text(".rehearse/\n.env*\n")
    code, found, _ = doctor(bin_dir, folder, "--offline")
    assert code == 0 and bad(found) == [
        "warn: connection 'c', token: it is shorter than 8 characters, and so not masked in logs"
    ]


def test_a_file_of_variables_that_is_gone(bin_dir: Path, folder: Path) -> None:
    connection(folder, integration="PYTHON", env_file="gone.env", hint="make up")
    code, found, _ = doctor(bin_dir, folder)
    assert code == 0 and bad(found) == ["warn: connection 'c': reads gone.env, which does not exist"]
    assert "make up" in [f["then"] for f in found]


def test_a_variable_that_names_no_connection(bin_dir: Path, folder: Path) -> None:
    (folder / "rehearse.toml").write_text(
        '[environments.e]\nW = { type = "integration_credential", value = "warehose" }\n'
        '[connections.warehouse]\nintegration = "DUCKDB"\npath = "w.duckdb"\n'
    )
    code, found, _ = doctor(bin_dir, folder)
    assert code == 0 and bad(found) == ["warn: W of the environment 'e': there is no connection 'warehose'"]
    assert "did you mean 'warehouse'?" in [f["then"] for f in found]


def test_a_job_that_this_machine_cannot_do(bin_dir: Path, folder: Path) -> None:
    pipeline(folder, "integration: FIVETRAN, integration_job: FIVETRAN_SYNC_ALL, parameters: {connector_id: x}")
    code, found, _ = doctor(bin_dir, folder)
    assert code == 1 and "this machine cannot do its job" in bad(found)[0]
    connection(folder, integration="FIVETRAN", mode="stub")
    assert doctor(bin_dir, folder)[0] == 0


@pytest.mark.parametrize(
    ("line", "is_told"),
    [
        ('api_key = "k9Xq2Lr7Vb4Nw8Tz1Pd6"', True),
        ("  client_secret: 8f14e45fceea167a5a36dedd4bea2543", True),
        ('"ACCESS_TOKEN": "Zx81-kQ0v_aa73JhLw29Rt",', True),
        ("password = ${DB_PASSWORD_OF_THE_SHOP}", False),
        ('token = "correct-horse-battery-staple"', False),
        ("secret_name: warehouse-production-credentials", False),
        ("token = os.environ['API_TOKEN_OF_2026_01']", False),
        ("key = k9Xq2Lr7Vb4Nw8Tz1Pd6", False),
    ],
)
def test_a_value_that_looks_drawn_beside_a_telling_name(bin_dir: Path, folder: Path, line: str, is_told: bool) -> None:
    (folder / "settings.txt").write_text(f"{line}\n")
    subprocess.run(["git", "add", "settings.txt"], cwd=folder, check=True)
    code, found, _ = doctor(bin_dir, folder)
    assert bad(found) == (["fail: settings.txt:1: this looks like a secret"] if is_told else [])
    assert code == is_told


def test_a_store_tells_its_version_and_size(bin_dir: Path, folder: Path) -> None:
    pipeline(folder, f"{TASK}, parameters: {{command: python -V}}")
    subprocess.run([bin_dir / "rehearse", "run", "orchestra/p.yml"], cwd=folder, capture_output=True, check=True)
    _, found, _ = doctor(bin_dir, folder)
    [said] = [f["what"] for f in found if f["topic"] == "runs"]
    assert re.fullmatch(r"the run store \S+rehearse\.db opens: version \d+, [\d.]+ MB", said)


def test_a_host_without_a_port_has_the_usual_one(bin_dir: Path, folder: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))  # that port is ours, so nobody listens at it
        port = str(server.getsockname()[1])
        for given, tried in (({}, "22"), ({"port": "${SFTP_PORT}"}, port)):
            connection(folder, integration="SFTP", host="127.0.0.1", user="u", **given)
            _, found, _ = doctor(bin_dir, folder, SFTP_PORT=port)
            assert any(f"connection 'c', 127.0.0.1:{tried}" in f["what"] for f in found)


def test_a_client_is_only_asked_for_where_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bound, "find_spec", lambda module: None)
    for text, missing in (
        ('integration = "SNOWFLAKE"\npath = "w.duckdb"', None), ('integration = "SNOWFLAKE"\nmode = "stub"', None),
        ('integration = "MYSQL"\nurl = "postgresql://h/d"', None), ('integration = "PYTHON"', None),
        ('integration = "SNOWFLAKE"\nmode = "remote"\naccount = "a"', "snowflake.connector"),
        ('integration = "SFTP"\nhost = "h"', "paramiko"), ('integration = "AWS_S3"\nendpoint_url = "http://h"', "boto3"),
    ):  # fmt: skip
        (tmp_path / "rehearse.toml").write_text(f"[connections.c]\n{text}\n")
        found = list(bound.clients(Patient(tmp_path, load_bindings(tmp_path))))
        assert [f.why for f in found] == ([f"the Python module {missing} is not installed"] if missing else [])


def test_a_port_that_is_taken(bin_dir: Path, folder: Path) -> None:
    try:
        taken = socket.create_server(("127.0.0.1", 8642))
    except OSError:
        taken = None  # somebody else has it: as good
    _, found, _ = doctor(bin_dir, folder)
    assert any("port 8642 is taken" in json.dumps(each) for each in found)
    if taken:
        taken.close()
