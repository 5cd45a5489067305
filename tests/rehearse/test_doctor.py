"""`rehearse doctor` on repositories that are ill in one way each."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rehearse.bindings.config import load_bindings
from rehearse.checks import bound
from rehearse.checks.base import Patient

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


@pytest.mark.parametrize(
    ("task", "said"),
    [
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


def test_a_run_whose_engine_died_and_a_file_that_is_held(bin_dir: Path, folder: Path) -> None:
    (folder / "rehearse.toml").write_text('[connections.w]\nintegration = "DUCKDB"\npath = "w.duckdb"\n')
    pipeline(folder, f"{TASK}, parameters: {{command: python -V}}")
    crash = os.environ | {"REHEARSE_CRASH_AT": "run.recorded"}
    subprocess.run([bin_dir / "rehearse", "run", "orchestra/p.yml"], cwd=folder, env=crash, capture_output=True)
    code = "import duckdb, sys; c = duckdb.connect('w.duckdb'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        lines = bad(doctor(bin_dir, folder)[1])
        holder.communicate()
    assert any("is CREATED: the rehearse that drove it is gone" in line for line in lines)
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
