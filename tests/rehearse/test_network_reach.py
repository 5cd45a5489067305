"""Rules 16 and 17: where the requests of a connection may lead, with the real client in processes of their own."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import network_harness as net
import pytest
from toxic_server import respond

GET = {"method": "GET", "path": "/x", "set_outputs": True}


@pytest.fixture(scope="module")
def server() -> Iterator[net.WebServer]:
    with net.web_server(respond) as server:
        yield server


def site_at(tmp_path: Path, base_url: str, **fields: Any) -> net.Site:
    return net.Site(tmp_path, "HTTP", base_url=base_url, **fields)


@pytest.mark.parametrize(
    ("mode", "target", "said"),
    [
        ("local", "http://169.254.169.254/latest/meta-data/", "link-local and metadata addresses are never reached"),
        ("local", "http://[::ffff:169.254.169.254]/", "never reached"),
        ("local", "http://[fd00:ec2::254]/", "never reached"),
        ("local", "http://0.0.0.0/", "never reached"),
        ("local", "http://10.0.0.1/", "it is a private address"),
        ("local", "http://93.184.215.14/", 'the mode is local (for the real system: mode = "remote")'),
        ("remote", "http://169.254.169.254/", "never reached"),
    ],
)  # fmt: skip
def test_a_redirect_is_checked_again(tmp_path: Path, server: net.WebServer, mode: str, target: str, said: str) -> None:
    site = site_at(tmp_path, server.url, mode=mode, **({"allow_private": True} if mode == "remote" else {}))
    ended = site.run("HTTP_REQUEST", GET | {"path": f"/redirect?to={target}"})
    assert ended.status == "FAILED"
    assert said in str(ended.message)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "0x7f.1", "2130706433", "127.1"])
def test_remote_does_not_reach_this_machine(tmp_path: Path, server: net.WebServer, host: str) -> None:
    """However the address is written."""
    server.requests.clear()
    ended = site_at(tmp_path, f"http://{host}:{server.port}", mode="remote").run("HTTP_REQUEST", GET)
    assert ended.status == "FAILED" and server.requests == []
    assert "it is a loopback address (if it is meant: allow_private = true)" in str(ended.message)


def test_allow_private_is_what_permits_it(tmp_path: Path, server: net.WebServer) -> None:
    site = site_at(tmp_path, f"http://localhost:{server.port}", mode="remote", allow_private=True)
    assert site.run("HTTP_REQUEST", GET).status == "SUCCEEDED"


def test_redirects_are_followed(tmp_path: Path, server: net.WebServer) -> None:
    server.requests.clear()
    site = site_at(tmp_path, server.url, token="to-ken-to-ken")
    ended = site.run(
        "HTTP_REQUEST", {"method": "POST", "path": "/redirect/307?to=/json", "body": "[1]", "set_outputs": True}
    )
    assert ended.outputs["response_body"]["rows"] == [1, 2]
    assert [(r.method, r.path, r.body) for r in server.requests][1] == ("POST", "/json", b"[1]")
    assert server.requests[1].headers["authorization"] == "Bearer to-ken-to-ken"


def test_secrets_do_not_follow_a_redirect_to_another_origin(tmp_path: Path, server: net.WebServer) -> None:
    with net.web_server(respond) as other:
        site = site_at(tmp_path, server.url, header_name="X-Api-Key", header_value="ke-y-ke-y")
        path = f"/redirect/302?to={other.url}/json?token=hush-hush"
        ended = site.run("HTTP_REQUEST", GET | {"path": path, "custom_headers": '{"X-Own": "1"}'})
        assert ended.status == "SUCCEEDED"
        assert f"redirected to {other.url}/json?token=********" in ended.log
        (request,) = other.requests
        assert not {"x-api-key", "x-own", "authorization"} & set(request.headers)
        assert request.headers["host"] == f"127.0.0.1:{other.port}"


def test_proxies_count_for_remote_connections_only(
    tmp_path: Path, server: net.WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.requests.clear()
    monkeypatch.setenv("HTTP_PROXY", server.url)
    monkeypatch.setenv("http_proxy", server.url)
    ended = site_at(tmp_path, "http://api.example.invalid", mode="remote").run("HTTP_REQUEST", GET)
    assert ended.status == "SUCCEEDED"
    assert [request.path for request in server.requests] == ["http://api.example.invalid/x"]
    ended = site_at(tmp_path, "http://10.0.0.1", mode="remote").run("HTTP_REQUEST", GET)  # the proxy would go there
    assert ended.status == "FAILED" and "may not reach 10.0.0.1" in str(ended.message)
    s3 = net.Site(tmp_path, "AWS_S3", endpoint_url="http://10.0.0.1", mode="remote")
    ended = s3.run("AWS_S3_GET_FILE", {"bucket_name": "shop", "object_key": "x"})
    assert ended.status == "FAILED" and "may not reach 10.0.0.1" in str(ended.message)
    assert len(server.requests) == 1
    with net.web_server(respond) as other:
        assert site_at(tmp_path, other.url).run("HTTP_REQUEST", GET).status == "SUCCEEDED"
        assert len(other.requests) == 1 and len(server.requests) == 1


def test_many_at_once_are_apart(tmp_path: Path, server: net.WebServer) -> None:
    """Each process is confined by its own connection."""
    results: dict[str, str | None] = {}

    def run(name: str, mode: str) -> None:
        folder = tmp_path / name
        folder.mkdir()
        results[name] = site_at(folder, server.url, mode=mode).run("HTTP_REQUEST", GET).status

    threads = [threading.Thread(target=run, args=pair) for pair in (("a", "local"), ("b", "remote"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == {"a": "SUCCEEDED", "b": "FAILED"}


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """Port of an HTTPS server called localhost, and the file with its certificate."""
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = tmp_path_factory.mktemp("tls") / "certificate.pem"
    text = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (pem.parent / "key.pem").write_bytes(private)
    pem.write_bytes(text)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, pem.parent / "key.pem")
    with net.web_server(respond, context) as server:
        yield server.port, pem


@pytest.mark.parametrize(
    ("host", "is_trusted", "said"),
    [
        ("localhost", True, None),
        ("127.0.0.1", True, "IP address mismatch"),
        ("localhost", False, "self-signed certificate"),
    ],
)
def test_certificates_are_checked_against_the_name(
    tmp_path: Path,
    encrypted: tuple[int, Path],
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    is_trusted: bool,
    said: str | None,
) -> None:
    port, certificate = encrypted
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    ended = site_at(tmp_path, f"https://{host}:{port}").run("HTTP_REQUEST", GET)
    assert ended.status == ("FAILED" if said else "SUCCEEDED"), ended.message
    assert (said or "") in str(ended.message)
