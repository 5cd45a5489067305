"""The clients of warehouses that cannot be had here: called with what the connection says, up to the error."""

from __future__ import annotations

import importlib
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from sql_harness import Ended, attempt, connection, run

from rehearse.bindings.config import load_bindings
from rehearse.jobs.sql_clients import _braced, first_word, split
from rehearse.jobs.sql_session import SqlError, Unreachable, connect
from rehearse.jobs.sql_targets import KINDS, target_of

SECRET = "very-secret-value"


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port of this machine where nobody listens; nothing is waited for."""
    monkeypatch.setenv("REHEARSE_CONNECT_SECONDS", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("integration", "job", "entries", "named"),
    [
        ("MYSQL", "MYSQL_RUN_QUERY", {"host": "127.0.0.1", "port": "{}", "user": "u", "password": SECRET, "database": "shop"},
         "MySQL 127.0.0.1:{}, database shop, user u"),
        ("SQL_SERVER", "SQL_SERVER_RUN_QUERY", {"host": "127.0.0.1", "port": "{}", "user": "u", "password": SECRET,
         "database": "shop"}, "SQL Server 127.0.0.1:{}, database shop, user u"),
        ("CLICKHOUSE", "CLICKHOUSE_RUN_QUERY", {"host": "127.0.0.1", "port": "{}", "user": "u", "password": SECRET,
         "database": "shop"}, "ClickHouse 127.0.0.1:{}, database shop, user u"),
        ("DATABRICKS", "DATABRICKS_EXECUTE_STATEMENT", {"host": "127.0.0.1:{}", "token": SECRET, "catalog": "main",
         "http_path": "/sql/1.0/warehouses/abc"}, "Databricks 127.0.0.1:{}, database main"),
        ("SNOWFLAKE", "SNOWFLAKE_RUN_QUERY", {"account": "acme", "host": "127.0.0.1", "port": "{}", "protocol": "http",
         "user": "u", "password": SECRET, "database": "shop"}, "Snowflake 127.0.0.1:{}, database shop, user u"),
        ("GCP_BIG_QUERY", "GCP_BQ_RUN_QUERY_JOB", {"project": "acme", "api_endpoint": "http://127.0.0.1:{}"},
         "BigQuery http://127.0.0.1:{}, project acme"),
    ],
)  # fmt: skip
def test_fault_24_a_warehouse_that_is_not_there(
    tmp_path: Path, nobody: int, integration: str, job: str, entries: dict[str, str], named: str
) -> None:
    filled = {name: value.format(nobody) for name, value in entries.items()}
    parameter = "query" if integration == "GCP_BIG_QUERY" else "statement"
    ended = _run(job, tmp_path, integration, filled, **{parameter: "select 1"})
    assert (ended.code, ended.status) == (1, "FAILED")
    assert named.format(nobody) in str(ended.message), ended.message
    assert SECRET not in ended.log + str(ended.operations)


def _run(job: str, folder: Path, integration: str, entries: dict[str, str], **parameters: Any) -> Ended:
    return run(job, connection(integration, folder, "remote", **entries), attempt(folder), **parameters)


def _asked(
    monkeypatch: pytest.MonkeyPatch, module: str, function: str, folder: Path, integration: str,
    entries: dict[str, Any], **overrides: Any,
) -> tuple[tuple[Any, ...], dict[str, Any]]:  # fmt: skip
    """What the client's function for connecting is called with."""
    calls = []

    def refuse(*positional: Any, **named: Any) -> None:
        calls.append((positional, named))
        raise RuntimeError(f"no: {positional} {named.get('password')}")

    monkeypatch.setattr(importlib.import_module(module), function, refuse)
    with pytest.raises(Unreachable) as caught:
        connect(target_of(integration, connection(integration, folder, "remote", **entries), folder, overrides, "job"))
    assert SECRET not in str(caught.value)
    (call,) = calls
    return call


def test_snowflake_is_asked_for_what_task_and_connection_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"account": "acme", "user": "u", "password": SECRET, "role": "R1", "warehouse": "W1", "database": "D1"}
    _, named = _asked(
        monkeypatch, "snowflake.connector", "connect", tmp_path, "SNOWFLAKE", entries, role="R2", schema="S2"
    )
    assert {"account": "acme", "user": "u", "password": SECRET, "role": "R2", "warehouse": "W1", "database": "D1",
            "schema": "S2"}.items() <= named.items()  # fmt: skip
    assert named["login_timeout"] == 10
    keyed = {"account": "acme", "user": "u", "private_key": "keys/key.p8", "private_key_passphrase": SECRET}
    _, named = _asked(monkeypatch, "snowflake.connector", "connect", tmp_path, "SNOWFLAKE", keyed)
    assert (named["private_key_file"], named["private_key_file_pwd"]) == ("keys/key.p8", SECRET)
    _, named = _asked(monkeypatch, "snowflake.connector", "connect", tmp_path, "SNOWFLAKE",
                      {"account": "acme", "user": "u", "token": SECRET})  # fmt: skip
    assert (named["token"], named["authenticator"]) == (SECRET, "PROGRAMMATIC_ACCESS_TOKEN")


def test_snowflake_takes_a_key_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    key = rsa.generate_private_key(65537, 2048)
    locked = serialization.BestAvailableEncryption(SECRET.encode())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked).decode()
    entries = {"account": "acme", "user": "u", "private_key": pem, "private_key_passphrase": SECRET}
    _, named = _asked(monkeypatch, "snowflake.connector", "connect", tmp_path, "SNOWFLAKE", entries)
    read = serialization.load_der_private_key(named["private_key"], None)
    assert isinstance(read, rsa.RSAPrivateKey) and read.private_numbers() == key.private_numbers()
    wrong = connection("SNOWFLAKE", tmp_path, "remote", **{**entries, "private_key_passphrase": "another-one"})
    with pytest.raises(SqlError) as caught:
        connect(target_of("SNOWFLAKE", wrong, tmp_path, {}, "job"))
    assert "another-one" not in str(caught.value) and "PRIVATE KEY" not in str(caught.value)


@pytest.mark.parametrize("integration", [name for name, kind in KINDS.items() if kind.fields])
def test_every_field_can_stand_in_rehearse_toml_and_in_the_readme(
    tmp_path: Path, root: Path, integration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_VALUE", "1")
    switches = ("encrypt", "secure", "trust_certificate", "enable_drive_scope")
    lines = [f"{name} = " + ("true" if name in switches else '"${SOME_VALUE}"') for name in KINDS[integration].fields]
    entry = f'[connections.c]\nintegration = "{integration}"\nmode = "remote"\n'
    (tmp_path / "rehearse.toml").write_text(entry + "\n".join(lines))
    bound = load_bindings(tmp_path).connections["c"]
    assert target_of(integration, bound, tmp_path, {}, "job")["options"].keys() != set()
    readme = (root / "rehearse" / "README.md").read_text()
    assert [name for name in KINDS[integration].fields if f"`{name}`" not in readme] == []


def test_sql_server_gets_a_connection_string(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"host": "h", "port": "1433", "user": "u", "password": f"{SECRET};}}=", "database": "a"}
    (text,), named = _asked(monkeypatch, "mssql_python", "connect", tmp_path, "SQL_SERVER", entries, database="b")
    assert text == (f"Server=h,1433;Database=b;UID=u;PWD={{{SECRET};}}}}=}};Encrypt=yes;TrustServerCertificate=no;")
    assert named == {"autocommit": False, "timeout": 10}
    fabric = {"host": "x.fabric.microsoft.com", "authentication": "ActiveDirectoryServicePrincipal", "user": "id",
              "password": SECRET}  # fmt: skip
    (text,), _ = _asked(monkeypatch, "mssql_python", "connect", tmp_path, "FABRIC_SYNAPSE", fabric)
    assert "Authentication=ActiveDirectoryServicePrincipal;" in text
    loose = {"host": "h", "encrypt": False, "trust_certificate": True}  # as they stand in rehearse.toml
    (text,), _ = _asked(monkeypatch, "mssql_python", "connect", tmp_path, "SQL_SERVER", loose)
    assert text == "Server=h;Encrypt=no;TrustServerCertificate=yes;"


def test_databricks_takes_the_warehouse_of_the_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"host": "https://dbc.cloud.databricks.com/", "http_path": "/sql/1.0/warehouses/own", "token": SECRET,
               "catalog": "main", "schema": "s"}  # fmt: skip
    positional, named = _asked(
        monkeypatch, "databricks.sql", "connect", tmp_path, "DATABRICKS", entries, warehouse_id="w9"
    )
    assert positional == ("dbc.cloud.databricks.com", "/sql/1.0/warehouses/w9", SECRET)
    assert (named["catalog"], named["schema"], named["_port"]) == ("main", "s", 443)
    positional, _ = _asked(monkeypatch, "databricks.sql", "connect", tmp_path, "DATABRICKS", entries)
    assert positional[1] == "/sql/1.0/warehouses/own"
    bound = connection("DATABRICKS", tmp_path, "remote", host="h", token="t")
    with pytest.raises(SqlError, match="lacks http_path"):
        connect(target_of("DATABRICKS", bound, tmp_path, {}, "job"))


def test_clickhouse_and_motherduck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {"host": "h", "user": "u", "password": SECRET, "database": "a", "secure": "true"}
    _, named = _asked(monkeypatch, "clickhouse_connect", "get_client", tmp_path, "CLICKHOUSE", entries, database="b")
    assert (named["host"], named["port"], named["secure"], named["database"]) == ("h", 8443, True, "b")
    calls: list[Any] = []
    monkeypatch.setattr(
        "duckdb.connect", lambda *a, **k: calls.append((a, k)) or (_ for _ in ()).throw(OSError(SECRET))
    )
    bound = connection("MOTHERDUCK", tmp_path, "remote", token=SECRET, database="shop")
    with pytest.raises(Unreachable, match=r"cannot connect to MotherDuck database shop: \*{8}"):
        connect(target_of("MOTHERDUCK", bound, tmp_path, {}, "job")).run("select 1")
    assert calls[0][0] == ("md:shop",) and calls[0][1]["config"]["motherduck_token"] == SECRET


def test_bigquery_scopes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    monkeypatch.setattr("google.auth.default", lambda scopes: asked.append(scopes) or (SimpleNamespace(), "p"))
    monkeypatch.setattr("google.cloud.bigquery.Client", lambda **named: asked.append(named))
    bound = connection("GCP_BIG_QUERY", tmp_path, "remote", project="acme")
    connect(target_of("GCP_BIG_QUERY", bound, tmp_path, {"enable_drive_scope": True, "location": "EU"}, "job"))
    assert [scope.rsplit("/", 1)[1] for scope in asked[0]] == ["cloud-platform", "drive"]
    assert (asked[1]["project"], asked[1]["location"]) == ("acme", "EU")


def test_a_client_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymysql", None)  # type: ignore[arg-type]
    bound = connection("MYSQL", tmp_path, "remote", host="h", user="u")
    with pytest.raises(SqlError, match="the client of MySQL is not installed") as caught:
        connect(target_of("MYSQL", bound, tmp_path, {}, "job"))
    assert "clients" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("sql", "statements"),
    [
        ("select 1; select ';' ;\n-- no; more\n", ["select 1", "select ';'"]),
        ("select `a;b` /* ; */ from t", ["select `a;b` /* ; */ from t"]),
        (";;", []),
        ("-- only a comment", []),
        ("insert into t values ('it''s; ok');select 2", ["insert into t values ('it''s; ok')", "select 2"]),
    ],
)
def test_statements_are_split_where_they_end(sql: str, statements: list[str]) -> None:
    assert list(split(sql, "databricks")) == statements


def test_first_words() -> None:
    texts = ["select 1", "-- x\n (WITH a as (select 1) select 2)", "/* a */insert into t", ""]
    assert [first_word(text) for text in texts] == ["SELECT", "WITH", "INSERT", ""]


def test_values_of_a_connection_string() -> None:
    assert [_braced(value) for value in ("plain.host,1", "a;b", "a}b", "{x}")] == [
        "plain.host,1",
        "{a;b}",
        "{a}}b}",
        "{{x}}}",
    ]


def test_modules_are_imported_only_when_they_are_used() -> None:
    import subprocess

    code = "import rehearse.jobs.sql, rehearse.jobs.reconciliation, rehearse.jobs.schema_validation, sys; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"duckdb", "sqlglot", "psycopg", "pymysql", "snowflake", "databricks", "clickhouse_connect"}
    heavy |= {"google.cloud.bigquery"}  # `google` itself is a namespace that packages make at the start of Python
    assert heavy.isdisjoint(loaded)
    assert isinstance(sys, ModuleType)
