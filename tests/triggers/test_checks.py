"""What sensors look at: real S3, SFTP, Azure storage and databases, asked by their real clients (section 8.2)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from trigger_harness import Repository

from rehearse.bindings.config import load_bindings
from rehearse.language.model import SensorCheck
from rehearse.triggers import checks
from rehearse.triggers.checks import Look, look
from rehearse.triggers.sensors import Sensors

pytestmark = pytest.mark.xdist_group("clients")
SINCE = datetime(2026, 3, 1, 6, tzinfo=UTC)


def ask(repository: Repository, sensor: str, integration: str, since: datetime = SINCE, **parameters: Any) -> Look:
    check = SensorCheck(integration=integration, sensor_type=sensor, parameters=parameters)
    return look("c", check, parameters, load_bindings(repository.root), repository.root, since)


def bind(repository: Repository, integration: str, *lines: str) -> None:
    repository.bind("\n".join([f'[connections.there]\nintegration = "{integration}"\ndefault = true', *lines, ""]))


def test_rows_of_a_query(repository: Repository) -> None:
    """On DuckDB in place of a warehouse, as tasks do it."""
    bind(repository, "SNOWFLAKE", 'path = "w.duckdb"')
    found = ask(
        repository, "SNOWFLAKE_QUERY", "SNOWFLAKE", query="select 1 as n, 'x' as s union all select 2, 'y' order by 1"
    )
    assert (found.passed, found.outputs) == (True, {"results": [[1, "x"], [2, "y"]]})
    assert ask(repository, "SNOWFLAKE_QUERY", "SNOWFLAKE", query="select 1 where 1 = 0").passed is False
    wrong = ask(repository, "SNOWFLAKE_QUERY", "SNOWFLAKE", query="select * from nothing_here")
    assert wrong.is_error and "nothing_here" in str(wrong.message)


def test_a_database_that_does_not_answer_is_an_error_without_its_password(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_URL", "postgresql://u:swordfish-99@127.0.0.1:1/x")
    bind(repository, "POSTGRES", 'url = "${SHOP_URL}"')
    found = ask(repository, "POSTGRES_QUERY", "POSTGRES", query="select 1")
    assert found.is_error and found.message and "swordfish" not in found.message


def test_a_look_that_takes_too_long_is_ended(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "SECONDS", 0.5)
    bind(repository, "DUCKDB", 'path = "w.duckdb"')
    endless = "with recursive n as (select 1 as i union all select i + 1 from n) select count(*) from n"
    check = SensorCheck(integration="DUCKDB", sensor_type="POSTGRES_QUERY")
    found = look("c", check, {"query": endless}, load_bindings(repository.root), repository.root, SINCE)
    assert found.is_error and found.message == "it took longer than 0.5 s"


def test_stubs_say_what_they_find(repository: Repository) -> None:
    stub = ['mode = "stub"', "outputs = { files = ['a.csv'] }"]
    bind(repository, "AWS_S3", *stub, "[connections.there.tasks.c]", 'status = "FAILED"')
    assert ask(repository, "AWS_S3_FILE", "AWS_S3", bucket_name="b") == Look(False, {"files": ["a.csv"]}, None)
    bind(repository, "AWS_S3", *stub)
    assert ask(repository, "AWS_S3_FILE", "AWS_S3", bucket_name="b").outputs == {"files": ["a.csv"]}


@pytest.mark.parametrize(
    ("sensor", "integration", "parameters", "said"),
    [
        ("MONGODB_QUERY", "MONGODB", {}, "cannot be asked from here"),
        ("SHAREPOINT_FILE", "SHAREPOINT", {}, "cannot be asked from here"),
        ("POSTGRES_QUERY", "POSTGRES", {}, "has no query"),
        ("AWS_S3_FILE", "AWS_S3", {"bucket_name": "b"}, "none of AWS_S3 is the default"),
    ],
)
def test_what_cannot_be_asked_says_why(
    repository: Repository, sensor: str, integration: str, parameters: dict[str, Any], said: str
) -> None:
    found = ask(repository, sensor, integration, **parameters)
    assert found.is_error and said in str(found.message)


def test_files_of_s3(repository: Repository) -> None:
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        endpoint = "http://{}:{}".format(*server.get_host_and_port())
        s3 = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
        )
        s3.create_bucket(Bucket="landing")
        for key in ("in/a.csv", "in/deep/b.csv", "other/c.csv"):
            s3.put_object(Bucket="landing", Key=key, Body=b"x")
        bind(repository, "AWS_S3", f'endpoint_url = "{endpoint}"')
        since = datetime.now(UTC) - timedelta(minutes=1)
        found = ask(repository, "AWS_S3_FILE", "AWS_S3", since, bucket_name="landing", prefix="in/")
        assert (found.passed, found.outputs) == (True, {"files": ["in/a.csv", "in/deep/b.csv"]})
        later = datetime.now(UTC) + timedelta(minutes=1)
        assert ask(repository, "AWS_S3_FILE", "AWS_S3", later, bucket_name="landing").passed is False
        gone = ask(repository, "AWS_S3_FILE", "AWS_S3", since, bucket_name="gone")
        assert gone.is_error and "NoSuchBucket" in str(gone.message)
    finally:
        server.stop()


def test_files_of_sftp(
    repository: Repository, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncssh
    from ssh_harness import PASSWORD, ssh_server

    monkeypatch.setenv("SFTP_PASSWORD", PASSWORD)
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(2)]
    with ssh_server(tmp_path_factory.mktemp("sftp"), *keys) as server:
        (server.files / "in" / "deep").mkdir(parents=True)
        for name in ("a.csv", "b.txt", "deep/c.csv"):
            (server.files / "in" / name).write_text("x")
        lines = [f'{name} = "{value}"' for name, value in server.fields(password="${SFTP_PASSWORD}").items()]
        bind(repository, "SFTP", *lines)
        since = datetime.now(UTC) - timedelta(minutes=1)
        found = ask(repository, "SFTP_FILE", "SFTP", since, folder_path="in", file_pattern="*.csv")
        assert (found.passed, found.outputs) == (True, {"files": ["a.csv"]})
        assert (
            ask(repository, "SFTP_FILE", "SFTP", datetime.now(UTC) + timedelta(minutes=1), folder_path="in").passed
            is False
        )


@pytest.fixture
def azure() -> Iterator[ThreadingHTTPServer]:
    """The answer of Azure's Blob service to List Blobs (its documented XML), for the real client."""
    now = format_datetime(datetime.now(UTC), usegmt=True)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append((self.path, self.headers["Authorization"]))
            blobs = "".join(
                f"<Blob><Name>{name}</Name><Properties><Last-Modified>{moment}</Last-Modified><Etag>x</Etag>"
                f"<Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>"
                for name, moment in (("in/new.csv", now), ("in/old.csv", "Thu, 01 Jan 2026 00:00:00 GMT"))
            )
            inside = f"<Blobs>{blobs}</Blobs><NextMarker />"
            body = f'<?xml version="1.0" encoding="utf-8"?><EnumerationResults>{inside}</EnumerationResults>'
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            pass

    seen: list[tuple[str, str]] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen = seen  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_files_of_azure(repository: Repository, azure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_KEY", "a2V5LW9mLXRoZS1hY2NvdW50")
    url = f"http://127.0.0.1:{azure.server_port}/lumen"
    bind(repository, "AZURE_DATA_LAKE_STORAGE", f'url = "{url}"', 'account_key = "${AZURE_KEY}"')
    since = datetime.now(UTC) - timedelta(minutes=1)
    found = ask(repository, "ADLS_FILE", "AZURE_DATA_LAKE_STORAGE", since, container_name="landing", prefix="in/")
    assert (found.passed, found.outputs) == (True, {"files": ["in/new.csv"]}), found.message
    [(path, authorization)] = azure.seen
    assert path.startswith("/lumen/landing?") and "prefix=in" in path and authorization.startswith("SharedKey ")


def test_the_server_is_not_held_up_by_a_look(repository: Repository, tmp_path: Path) -> None:
    bind(repository, "DUCKDB", 'path = "w.duckdb"')
    repository.pipeline(
        "load",
        """
sensors:
  rows:
    name: Rows
    cron: 0 6 ? * * *
    timezone: UTC
    timeout_mins: 60
    checks:
      any: {integration: POSTGRES, sensor_type: POSTGRES_QUERY, connection: there, parameters: {query: select 1}}
""",
    )
    sensors = repository.make(Sensors)
    sensors.tick(datetime(2026, 3, 1, 5, tzinfo=UTC))
    now = SINCE + timedelta(seconds=1)
    assert sensors.tick(now) == now + timedelta(seconds=0.2)  # it comes back for the answer
    deadline = time.monotonic() + 30
    while not repository.runs():
        assert time.monotonic() < deadline, repository.said
        time.sleep(0.05)
        now += timedelta(seconds=0.05)
        sensors.tick(now)
    sensors.close()
