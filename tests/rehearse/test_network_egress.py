from __future__ import annotations

import json
import re
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from rehearse.bindings.config import load_bindings
from rehearse.errors import BindingError
from rehearse.jobs.egress import Egress, Refused, confined, kind_of, without_proxies


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.215.14", "public"), ("2606:2800:21f::1", "public"),
        ("127.0.0.1", "loopback"), ("127.8.9.10", "loopback"), ("::1", "loopback"), ("::ffff:127.0.0.1", "loopback"),
        ("10.1.2.3", "private"), ("172.16.0.1", "private"), ("192.168.1.1", "private"), ("fd12::1", "private"),
        ("100.64.0.1", "private"), ("::ffff:10.0.0.1", "private"), ("2002:0a00:0001::1", "private"),
        ("64:ff9b::a00:1", "private"),
        ("169.254.169.254", "forbidden"), ("::ffff:169.254.169.254", "forbidden"), ("64:ff9b::a9fe:a9fe", "forbidden"),
        ("2002:a9fe:a9fe::1", "forbidden"), ("fe80::1", "forbidden"), ("fe80::1%eth0", "forbidden"),
        ("fd00:ec2::254", "forbidden"), ("0.0.0.0", "forbidden"), ("0.1.2.3", "forbidden"), ("::", "forbidden"),
        ("224.0.0.1", "forbidden"), ("ff02::1", "forbidden"), ("255.255.255.255", "forbidden"),
        ("100.100.100.200", "forbidden"), ("168.63.129.16", "forbidden"),
    ],
)  # fmt: skip
def test_kinds_of_addresses(address: str, kind: str) -> None:
    assert kind_of(address) == kind


PUBLIC, PRIVATE, LOOPBACK, METADATA = "93.184.215.14", "10.1.2.3", "127.0.0.1", "169.254.169.254"


@pytest.mark.parametrize(
    ("mode", "host", "allow_private", "reached"),
    [
        ("remote", "api.example.com", False, {PUBLIC}),
        ("remote", "api.example.com", True, {PUBLIC, PRIVATE, LOOPBACK}),
        ("remote", "127.0.0.1", False, {PUBLIC}),
        ("local", "127.0.0.1", False, {LOOPBACK}),
        ("local", "localhost", False, {LOOPBACK}),
        ("local", "::1", False, {LOOPBACK}),
        ("local", "api.example.com", False, set()),
        ("local", "stand-in.internal", True, {PRIVATE, LOOPBACK}),
        ("nowhere", "", False, set()),
    ],
)
def test_what_a_mode_reaches(mode: str, host: str, allow_private: bool, reached: set[str]) -> None:
    egress = Egress("there", mode, host, allow_private)
    found = set()
    for address in (PUBLIC, PRIVATE, LOOPBACK, METADATA):
        try:
            egress.check(address)
            found.add(address)
        except Refused:
            pass
    assert found == reached
    assert len(egress.refused) == 4 - len(reached) and all(refused.hint for refused in egress.refused)


def test_the_address_is_checked_where_it_is_used() -> None:
    """Whatever the library, and whatever a name resolves to now or a moment later."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with confined(Egress("there", "remote", "api.example.com")):
            with pytest.raises(Refused, match=r"'there' may not reach 127\.0\.0\.1: it is a loopback address"):
                socket.create_connection(("127.0.0.1", port))
            with socket.socket() as direct, pytest.raises(Refused, match="it is no address"):
                direct.connect(("localhost", port))
            with socket.socket() as direct, pytest.raises(Refused):
                direct.connect_ex(("127.0.0.1", port))
        with confined(Egress("there", "local", "localhost")):
            socket.create_connection(("127.0.0.1", port)).close()
        socket.create_connection(("127.0.0.1", port)).close()  # others are not confined


def test_a_name_that_changes_its_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: the first answer is harmless, the second is the metadata service."""
    answers = iter(["127.0.0.1", "169.254.169.254"])

    def resolve(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    with socket.create_server(("127.0.0.1", 0)) as server, confined(Egress("there", "local", "localhost")):
        port = server.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        socket.create_connection(("localhost", port)).close()
        with pytest.raises(Refused, match="metadata"):
            socket.create_connection(("localhost", port))


def test_a_name_with_two_addresses_goes_on_to_the_allowed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, confined(Egress("there", "local", "localhost")):
        port = server.getsockname()[1]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port)) for a in ("10.0.0.1", "127.0.0.1")]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        socket.create_connection(("localhost", port)).close()


def test_other_threads_are_not_confined() -> None:
    failed: list[BaseException] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def connect() -> None:
            try:
                socket.create_connection(server.getsockname()).close()
            except OSError as e:
                failed.append(e)

        with confined(Egress("there", "nowhere", "")):
            thread = threading.Thread(target=connect)
            thread.start()
            thread.join()
    assert failed == []


def test_sockets_of_this_machine_that_are_no_network(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as server, confined(Egress("there", "nowhere", "")):
        server.bind(path)
        server.listen()
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)


def test_the_proxy_of_the_environment_may_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    Egress("there", "remote", "api.example.com").check("127.0.0.1", 3128)
    for egress, port in ((Egress("t", "remote", "a.com"), 3129), (Egress("t", "local", "a.com"), 3128)):
        with pytest.raises(Refused):
            egress.check("127.0.0.1", port)
    with pytest.raises(Refused):
        Egress("there", "remote", "api.example.com").check_behind_proxy("127.0.0.1")
    Egress("there", "remote", "api.example.com").check_behind_proxy("unknown.invalid")
    Egress("there", "local", "127.0.0.1").check_behind_proxy("127.0.0.1")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Egress("there", "remote", "api.example.com").check_behind_proxy("127.0.0.1")  # the check at the socket sees it
    assert without_proxies({"HTTP_PROXY": "x", "no_proxy": "x", "PATH": "p"}) == {"PATH": "p"}


@pytest.mark.parametrize("mode", ["stub", "recorded"])
def test_simulated_modes_have_no_network(tmp_path: Path, mode: str) -> None:
    (tmp_path / "rehearse.toml").write_text(f"[connections.x]\nintegration = 'HTTP'\nmode = '{mode}'\n")
    with pytest.raises(BindingError, match="no network"):
        Egress.of(load_bindings(tmp_path).connections["x"], "api.example.com")


def test_it_travels_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "rehearse.toml").write_text(
        "[connections.x]\nintegration = 'HTTP'\nmode = 'remote'\nallow_private = true\n"
    )
    egress = Egress.of(load_bindings(tmp_path).connections["x"], "api.example.com")
    assert Egress(**json.loads(json.dumps(egress.data()))) == egress == Egress("x", "remote", "api.example.com", True)


def test_the_example_of_the_readme(tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = re.findall(r"```toml\n(.*?)```", (root / "rehearse" / "README.md").read_text(), re.DOTALL)
    (tmp_path / "rehearse.toml").write_text(next(text for text in examples if "crm_12345" in text))
    monkeypatch.setenv("CRM_TOKEN", "to-ken-to-ken")
    connections = load_bindings(tmp_path).connections
    assert [(c.id, c.mode, c.get("token"), c.get("port")) for c in connections.values()] == [
        ("crm_12345", "remote", "to-ken-to-ken", None),
        ("sap_drop", "local", None, "2222"),
    ]
