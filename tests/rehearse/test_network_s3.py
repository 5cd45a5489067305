"""AWS_S3_GET_FILE and AWS_S3_PUT_FILE, with boto3 against moto's server."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import network_harness as net
import pytest

from rehearse.errors import BindingError
from rehearse.jobs.base import JobError

GET, PUT = "AWS_S3_GET_FILE", "AWS_S3_PUT_FILE"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    import boto3

    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client(
        "s3", "us-east-1", endpoint_url=endpoint, aws_access_key_id="test", aws_secret_access_key="test"
    )
    for bucket in client.list_buckets()["Buckets"]:
        for found in client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", []):
            client.delete_object(Bucket=bucket["Name"], Key=found["Key"])
        client.delete_bucket(Bucket=bucket["Name"])
    client.create_bucket(Bucket="shop")
    return client


@pytest.fixture
def site(tmp_path: Path, endpoint: str, s3: Any) -> net.Site:
    return net.Site(tmp_path, "AWS_S3", endpoint_url=endpoint)


def keys(s3: Any) -> dict[str, bytes]:
    found = s3.list_objects_v2(Bucket="shop").get("Contents", [])
    return {f["Key"]: s3.get_object(Bucket="shop", Key=f["Key"])["Body"].read() for f in found}


@pytest.mark.parametrize(
    ("encoding", "data", "content"),
    [
        (None, "é😀\r\n".encode(), "é😀\r\n"),
        ("utf-8", b"", ""),
        ("latin-1", b"\xe9\xff", "éÿ"),
        ("utf-16", "é😀".encode("utf-16"), "é😀"),
        ("base64", bytes(range(256)), base64.b64encode(bytes(range(256))).decode()),
    ],
)
def test_a_file_is_read_and_written(site: net.Site, s3: Any, encoding: str | None, data: bytes, content: str) -> None:
    s3.put_object(Bucket="shop", Key="in/orders.csv", Body=data)
    place = {"bucket_name": "shop", "object_key": "in/orders.csv"} | ({"file_encoding": encoding} if encoding else {})
    ended = site.run(GET, place | {"set_outputs": True}, cold=encoding is None)
    assert (ended.code, ended.status, ended.outputs) == (0, "SUCCEEDED", {"content": content}), ended.message
    assert site.run(GET, place).outputs == {}
    ended = site.run(PUT, place | {"object_key": "out.csv", "contents": content})
    assert ended.status == "SUCCEEDED", ended.message
    assert keys(s3)["out.csv"] == data
    (operation,) = ended.operations
    assert operation["asset"] == {"integration": "AWS_S3", "name": "shop/out.csv", "type": "FILE"}


def test_a_large_file_is_written(site: net.Site, s3: Any) -> None:
    data = bytes(range(256)) * 12_000
    parameters = {"bucket_name": "shop", "object_key": "b", "file_encoding": "base64"}
    assert site.run(PUT, parameters | {"contents": base64.b64encode(data).decode()}).status == "SUCCEEDED"
    assert keys(s3) == {"b": data}


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ({"bucket_name": "shop", "object_key": "none"}, "s3://shop/none: NoSuchKey: "),
        ({"bucket_name": "nowhere", "object_key": "x"}, "s3://nowhere/x: NoSuchBucket: "),
        ({"bucket_name": "Not/a/bucket", "object_key": "x"}, "Invalid bucket name"),
    ],
)
def test_a_file_that_is_not_there(site: net.Site, place: dict[str, str], said: str) -> None:
    ended = site.run(GET, place)
    assert (ended.code, ended.status) == (1, "FAILED") and said in str(ended.message)


def test_bytes_that_are_no_text(site: net.Site, s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="b", Body=b"\xff\xfe\xff")
    ended = site.run(GET, {"bucket_name": "shop", "object_key": "b", "set_outputs": True})
    assert ended.status == "FAILED" and "is no text in utf-8" in str(ended.message) and "base64" in str(ended.message)


def test_fault_28_a_file_larger_than_outputs_may_be(site: net.Site, s3: Any) -> None:
    s3.put_object(Bucket="shop", Key="huge", Body=b"x" * 6_000_000)
    parameters = {"bucket_name": "shop", "object_key": "huge"}
    ended = site.run(GET, parameters | {"set_outputs": True})
    assert ended.status == "FAILED" and ended.outputs == {}
    assert "s3://shop/huge has 6,000,000 bytes" in str(ended.message) and "pass its path" in str(ended.message)
    ended = site.run(GET, parameters)
    assert ended.status == "SUCCEEDED" and "not read" in str(ended.message)


@pytest.mark.parametrize(
    "key", ["../../other/x", "a/../b", "'; rm -rf /", "$(id)", "😀 \u202e", "${{ env.X }}", "a\nb", "a?b#c"]
)
def test_fault_29_a_key_is_only_a_key(site: net.Site, s3: Any, key: str) -> None:
    s3.create_bucket(Bucket="other")
    ended = site.run(PUT, {"bucket_name": "shop", "object_key": key, "contents": key})
    assert s3.list_objects_v2(Bucket="other").get("Contents", []) == []
    assert keys(s3) == ({key: key.encode()} if ended.status == "SUCCEEDED" else {})


@pytest.mark.parametrize(
    ("job", "parameters", "said"),
    [
        (GET, {"object_key": "x"}, "needs the parameter 'bucket_name'"),
        (PUT, {"bucket_name": "shop", "object_key": "x"}, "needs the parameter 'contents'"),
        (GET, {"bucket_name": "shop", "object_key": "a\0b"}, "NUL"),
        (GET, {"bucket_name": "shop", "object_key": "x", "file_encoding": "ascii"}, "file_encoding 'ascii'"),
        (
            PUT,
            {"bucket_name": "shop", "object_key": "x", "contents": "é!", "file_encoding": "base64"},
            "cannot be written as base64",
        ),
        (
            PUT,
            {"bucket_name": "shop", "object_key": "x", "contents": "😀", "file_encoding": "latin-1"},
            "cannot be written as latin-1",
        ),
    ],
)
def test_parameters_that_cannot_be_sent(site: net.Site, job: str, parameters: dict[str, str], said: str) -> None:
    with pytest.raises(JobError, match=said):
        site.prepare(job, parameters)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "is local and has no 'endpoint_url'"),
        ({"endpoint_url": "s3://shop"}, "no URL of http or https"),
        ({"mode": "remote", "access_key_id": "AKIA"}, "only one of access_key_id and secret_access_key"),
    ],
)
def test_a_connection_that_cannot_be_used(tmp_path: Path, fields: dict[str, str], said: str) -> None:
    with pytest.raises(BindingError, match=said):
        net.Site(tmp_path, "AWS_S3", **fields).prepare(GET, {"bucket_name": "shop", "object_key": "x"})


def test_a_stand_in_never_gets_the_keys_of_this_machine(
    tmp_path: Path, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".aws").mkdir(parents=True)
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = real-real-real\n"
    )
    monkeypatch.setenv("HOME", str(home))

    def respond(handler: Any, request: net.Request) -> None:
        net.answer(handler, 200, "content", ETag='"x"')

    with net.web_server(respond) as server:
        place = {"bucket_name": "shop", "object_key": "x"}
        net.Site(tmp_path, "AWS_S3", endpoint_url=server.url).run(GET, place)
        given = {"access_key_id": "AKIAGIVEN", "secret_access_key": "given-given"}
        site = net.Site(tmp_path, "AWS_S3", endpoint_url=server.url, mode="remote", allow_private=True, **given)
        site.run(GET, place)
        net.Site(tmp_path, "AWS_S3", endpoint_url=server.url, mode="remote", allow_private=True).run(GET, place)
    used = [
        request.headers["authorization"].partition("Credential=")[2].partition("/")[0] for request in server.requests
    ]
    assert used == ["stand-in", "AKIAGIVEN", "AKIAREAL"]
    assert {"AKIAGIVEN", "given-given"} <= set(site.prepare(GET, place).secrets)


@pytest.mark.parametrize(
    ("url", "mode", "said"),
    [
        ("http://169.254.169.254", "local", "never reached"),
        ("http://10.0.0.1", "local", "it is a private address"),
        ("http://93.184.215.14", "local", "it is on the internet, and the mode is local"),
        ("", "remote", "it is a loopback address"),
    ],
)
def test_where_a_connection_may_lead(tmp_path: Path, endpoint: str, url: str, mode: str, said: str) -> None:
    given = {"access_key_id": "AKIAGIVEN", "secret_access_key": "given-given"}
    site = net.Site(tmp_path, "AWS_S3", endpoint_url=url or endpoint, mode=mode, **given)
    ended = site.run(GET, {"bucket_name": "shop", "object_key": "x"})
    assert ended.status == "FAILED" and said in str(ended.message)
