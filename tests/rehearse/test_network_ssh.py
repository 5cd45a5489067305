"""SFTP files and SSH commands, with paramiko against a real server (asyncssh) on this machine."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncssh
import network_harness as net
import pytest
import ssh_harness as ssh

from rehearse.errors import BindingError
from rehearse.jobs import ssh_command
from rehearse.jobs.base import JobError

HOST_KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER_KEY = asyncssh.generate_private_key("ssh-ed25519")
USER_KEY = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
RUN, GET, PUT = "LINUX_SSH_EXECUTE_COMMAND", "SFTP_GET_FILE", "SFTP_PUT_FILE"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ssh.SshServer]:
    with ssh.ssh_server(tmp_path_factory.mktemp("ssh"), HOST_KEY, USER_KEY) as server:
        yield server


@pytest.fixture
def server(shared: ssh.SshServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ssh.SshServer:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    for kept in (shared.commands, shared.signals, shared.pids):
        kept.clear()
    for path in shared.files.iterdir():
        path.unlink()
    shared.is_deaf = False
    return shared


def commands(tmp_path: Path, server: ssh.SshServer, integration: str = "LINUX_SSH", **fields: Any) -> net.Site:
    return net.Site(tmp_path, integration, **server.fields(**fields))


@pytest.fixture
def shell(tmp_path: Path, server: ssh.SshServer) -> net.Site:
    return commands(tmp_path, server)


@pytest.fixture
def files(tmp_path: Path, server: ssh.SshServer) -> net.Site:
    return commands(tmp_path, server, "SFTP")


# Commands


def test_a_command_and_its_output(shell: net.Site, server: ssh.SshServer) -> None:
    ended = net.Running(
        shell.prepare(RUN, {"command": "cd /tmp && echo out; echo err >&2; pwd"}), shell.folder, cold=True
    ).end()
    assert (ended.code, ended.status) == (0, "SUCCEEDED")
    lines = ended.log.splitlines()
    assert lines[0] == f"connected to 127.0.0.1:{server.port} as loader"
    assert sorted(lines[1:]) == ["/tmp", "err", "out"]


def test_windows_is_the_same(tmp_path: Path, server: ssh.SshServer) -> None:
    ended = commands(tmp_path, server, "WINDOWS_SSH").run("WINDOWS_SSH_COMMAND", {"command": "echo hello"})
    assert ended.status == "SUCCEEDED" and "hello" in ended.log


@pytest.mark.parametrize(
    ("command", "message"),
    [("exit 3", "exit code 3"), ("kill -9 $$", "ended without an exit code: killed by a signal")],
)
def test_a_command_that_fails(shell: net.Site, command: str, message: str) -> None:
    ended = shell.run(RUN, {"command": command})
    assert (ended.code, ended.status) == (1, "FAILED")
    assert message in str(ended.message)


def test_output_is_streamed(shell: net.Site, tmp_path: Path) -> None:
    go = tmp_path / "go"
    running = shell.start(RUN, {"command": f"echo first; while ! test -e {go}; do sleep 0.05; done; echo last"})
    running.wait_for("first")
    assert running.is_running()
    go.touch()
    assert running.end().log.endswith("first\nlast\n")


def test_binary_output_of_any_size(shell: net.Site) -> None:
    ended = shell.run(RUN, {"command": "head -c 3000000 /dev/zero; printf '\\377\\376end'"})
    assert ended.status == "SUCCEEDED"
    data = (shell.folder / "log").read_bytes()
    assert data.count(b"\0") == 3_000_000 and data.endswith(b"\xff\xfeend")


def test_what_a_command_leaves_in_the_background_is_not_waited_for(shell: net.Site) -> None:
    ended = shell.run(RUN, {"command": "echo done; sleep 300 &"})
    assert ended.status == "SUCCEEDED" and ended.log.endswith("done\n")


@pytest.mark.parametrize("number", [2, 15])
def test_stopping_the_task_ends_the_remote_command(shell: net.Site, server: ssh.SshServer, number: int) -> None:
    running = shell.start(RUN, {"command": "echo started; exec sleep 300"})
    running.wait_for("started")
    running.interrupt(number)
    ended = running.end()
    assert (ended.code, ended.status) == (130, None) and ended.log.endswith("stopped\n")
    assert server.signals == ["INT"]
    net.wait_until(lambda: not Path(f"/proc/{server.pids[0]}").exists())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_command, "_PATIENCE_SECONDS", {"INT": 0.5, "TERM": 0.5, "KILL": 1.0})


@pytest.mark.usefixtures("impatient")
def test_a_remote_command_that_takes_no_notice_is_killed(shell: net.Site, server: ssh.SshServer) -> None:
    running = shell.start(RUN, {"command": "trap '' INT TERM; echo started; while true; do sleep 0.1; done"})
    running.wait_for("started")
    running.interrupt()
    ended = running.end()
    assert ended.code == 130 and server.signals == ["INT", "TERM", "KILL"]
    net.wait_until(lambda: not Path(f"/proc/{server.pids[0]}").exists())


@pytest.mark.usefixtures("impatient")
def test_a_server_that_takes_no_notice_is_named(shell: net.Site, server: ssh.SshServer) -> None:
    server.is_deaf = True
    running = shell.start(RUN, {"command": "echo started; exec sleep 60"})
    running.wait_for("started")
    running.interrupt()
    ended = running.end()
    assert ended.code == 130 and "the remote command may go on" in ended.log
    os.killpg(server.pids[0], 9)


@pytest.mark.parametrize(
    "value", ["'; echo injected", "$(echo injected)", "😀 \u202e", "${{ env.TOKEN }}", "a\nb", "../..", "\r\nx"]
)
def test_fault_29_a_command_arrives_as_it_is(shell: net.Site, server: ssh.SshServer, value: str) -> None:
    """The remote shell understands it, as on the platform; nothing on the way does."""
    shell.run(RUN, {"command": f"cat <<'END'\n{value}\nEND"})
    assert server.commands == [f"cat <<'END'\n{value}\nEND"]


@pytest.mark.parametrize("command", ["", "  ", None, "a\0b"])
def test_no_command(shell: net.Site, command: str | None) -> None:
    with pytest.raises(JobError, match="command"):
        shell.prepare(RUN, {"command": command})


# Logging in


def test_an_unknown_host_key_is_refused_with_the_line_to_add(tmp_path: Path, server: ssh.SshServer) -> None:
    site = commands(tmp_path, server, host_key=None)
    ended = site.run(RUN, {"command": "true"})
    assert ended.status == "FAILED" and server.commands == []
    message = str(ended.message)
    assert f"the host key of 127.0.0.1:{server.port} is not known: ssh-ed25519 SHA256:" in message
    command = message.partition("then: ")[2].removesuffix(")")
    assert command == f"echo '[127.0.0.1]:{server.port} {server.host_key}' >> ~/.ssh/known_hosts"
    assert os.system(command) == 0
    assert site.run(RUN, {"command": "true"}).status == "SUCCEEDED"


def test_known_hosts_of_the_connection(tmp_path: Path, server: ssh.SshServer) -> None:
    site = commands(tmp_path, server, host_key=None, known_hosts="known hosts")
    assert "known_hosts cannot be read" in str(site.run(RUN, {"command": "true"}).message)
    file = tmp_path / "known hosts"
    file.write_text(f"[127.0.0.1]:{server.port + 1} {server.host_key}\n")
    assert f">> '{file}'" in str(site.run(RUN, {"command": "true"}).message)
    file.write_text(f"[127.0.0.1]:{server.port} {server.host_key}\n")
    assert site.run(RUN, {"command": "true"}).status == "SUCCEEDED"


@pytest.mark.parametrize("by", ["host_key", "known_hosts"])
def test_another_host_key_than_the_known_one(tmp_path: Path, server: ssh.SshServer, by: str) -> None:
    other = " ".join(OTHER_KEY.export_public_key().decode().split()[:2])
    (tmp_path / "hosts").write_text(f"[127.0.0.1]:{server.port} {other}\n")
    site = commands(tmp_path, server, **{"host_key": None} | {by: other if by == "host_key" else "hosts"})
    ended = site.run(RUN, {"command": "true"})
    assert ended.status == "FAILED" and server.commands == []
    assert "another host key than the known one" in str(ended.message)


@pytest.mark.parametrize("host_key", ["nonsense", "ssh-ed25519", "ssh-ed25519 AAAA!", "x y"])
def test_a_host_key_that_cannot_be_read(tmp_path: Path, server: ssh.SshServer, host_key: str) -> None:
    ended = commands(tmp_path, server, host_key=host_key).run(RUN, {"command": "true"})
    assert ended.status == "FAILED" and "host_key cannot be read" in str(ended.message)


def test_a_wrong_password(tmp_path: Path, server: ssh.SshServer) -> None:
    ended = commands(tmp_path, server, password="sword-fish-2").run(RUN, {"command": "true"})
    assert ended.status == "FAILED"
    assert f"127.0.0.1:{server.port} does not let loader in with this password" in str(ended.message)
    assert "sword-fish-2" not in ended.log


def pem(passphrase: str | None = None) -> str:
    kind = "openssh" if passphrase else "pkcs8-pem"
    return USER_KEY.export_private_key("openssh" if passphrase else kind, passphrase).decode()


@pytest.mark.parametrize("given", ["text", "escaped", "file", "encrypted"])
def test_a_key_pair(tmp_path: Path, server: ssh.SshServer, given: str) -> None:
    key = pem("pass-phrase-1" if given == "encrypted" else None)
    fields: dict[str, Any] = {"private_key": key, "password": None}
    if given == "escaped":
        fields["private_key"] = key.strip().replace("\n", "\\n")
    elif given == "encrypted":
        fields["private_key_passphrase"] = "pass-phrase-1"
    elif given == "file":
        fields["private_key"], fields["auth_type"] = "key", "KEY_PAIR"
        (tmp_path / "key").write_text(key)
        (tmp_path / "key").chmod(0o600)
    site = commands(tmp_path, server, **fields)
    ended = site.run(RUN, {"command": "true"})
    assert ended.status == "SUCCEEDED", ended.message
    assert key.strip() in [text.strip() for text in site.prepare(RUN, {"command": "true"}).secrets]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"private_key": pem("pass-phrase-1")}, "the private key is encrypted"),
        (
            {"private_key": pem("pass-phrase-1"), "private_key_passphrase": "wrong"},
            "cannot be read with this passphrase",
        ),
        ({"private_key": "-----BEGIN X-----\nnonsense\n-----END X-----"}, "the private key cannot be read"),
        (
            {"private_key": OTHER_KEY.export_private_key("openssh").decode()},
            "does not let loader in with its key",
        ),
    ],
)
def test_a_key_that_does_not_open(tmp_path: Path, server: ssh.SshServer, fields: dict[str, str], said: str) -> None:
    ended = commands(tmp_path, server, password=None, **fields).run(RUN, {"command": "true"})
    assert ended.status == "FAILED" and said in str(ended.message)
    assert "nonsense" not in ended.log


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"host": None}, "has no 'host'"),
        ({"user": None}, "has no 'user'"),
        ({"password": None}, "has no 'password'"),
        ({"auth_type": "KEY_PAIR"}, "has no 'private_key'"),
        ({"auth_type": "AGENT"}, "auth_type 'AGENT' is not known"),
        ({"port": "99999"}, "port '99999'"),
        ({"private_key": "nowhere"}, "private_key cannot be read"),
        ({"private_key": "open"}, "can be read by others"),
    ],
)
def test_a_connection_that_cannot_be_used(
    tmp_path: Path, server: ssh.SshServer, fields: dict[str, Any], said: str
) -> None:
    (tmp_path / "open").write_text("key")
    (tmp_path / "open").chmod(0o644)
    with pytest.raises(BindingError, match=said):
        commands(tmp_path, server, **fields).prepare(RUN, {"command": "true"})


def test_a_missing_client_library_is_named(shell: net.Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rehearse.jobs.calls.find_spec", lambda name: None)
    with pytest.raises(JobError, match="paramiko is not installed") as caught:
        shell.prepare(RUN, {"command": "true"})
    assert "pip install paramiko" in str(caught.value.hint) and "clients" in str(caught.value.hint)


@pytest.mark.parametrize(("mode", "allow_private", "reached"), [("remote", False, False), ("remote", True, True)])
def test_where_a_connection_may_lead(
    tmp_path: Path, server: ssh.SshServer, mode: str, allow_private: bool, reached: bool
) -> None:
    site = commands(tmp_path, server, mode=mode, allow_private=allow_private)
    ended = site.run(RUN, {"command": "true"})
    assert (ended.status == "SUCCEEDED") is reached and bool(server.commands) is reached
    if not reached:
        assert "may not reach 127.0.0.1: it is a loopback address" in str(ended.message)


def test_nobody_listens(tmp_path: Path, server: ssh.SshServer) -> None:
    ended = commands(tmp_path, server, port=1).run(RUN, {"command": "true"})
    assert ended.status == "FAILED" and "127.0.0.1:1" in str(ended.message)


# Files


def test_a_file_is_written_and_read(files: net.Site, server: ssh.SshServer) -> None:
    ended = files.run(PUT, {"file_path": "in.csv", "contents": "a,b\r\n1,é😀\n"})
    assert (ended.code, ended.status) == (0, "SUCCEEDED"), ended.message
    assert {path.name: path.read_bytes() for path in server.files.iterdir()} == {"in.csv": "a,b\r\n1,é😀\n".encode()}
    (operation,) = ended.operations
    assert operation["asset"] == {"integration": "SFTP", "name": "sftp://127.0.0.1/in.csv", "type": "FILE"}
    assert operation["status"] == "SUCCEEDED" and operation["started_at"] <= operation["ended_at"]
    ended = files.run(GET, {"file_path": "in.csv", "content_format": "TEXT", "set_outputs": True})
    assert ended.outputs == {"contents": "a,b\r\n1,é😀\n"}
    assert files.run(GET, {"file_path": "/in.csv"}).outputs == {}


def test_bytes_as_base64(files: net.Site, server: ssh.SshServer) -> None:
    data = bytes(range(256)) * 5000  # more than fits into a variable
    text = base64.encodebytes(data).decode()
    assert files.run(PUT, {"file_path": "b", "contents": text, "content_format": "BASE64"}).status == "SUCCEEDED"
    assert (server.files / "b").read_bytes() == data
    ended = files.run(GET, {"file_path": "b", "content_format": "BASE64", "set_outputs": True})
    assert base64.b64decode(ended.outputs["contents"]) == data
    ended = files.run(GET, {"file_path": "b", "set_outputs": True})
    assert ended.status == "FAILED" and "is no text in utf-8" in str(ended.message) and "BASE64" in str(ended.message)


def test_an_existing_file_is_replaced_on_request_only(files: net.Site, server: ssh.SshServer) -> None:
    (server.files / "f").write_text("old")
    ended = files.run(PUT, {"file_path": "f", "contents": "new"})
    assert ended.status == "FAILED" and "exists (write overwrite: true to replace it)" in str(ended.message)
    assert (server.files / "f").read_text() == "old"
    assert files.run(PUT, {"file_path": "f", "contents": "new", "overwrite": True}).status == "SUCCEEDED"
    assert [path.name for path in server.files.iterdir()] == ["f"] and (server.files / "f").read_text() == "new"


def test_nothing_is_left_of_a_write_that_fails(files: net.Site, server: ssh.SshServer) -> None:
    (server.files / "folder").mkdir()
    ended = files.run(PUT, {"file_path": "folder", "contents": "x", "overwrite": True})
    assert ended.status == "FAILED"
    assert [path.name for path in server.files.iterdir()] == ["folder"]
    (server.files / "folder").rmdir()
    ended = files.run(PUT, {"file_path": "nowhere/f", "contents": "x"})
    assert ended.status == "FAILED" and "No such file" in str(ended.message)


def test_a_file_that_is_not_there(files: net.Site) -> None:
    ended = files.run(GET, {"file_path": "out/none.csv", "set_outputs": True})
    assert ended.status == "FAILED" and "sftp://127.0.0.1/out/none.csv: " in str(ended.message)


def test_fault_28_a_file_larger_than_outputs_may_be(files: net.Site, server: ssh.SshServer) -> None:
    with (server.files / "huge").open("wb") as file:
        file.truncate(50_000_000)
    ended = files.run(GET, {"file_path": "huge", "set_outputs": True})
    assert ended.status == "FAILED" and ended.outputs == {}
    assert "50,000,000 bytes" in str(ended.message) and "pass its path" in str(ended.message)
    assert files.run(GET, {"file_path": "huge"}).status == "SUCCEEDED"
    (server.files / "quotes").write_text('"' * 3_000_000)  # twice as long in JSON
    ended = files.run(GET, {"file_path": "quotes", "set_outputs": True})
    assert ended.status == "FAILED" and "pass its path" in str(ended.message)


@pytest.mark.parametrize("name", ["'; rm -rf x", "$(id)", "a\nb", "😀 \u202e", "${{ env.X }}", "..x", "*"])
def test_fault_29_a_path_is_only_a_path(files: net.Site, server: ssh.SshServer, name: str) -> None:
    assert files.run(PUT, {"file_path": name, "contents": name}).status == "SUCCEEDED"
    assert [(path.name, path.read_text()) for path in server.files.iterdir()] == [(name, name)]


@pytest.mark.parametrize(
    ("job", "parameters", "said"),
    [
        (PUT, {"file_path": "a\0b", "contents": "x"}, "NUL"),
        (PUT, {"file_path": "folder/", "contents": "x"}, "names no file"),
        (PUT, {"file_path": "", "contents": "x"}, "names no file"),
        (PUT, {"file_path": "f"}, "needs the parameter 'contents'"),
        (PUT, {"file_path": "f", "contents": "!!", "content_format": "BASE64"}, "cannot be written as base64"),
        (PUT, {"file_path": "f", "contents": "x", "content_format": "ZIP"}, "content_format 'ZIP'"),
    ],
)
def test_parameters_that_cannot_be_sent(files: net.Site, job: str, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said):
        files.prepare(job, parameters)
