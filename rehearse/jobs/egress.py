"""Which addresses a job may connect to (rules 16 and 17 of the security rules).

The check sits where a socket connects, in Python's own audit hook: it sees the very address that is about to be used, so
no name can resolve to one address when it is checked and to another when it is used, and it holds for every client
library, every redirect and every retry alike.

| address                                  | `local`                                  | `remote`                 |
|------------------------------------------|------------------------------------------|--------------------------|
| public                                   | never: a stand-in is not out there       | yes                      |
| private                                  | with `allow_private`                     | with `allow_private`     |
| loopback                                 | if the connection itself names loopback, | with `allow_private`     |
|                                          | or with `allow_private`                  |                          |
| link-local, metadata services, multicast | never                                    | never                    |

This keeps our own programs on their way. It is no sandbox for code that wants to get out.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field
from typing import Any
from urllib.parse import urlsplit

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError

_METADATA = {"fd00:ec2::254", "100.100.100.200", "168.63.129.16", "192.0.0.192"}  # AWS, Alibaba, Azure, Oracle
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Refused(OSError):
    """The address may not be reached. An OSError, so that a client goes on to the next address of a name."""

    def __init__(self, message: str, hint: str):
        super().__init__(message)
        self.hint = hint


@dataclass
class Egress:
    """Where one connection may lead. `connection`: its id; `host`: the host that it names itself; `refused`: what was
    refused so far, since clients wrap or swallow what they get."""

    connection: str
    mode: str
    host: str
    allow_private: bool = False
    refused: list[Refused] = field(default_factory=list)

    @classmethod
    def of(cls, connection: Connection, host: str) -> Egress:
        """Raises BindingError for a mode that has no network."""
        if connection.mode not in ("local", "remote"):
            raise BindingError(f"connection '{connection.id}' has mode '{connection.mode}', which has no network")
        allow_private = (connection.get("allow_private") or "").lower() == "true"
        return cls(connection.id, connection.mode, host, allow_private)

    def data(self) -> dict[str, Any]:
        """What makes the same Egress in another process: `Egress(**data)`."""
        return {name: value for name, value in asdict(self).items() if name != "refused"}

    def check(self, address: str, port: int = 0) -> None:
        """Raises Refused for an address that this connection may not reach."""
        problem = self._problem(address, port)
        if problem is not None:
            what, hint = problem
            refusal = Refused(f"connection '{self.connection}' may not reach {address}: {what}", hint)
            self.refused.append(refusal)
            raise refusal

    def check_behind_proxy(self, host: str) -> None:
        """Raises Refused when a proxy of the environment would connect for us where we may not: out of the sight of the check
        at our sockets. A name that is unknown here is left to the proxy, which looks it up itself."""
        if self.mode != "remote" or not urllib.request.getproxies() or urllib.request.proxy_bypass(host):
            return
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError:
            return
        for entry in found:
            self.check(str(entry[4][0]))

    def _problem(self, address: str, port: int) -> tuple[str, str] | None:
        try:
            kind = kind_of(address)
        except ValueError:
            return "it is no address", "names are to be resolved first"
        if kind == "forbidden":
            return "link-local and metadata addresses are never reached", "name another host"
        if self.mode == "remote" and (kind == "public" or (address, port) in _proxies()):
            return None
        if kind == "public":
            return "it is on the internet, and the mode is local", 'for the real system: mode = "remote"'
        own = kind == "loopback" and self.mode == "local" and _is_loopback_name(self.host)
        if own or self.allow_private:
            return None
        return f"it is a {kind} address", "if it is meant: allow_private = true"


def kind_of(address: str) -> str:
    """`forbidden`, `loopback`, `private` or `public`. Raises ValueError for what is not an IP address.

    An IPv6 address that stands for an IPv4 one (mapped, 6to4, NAT64) is of the kind of that.
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        inside = (
            ip.ipv4_mapped or ip.sixtofour or (ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF) if ip in _NAT64 else None)
        )
        if inside is not None:
            ip = inside
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or str(ip) in _METADATA:
        return "forbidden"
    if ip in ipaddress.ip_network("0.0.0.0/8") or str(ip) == "255.255.255.255":
        return "forbidden"
    if ip.is_loopback:
        return "loopback"
    return "public" if ip.is_global else "private"


def without_proxies(env: Mapping[str, str]) -> dict[str, str]:
    """An environment for a program that talks to a stand-in: nothing between them."""
    return {name: value for name, value in env.items() if name.lower() not in _PROXY_VARIABLES}


def confine(egress: Egress) -> None:
    """From now on, this process connects only where `egress` allows."""
    global _everywhere
    _everywhere = egress
    _install()


@contextlib.contextmanager
def confined(egress: Egress) -> Iterator[None]:
    """The same for what this thread does inside the `with`, in a process that also does other things."""
    _install()
    token = _here.set(egress)
    try:
        yield
    finally:
        _here.reset(token)


_everywhere: Egress | None = None
_here: ContextVar[Egress | None] = ContextVar("egress", default=None)
_installed = False


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        sys.addaudithook(_hook)  # there is no way to take it out again; without an Egress it lets everything through


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "socket.connect":
        return
    egress = _here.get() or _everywhere
    if egress is not None and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        egress.check(*arguments[1][:2])


def _is_loopback_name(host: str) -> bool:
    """Whether a host is this machine by its very name, not by what some name server says of it."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return kind_of(host.strip("[]")) == "loopback"
    except ValueError:
        return False


def _proxies() -> set[tuple[str, int]]:
    """(address, port) of the proxies that the environment names."""
    found = set()
    for name, url in urllib.request.getproxies().items():
        if name != "no":
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port or (443 if parts.scheme == "https" else 80)
            with contextlib.suppress(OSError):
                entries = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
                found |= {(str(entry[4][0]), port) for entry in entries}
    return found
