"""One HTTP exchange, within limits: of time, of size, of redirects. Used by HTTP_REQUEST and by messages.

Where it may lead is the business of `egress`.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from rehearse.jobs.calls import CallFailed, excerpt, hide, within
from rehearse.jobs.egress import Egress
from rehearse.planning.secrets import MASK, is_secret_name

if TYPE_CHECKING:
    import httpx

SECONDS = 30.0
RESPONSE_LIMIT = 10_000_000
MAX_REDIRECTS = 5
_GZIP = 32 + zlib.MAX_WBITS  # gzip or zlib, whatever the header says


@dataclass(frozen=True)
class Answer:
    """What came back in the end; `headers` have names in lower case."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def says_json(self) -> bool:
        kind = self.headers.get("content-type", "").split(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")

    @property
    def text(self) -> str:
        charset = self.headers.get("content-type", "").lower().partition("charset=")[2].split(";")[0].strip(" \"'")
        try:
            return self.body.decode(charset or "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def value(self) -> Any:
        """The parsed JSON; NaN and the infinities, which some write though JSON has none, are null. Raises ValueError or
        RecursionError."""
        return json.loads(self.text, parse_constant=lambda name: None)

    def failed(self, why: str = "", hidden: tuple[str, ...] = ()) -> CallFailed:
        """The error that shows the status and how the answer begins, without what must not be seen."""
        wait = self.headers.get("retry-after")
        later = f", to be tried again after {excerpt(wait, 30)}" + (" s" if wait.isdecimal() else "") if wait else ""
        begins = excerpt(hide(self.text, hidden))
        said = f"; it begins: {begins}" if begins else ""
        return CallFailed(f"{self.method} {shown_url(self.url)} answered {self.status}{why}{later}{said}")


def exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, egress: Egress, seconds: float = SECONDS
) -> Answer:
    """Send a request and read the answer, whatever its status, through at most five redirects. Headers that another origin
    must not see (all but a few plain ones) are not sent to it. Raises CallFailed when there is no complete answer."""
    shown = f"{method} {shown_url(url)}"
    try:
        return within(seconds, lambda: _exchange(method, url, headers, body, egress, seconds))
    except CallFailed:
        raise
    except TimeoutError as e:
        raise CallFailed(f"{shown}: no complete answer after {seconds:g} s") from e
    except Exception as e:  # of httpx, ssl, sockets and codecs
        text = " ".join(str(e).split()) or type(e).__name__
        raise CallFailed(
            f"{shown}: {type(e).__name__}: {text}" if type(e).__name__ not in text else f"{shown}: {text}"
        ) from e


def shown_url(url: str) -> str:
    """A URL as it may be printed: no user, no password, no values of telling names."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = parse_qsl(parts.query, keep_blank_values=True)
    if any(is_secret_name(name) for name, _ in query):
        hidden = [(name, MASK if is_secret_name(name) else value) for name, value in query]
        return urlunsplit((parts.scheme, host, parts.path, urlencode(hidden, safe="*", quote_via=quote), ""))
    return urlunsplit((parts.scheme, host, parts.path, parts.query, ""))


_PLAIN_HEADERS = {"accept", "accept-encoding", "accept-language", "content-type", "content-length", "host", "user-agent",
                  "connection", "transfer-encoding"}  # fmt: skip


def _exchange(
    method: str, url: str, headers: Mapping[str, str], body: bytes | None, egress: Egress, seconds: float
) -> Answer:
    import httpx

    sent = {"User-Agent": "rehearse", "Accept": "application/json, */*", "Accept-Encoding": "gzip"}
    given = {name.lower() for name in headers}
    sent = {name: value for name, value in sent.items() if name.lower() not in given} | dict(headers)
    # Certificates of the environment count always (SSL_CERT_FILE), its proxies only on the way to a real system.
    trusted = httpx.create_ssl_context()
    with httpx.Client(timeout=seconds, verify=trusted, trust_env=egress.mode == "remote") as client:
        # Bytes, because httpx would refuse what is not ASCII.
        request = client.build_request(
            method, url, headers=[(k.encode(), v.encode()) for k, v in sent.items()], content=body
        )
        for _ in range(MAX_REDIRECTS + 1):
            if request.url.scheme not in ("http", "https"):
                raise CallFailed(f"{shown_url(str(request.url))}: only http and https are spoken")
            egress.check_behind_proxy(request.url.host)
            response = client.send(request, stream=True)
            try:
                following = response.next_request
                if following is None:
                    names = {name.lower(): value for name, value in response.headers.items()}
                    return Answer(method, str(request.url), response.status_code, names, _read(response))
            finally:
                response.close()
            if _origin(following.url) != _origin(request.url):
                for name in set(following.headers) - _PLAIN_HEADERS:
                    del following.headers[name]
            print(f"redirected to {shown_url(str(following.url))}", flush=True)
            request = following
    raise CallFailed(f"{method} {shown_url(url)}: more than {MAX_REDIRECTS} redirects")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _read(response: httpx.Response) -> bytes:
    """The body, decoded. Raises CallFailed when it is too large or ends in the middle of what was compressed."""
    body = bytearray()
    for chunk in _decoded(response):
        body += chunk
        if len(body) > RESPONSE_LIMIT:
            raise CallFailed(
                f"the answer of {shown_url(str(response.url))} has more than {RESPONSE_LIMIT:,} bytes",
                "let a Python task read it, and pass the path of a file",
            )
    return bytes(body)


def _decoded(response: httpx.Response) -> Iterator[bytes]:
    coding = response.headers.get("content-encoding", "identity").strip().lower()
    if coding in ("identity", ""):
        yield from response.iter_raw()
        return
    if coding not in ("gzip", "x-gzip", "deflate"):
        raise CallFailed(f"{shown_url(str(response.url))} answered in the encoding '{excerpt(coding, 30)}', unasked")
    decoder = zlib.decompressobj(_GZIP)
    empty = True
    for chunk in response.iter_raw():
        empty = empty and not chunk
        data = chunk
        while data:
            yield decoder.decompress(data, RESPONSE_LIMIT)  # so that a small answer cannot become a huge one at once
            data = decoder.unconsumed_tail
            if decoder.eof and decoder.unused_data:
                data, decoder = decoder.unused_data, zlib.decompressobj(_GZIP)
    if not decoder.eof and not empty:
        raise CallFailed(f"the answer of {shown_url(str(response.url))} breaks off: its {coding} data is not complete")
