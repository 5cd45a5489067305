"""Connecting over SSH, for files (SFTP) and commands.

Connection (section 7.3): `host`, `port`, `user`, `auth_type` USERNAME_PASSWORD (`password`) or KEY_PAIR (`private_key`: PEM
text, or the path of a file; `private_key_passphrase`). The server must be known: by `host_key` ("ssh-ed25519 AAAA..."), by the
file `known_hosts`, or by ~/.ssh/known_hosts.
"""

from __future__ import annotations

import io
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.base import JobError
from rehearse.jobs.calls import CallFailed, need_client, needed
from rehearse.jobs.egress import Egress

if TYPE_CHECKING:
    import paramiko  # type: ignore[import-untyped]

_AUTH_TYPES = ("USERNAME_PASSWORD", "KEY_PAIR")
_CONNECT_SECONDS = 15


def access(connection: Connection, root: Path) -> tuple[dict[str, Any], Egress, tuple[str | None, ...]]:
    """What `connect` needs to know, where it may connect, and what must not be seen of it. Raises BindingError or JobError."""
    need_client("paramiko")
    host = needed(connection, "host", "sftp.example.com")
    port = connection.get("port") or "22"
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise BindingError(f"connection '{connection.id}': port '{port}' is no port")
    password, key, passphrase = (connection.get(name) for name in ("password", "private_key", "private_key_passphrase"))
    kind = (connection.get("auth_type") or ("KEY_PAIR" if key else "USERNAME_PASSWORD")).upper()
    if kind not in _AUTH_TYPES:
        raise BindingError(
            f"connection '{connection.id}': auth_type '{kind}' is not known", f"one of {', '.join(_AUTH_TYPES)}"
        )
    needed(
        connection, *(("private_key", "~/.ssh/id_ed25519") if kind == "KEY_PAIR" else ("password", "${SSH_PASSWORD}"))
    )
    known_hosts = connection.get("known_hosts")
    how: dict[str, Any] = {
        "host": host,
        "port": int(port),
        "user": needed(connection, "user", "loader"),
        "password": password if kind == "USERNAME_PASSWORD" else None,
        "private_key": _pem(connection, str(key), root) if kind == "KEY_PAIR" else None,
        "passphrase": passphrase,
        "known_hosts": str(root / Path(known_hosts).expanduser()) if known_hosts else None,
        "host_key": connection.get("host_key"),
    }
    return how, Egress.of(connection, host), (password, how["private_key"], passphrase)


def connect(how: dict[str, Any]) -> paramiko.SSHClient:
    """A client that has logged in, in the task's process. Raises CallFailed."""
    import paramiko

    where = f"{how['host']}:{how['port']}"
    client = paramiko.SSHClient()
    _learn_hosts(client, how)
    client.set_missing_host_key_policy(_Refuse(how))
    pkey = _read_key(how["private_key"], how["passphrase"]) if how["private_key"] else None
    try:
        client.connect(
            how["host"], how["port"], how["user"], how["password"], pkey, allow_agent=False, look_for_keys=False,
            timeout=_CONNECT_SECONDS, banner_timeout=_CONNECT_SECONDS, auth_timeout=_CONNECT_SECONDS,
        )  # fmt: skip
    except CallFailed:
        raise
    except paramiko.BadHostKeyException as e:
        raise CallFailed(
            f"{where} shows another host key than the known one: {_fingerprint(e.key)}; somebody may be in between",
            "ask its owner; if the key was changed, replace the old line of known_hosts, or host_key",
        ) from None
    except paramiko.AuthenticationException:
        by = "its key" if pkey else "this password"
        raise CallFailed(f"{where} does not let {how['user']} in with {by}") from None
    except (paramiko.SSHException, OSError, EOFError) as e:
        raise CallFailed(f"{where}: {' '.join(str(e).split()) or type(e).__name__}") from e
    transport = client.get_transport()
    if transport is not None:
        transport.set_keepalive(15)
    print(f"connected to {where} as {how['user']}", flush=True)
    return client


def _learn_hosts(client: paramiko.SSHClient, how: dict[str, Any]) -> None:
    """Fill in the keys that are trusted: those of the most particular source only."""
    import paramiko

    if how["host_key"]:
        words = how["host_key"].split()[:2]
        try:
            entry = paramiko.hostkeys.HostKeyEntry.from_line(" ".join([_name(how), *words]))
            client.get_host_keys().add(_name(how), words[0], entry.key)
        except Exception:  # each kind of key has mistakes of its own
            hint = 'for example: host_key = "ssh-ed25519 AAAA..."'
            raise CallFailed(f"host_key cannot be read: {how['host_key']:.80}", hint) from None
        return
    path = Path(how["known_hosts"] or "~/.ssh/known_hosts").expanduser()
    if path.exists() or how["known_hosts"]:
        try:
            client.load_system_host_keys(str(path))
        except (OSError, paramiko.SSHException) as e:
            raise CallFailed(f"known_hosts cannot be read: {e}") from e


class _Refuse:
    """Whoever is not known is not talked to."""

    def __init__(self, how: dict[str, Any]):
        self._how = how

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        line = f"{_name(self._how)} {key.get_name()} {key.get_base64()}"
        file = self._how["known_hosts"] or "~/.ssh/known_hosts"
        raise CallFailed(
            f"the host key of {self._how['host']}:{self._how['port']} is not known: {_fingerprint(key)}",
            f"compare it with what its owner says, then: echo {shlex.quote(line)} >> {_quoted(file)}",
        )


def _name(how: dict[str, Any]) -> str:
    """As known_hosts has it."""
    return str(how["host"]) if how["port"] == 22 else f"[{how['host']}]:{how['port']}"


def _quoted(path: str) -> str:
    return path if path.startswith("~/") else shlex.quote(path)


def _fingerprint(key: paramiko.PKey) -> str:
    return f"{key.get_name()} {key.fingerprint}"


def _pem(connection: Connection, key: str, root: Path) -> str:
    """The text of the private key. Raises BindingError for a file that is not there or that others can read."""
    if "-----BEGIN" in key:
        return key if "\n" in key.strip() else key.replace("\\n", "\n")  # as variables often hold it
    path = root / Path(key).expanduser()
    try:
        if path.stat().st_mode & 0o077:
            raise BindingError(f"{path} holds a private key and can be read by others", f"chmod 600 {path}")
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError) as e:
        raise BindingError(f"connection '{connection.id}': private_key cannot be read: {e}") from e


def _read_key(pem: str, passphrase: str | None) -> paramiko.PKey:
    """From any PEM there is: OpenSSH's own, PKCS#1 and PKCS#8. Raises CallFailed."""
    import paramiko
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import serialization as to
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

    load = to.load_ssh_private_key if "BEGIN OPENSSH" in pem else to.load_pem_private_key
    try:
        key = load(pem.encode(), passphrase.encode() if passphrase else None)
        text = key.private_bytes(to.Encoding.PEM, to.PrivateFormat.OpenSSH, to.NoEncryption()).decode()
        kinds = (
            (RSAPrivateKey, paramiko.RSAKey),
            (EllipticCurvePrivateKey, paramiko.ECDSAKey),
            (Ed25519PrivateKey, paramiko.Ed25519Key),
        )
        return next(ours for theirs, ours in kinds if isinstance(key, theirs)).from_private_key(io.StringIO(text))
    except (ValueError, TypeError, StopIteration, paramiko.SSHException, UnsupportedAlgorithm) as e:
        if not passphrase and ("encrypted" in str(e) or "password-protected" in str(e)):
            raise CallFailed("the private key is encrypted", "give the connection its private_key_passphrase") from None
        what = "the private key cannot be read" + (" with this passphrase" if passphrase else "")
        raise CallFailed(
            f"{what}: {' '.join(str(e).split())}", "it is a PEM text of an Ed25519, ECDSA or RSA key"
        ) from None


def checked_command(job: str, command: Any) -> str:
    """Raises JobError for a command that a shell would not get as it is."""
    text = str(command or "")
    if not text.strip():
        raise JobError(f"{job} needs the parameter 'command'")
    if "\0" in text:
        raise JobError("the command holds a NUL character, and would end there")
    return text
