"""Modes of connections, typed variables, and where secrets come from."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rehearse.bindings.config import Connection, load_bindings
from rehearse.engine.masking import Masker
from rehearse.errors import BindingError
from rehearse.jobs import recorded, stub
from rehearse.jobs.base import Attempt, JobError, Simulated
from rehearse.jobs.registry import how


def bind(folder: Path, text: str) -> Connection:
    (folder / "rehearse.toml").write_text(f"[connections.c]\n{text}\n")
    return load_bindings(folder).connections["c"]


def attempt(folder: Path, task_id: str = "t", number: int = 1) -> Attempt:
    return Attempt(folder, folder, "run", "task-run", number, "token", task_id)


# Stubs


def test_a_stub_ends_as_is_declared_for_the_task_else_the_job_else_the_connection(tmp_path: Path) -> None:
    connection = bind(
        tmp_path,
        'integration = "FIVETRAN"\nmode = "stub"\noutputs = { a = 1 }\nmessage = "all"\n'
        'jobs.FIVETRAN_SYNC_ALL = { outputs = { b = 2 }, seconds = 3 }\ntasks.special = { status = "WARNING", message = "one" }',
    )
    ended = stub.prepare("FIVETRAN_SYNC_ALL", {}, connection, attempt(tmp_path))
    assert ended == Simulated("SUCCEEDED", "all", {"b": 2}, 3.0)
    ended = stub.prepare("FIVETRAN_SYNC_ALL", {}, connection, attempt(tmp_path, "special"))
    assert (ended.status, ended.message, ended.outputs) == ("WARNING", "one", {"b": 2})
    assert stub.prepare("ANOTHER", {}, connection, attempt(tmp_path)).outputs == {"a": 1}


def test_a_stub_fails_as_often_as_is_declared(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "FIVETRAN"\nmode = "stub"\nfailures = 2')
    numbers = [stub.prepare("J", {}, connection, attempt(tmp_path, number=n)).status for n in (1, 2, 3)]
    assert numbers == ["FAILED", "FAILED", "SUCCEEDED"]


# Recordings

PARAMETERS = {"method": "GET", "path": "/orders", "custom_headers": '{"x": 1}'}


def call(item: str | None = None, **changed: Any) -> recorded.Recorded:
    return recorded.Recorded("t", item, "HTTP_REQUEST", PARAMETERS | changed)


def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\nmode = "recorded"')
    assert how("HTTP_REQUEST", connection) == "recorded"
    operation = {"type": "QUERY", "name": "q", "started_at": "now", "rows": 3}
    task, end = call(), recorded.End("WARNING", "why", {"n": [1]}, [operation])
    path = recorded.save(tmp_path, "c", task, end)
    ended = recorded.prepare("HTTP_REQUEST", PARAMETERS, connection, attempt(tmp_path))
    assert (ended.status, ended.message, ended.outputs) == ("WARNING", "why", {"n": [1]})
    assert ended.operations == ({"type": "QUERY", "name": "q", "rows": 3},), (
        "no time of the day that would change each time"
    )
    before = path.read_bytes()
    recorded.save(tmp_path, "c", task, end)
    assert path.read_bytes() == before and path.is_relative_to(tmp_path / "recordings" / "c")


def test_what_was_not_recorded_says_what_differs_and_how_to_record(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\nmode = "recorded"')
    with pytest.raises(JobError, match="there is no recording of this task") as caught:
        recorded.prepare("HTTP_REQUEST", PARAMETERS, connection, attempt(tmp_path))
    assert 'mode = "remote" and record = true in [connections.c]' in str(caught.value.hint)
    recorded.save(tmp_path, "c", call(), recorded.End("SUCCEEDED"))
    recorded.save(tmp_path, "c", call("eu", method="PUT"), recorded.End("SUCCEEDED"))
    with pytest.raises(JobError, match=r'nearest is t-\w+\.json, where path was "/orders" and is "/x"$'):
        recorded.prepare("HTTP_REQUEST", PARAMETERS | {"path": "/x"}, connection, attempt(tmp_path))
    given = PARAMETERS | {"method": "PUT"}
    with pytest.raises(JobError, match=r'where item was "eu" and is "us"$'):
        recorded.prepare("HTTP_REQUEST", given, connection, replace(attempt(tmp_path), item="us"))
    with pytest.raises(JobError, match="there is no recording"):
        recorded.prepare("HTTP_REQUEST", PARAMETERS, connection, attempt(tmp_path, "../../other"))


def test_each_item_of_a_matrix_has_a_recording_of_its_own(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\nmode = "recorded"')
    for item, status in (("eu", "SUCCEEDED"), ("us", "WARNING"), (None, "FAILED")):
        recorded.save(tmp_path, "c", call(item), recorded.End(status))
    for item, status in (("eu", "SUCCEEDED"), ("us", "WARNING"), (None, "FAILED")):
        ended = recorded.prepare("HTTP_REQUEST", PARAMETERS, connection, replace(attempt(tmp_path), item=item))
        assert ended.status == status


def test_a_recording_holds_no_secret_and_is_found_without_it(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\nmode = "recorded"')
    known = call(api_token="first-token", body="see xyz-xyz-xyz")
    path = recorded.save(tmp_path, "c", known, recorded.End("SUCCEEDED", "xyz-xyz-xyz"), Masker(["xyz-xyz-xyz"]).value)
    assert "first-token" not in path.read_text() and "xyz-xyz" not in path.read_text()
    given = known.parameters | {"api_token": "of somebody else"}
    assert recorded.prepare("HTTP_REQUEST", given, connection, attempt(tmp_path)).message == "********"


def test_a_recording_that_is_no_recording(tmp_path: Path) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\nmode = "recorded"')
    path = recorded.save(tmp_path, "c", call(), recorded.End("SUCCEEDED"))
    for text in ("{", "[]", "{}"):
        path.write_text(text)
        with pytest.raises(JobError, match=r"t-\w+\.json cannot be read"):
            recorded.prepare("HTTP_REQUEST", PARAMETERS, connection, attempt(tmp_path))
        with pytest.raises(JobError, match="there is no recording of this task"):
            recorded.prepare("HTTP_REQUEST", PARAMETERS | {"path": "/x"}, connection, attempt(tmp_path))


def test_a_run_records_what_a_remote_system_did_and_replays_it(bin_dir: Path, tmp_path: Path) -> None:
    """A remote Python task stands for the system: replayed, it is not executed. Secrets are masked in the recording."""
    task = (
        "{name: t, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {source: INLINE, set_outputs: true, "
        "code: \"open('ran', 'a').write('x'); import os; from orchestra_sdk.orchestra import OrchestraSDK as S; "
        "S(os.environ['ORCHESTRA_API_KEY']).set_output('told', os.environ['MY_TOKEN'] + ' 7')\"}}"
    )
    (tmp_path / "p.yml").write_text(
        f"version: v1\nname: p\npipeline:\n  g:\n    depends_on: []\n    tasks:\n      t: {task}\n"
    )
    outputs = []
    for mode in ('"remote"\nrecord = true', '"recorded"'):
        (tmp_path / "rehearse.toml").write_text(
            f'[connections.c]\nintegration = "PYTHON"\ndefault = true\nenv = ["MY_*"]\nmode = {mode}\n'
        )
        env = os.environ | {"MY_TOKEN": "correct-horse-battery"}
        command = [bin_dir / "rehearse", "run", "p.yml", "--json"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=env, timeout=60)
        assert done.returncode == 0, done.stderr
        outputs.append(json.loads(done.stdout)["tasks"][0]["outputs"])
    assert outputs == [{"told": "******** 7"}] * 2 and (tmp_path / "ran").read_text() == "x"
    assert "simulated, not run: t" in done.stderr
    [file] = (tmp_path / "recordings" / "c").iterdir()
    assert "correct-horse" not in file.read_text()


# Environments


def test_variables_may_have_types(tmp_path: Path) -> None:
    (tmp_path / "rehearse.toml").write_text(
        '[environments.e]\nA = "x"\nN = { type = "int", value = 5 }\nL = { type = "LIST", value = [1] }\nD = { a = 1 }\n'
    )
    assert load_bindings(tmp_path).environment("e")[1] == {"A": "x", "N": 5, "L": [1], "D": {"a": 1}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('N = { type = "int", value = "5" }', "'5' is no int"), ('N = { type = "int", value = true }', "True is no int"),
        ('N = { type = "number", value = 5 }', "unknown type 'number'"), ("A = 1\na = 2", "'A' and 'a' are the same variable"),
    ],
)  # fmt: skip
def test_variables_that_do_not_fit(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rehearse.toml").write_text(f"[environments.e]\n{text}\n")
    with pytest.raises(BindingError, match=rf"\[environments.e\].*{said}"):
        load_bindings(tmp_path)


# Secrets


@pytest.mark.parametrize("value", ["plain-secret", "${A:-plain-secret}", "x${A}"])
def test_a_secret_never_stands_in_the_file(tmp_path: Path, value: str) -> None:
    with pytest.raises(BindingError, match="'token' is a secret, which must not stand in the file") as caught:
        bind(tmp_path, f'integration = "HTTP"\ntoken = "{value}"')
    assert "plain-secret" not in str(caught.value)


def test_where_values_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = bind(tmp_path, 'integration = "HTTP"\ntoken = "${MY_TOKEN}"')
    with pytest.raises(BindingError, match=r"not in the environment, \.env\.local, \.env or the keyring"):
        connection.get("token")

    def write(name: str, mode: int = 0o600) -> None:
        (tmp_path / name).write_text(f"MY_TOKEN=from {name}\n")
        (tmp_path / name).chmod(mode)

    write(".env")
    assert connection.get("token") == "from .env"
    write(".env.local")
    assert connection.get("token") == "from .env.local"
    monkeypatch.setenv("MY_TOKEN", "from the shell")
    assert connection.get("token") == "from the shell"
    assert "from the shell" in connection.known_values().values(), "so it is masked"
    monkeypatch.delenv("MY_TOKEN")
    write(".env.local", 0o644)
    with pytest.raises(BindingError, match="can be read by others"):
        connection.get("token")


def test_the_keyring_is_asked_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Backend(KeyringBackend):
        priority = 1  # type: ignore[assignment]

        def get_password(self, service: str, username: str) -> str | None:
            return f"{service}/{username}"

        def set_password(self, service: str, username: str, password: str) -> None: ...
        def delete_password(self, service: str, username: str) -> None: ...

    before = keyring.get_keyring()
    keyring.set_keyring(Backend())
    try:
        assert bind(tmp_path, 'integration = "HTTP"\ntoken = "${MY_TOKEN}"').get("token") == "rehearse/MY_TOKEN"
    finally:
        keyring.set_keyring(before)


def test_linked_connections_are_variables_of_the_task(bin_dir: Path, tmp_path: Path) -> None:
    """Section 10: by `links`, or by the task's operation_metadata; what is secret in them is masked."""
    (tmp_path / "rehearse.toml").write_text(
        '[connections.py]\nintegration = "PYTHON"\ndefault = true\nlinks = ["my-shop"]\n'
        '[connections.my-shop]\nintegration = "POSTGRES"\nhost = "h"\nport = 5\npassword = "${SHOP_WORD}"\n'
        '[connections.crm]\nintegration = "HTTP"\nbase_url = "http://crm"\n'
    )
    code = "import os; print(sorted(f'{n}={v}' for n, v in os.environ.items() if '__' in n and n.isupper()))"
    task: dict[str, Any] = {
        "name": "t", "integration": "PYTHON", "integration_job": "PYTHON_EXECUTE_SCRIPT",
        "parameters": {"source": "INLINE", "code": code},
        "operation_metadata": {"x": {"integration": "HTTP", "connection": "crm"}},
    }  # fmt: skip
    document = {"version": "v1", "name": "p", "pipeline": {"g": {"depends_on": [], "tasks": {"t": task}}}}
    (tmp_path / "p.yml").write_text(json.dumps(document))
    env = os.environ | {"SHOP_WORD": "correct-horse-battery"}
    done = subprocess.run([bin_dir / "rehearse", "run", "p.yml"], cwd=tmp_path, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    log = (tmp_path / ".rehearse" / "latest" / "t" / "1" / "log").read_text()
    for entry in ("HTTP__CRM__BASE_URL=http://crm", "POSTGRES__MY_SHOP__HOST=h", "POSTGRES__MY_SHOP__PORT=5",
                  "POSTGRES__MY_SHOP__PASSWORD=********"):  # fmt: skip
        assert entry in log
