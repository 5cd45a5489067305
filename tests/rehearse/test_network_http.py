"""HTTP_REQUEST and HTTP_REQUEST_ASYNC, with the real client against servers on this machine."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import network_harness as net
import pytest
from toxic_server import respond

from rehearse.errors import BindingError
from rehearse.jobs import http_request
from rehearse.jobs.base import JobError
from rehearse.jobs.http_exchange import shown_url

GET = {"method": "GET", "path": "/x", "set_outputs": True}
BIG = 6_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[net.WebServer]:
    with net.web_server(respond) as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, server: net.WebServer) -> net.Site:
    server.requests.clear()
    return net.Site(tmp_path, "HTTP", base_url=f"{server.url}/json", mode="local")


def site_at(tmp_path: Path, base_url: str, **fields: Any) -> net.Site:
    return net.Site(tmp_path, "HTTP", base_url=base_url, **fields)


def test_a_request_and_its_outputs(site: net.Site, server: net.WebServer) -> None:
    ended = site.run(
        "HTTP_REQUEST",
        {"method": "POST", "path": "/v1?since=1&api_key=hush-hush-hush", "body": '{"a": "é\\n"}',
         "custom_headers": '{"X-Reason": "load", "X-N": 3, "accept": "text/csv"}', "set_outputs": True},
        cold=True,
    )  # fmt: skip
    assert (ended.code, ended.status) == (0, "SUCCEEDED")
    assert ended.outputs == {"status_code": 200, "response_body": {"rows": [1, 2], "name": "é"}}
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/json/v1?since=1&api_key=hush-hush-hush")
    assert request.body == '{"a": "é\\n"}'.encode()
    headers = request.headers
    assert (headers["x-reason"], headers["x-n"], headers["accept"]) == ("load", "3", "text/csv")
    assert headers["content-type"] == "application/json"
    assert "orchestra_task_run_id" not in headers and "authorization" not in headers
    assert f"POST {server.url}/json/v1?since=1&api_key=********" in ended.log and "hush" not in ended.log


def test_without_set_outputs_nothing_is_reported(site: net.Site) -> None:
    ended = site.run("HTTP_REQUEST", {"method": "PUT", "path": "", "body": "{}"})
    assert (ended.status, ended.outputs) == ("SUCCEEDED", {})


def test_text_is_an_output_too(tmp_path: Path, server: net.WebServer) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST", GET | {"path": "text"})
    assert ended.outputs == {"status_code": 201, "response_body": "für"}


def test_what_json_does_not_have_is_null(tmp_path: Path, server: net.WebServer) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST", GET | {"path": "nan"})
    assert ended.outputs["response_body"] == {"rate": None, "top": [None]}


@pytest.mark.parametrize(
    ("fields", "header", "value"),
    [
        ({"auth_type": "BASIC", "user": "amy", "password": "pass-word-1"}, "authorization", "Basic YW15OnBhc3Mtd29yZC0x"),
        ({"token": "to-ken-to-ken"}, "authorization", "Bearer to-ken-to-ken"),
        ({"header_name": "X-Api-Key", "header_value": "ke-y-ke-y"}, "x-api-key", "ke-y-ke-y"),
        ({"auth_type": "none", "token": "to-ken-to-ken"}, "authorization", None),
    ],
)  # fmt: skip
def test_authentication(
    tmp_path: Path, server: net.WebServer, fields: dict[str, str], header: str, value: str | None
) -> None:
    """The header is sent, known to the mask of the supervisor, and not shown in an error that echoes it."""
    server.requests.clear()
    site = site_at(tmp_path, server.url, **fields)
    ended = site.run("HTTP_REQUEST", GET | {"path": "/echo"})
    assert server.requests[0].headers.get(header) == value
    assert ended.status == "FAILED" and "answered 500" in str(ended.message)
    if value:
        secret = value.split()[-1]
        assert secret in site.prepare("HTTP_REQUEST", GET).secrets
        assert secret not in ended.log and "pass-word" not in ended.log


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"auth_type": "DIGEST"}, "auth_type 'DIGEST' is not known"),
        ({"auth_type": "BASIC"}, "has no 'user'"),
        ({"base_url": ""}, "has no 'base_url'"),
        ({"base_url": "ftp://127.0.0.1/"}, "no URL of http or https"),
        ({"base_url": "file:///etc/passwd"}, "no URL of http or https"),
        ({"base_url": "http://127.0.0.1:99999"}, "no URL of http or https"),
        ({"base_url": "http://amy@127.0.0.1"}, "has a user in it"),
        ({"base_url": "http://127.0.0.1/?x=1"}, "has a '\\?' or '#' in it"),
    ],
)
def test_a_connection_that_cannot_be_used(tmp_path: Path, fields: dict[str, str], said: str) -> None:
    site = net.Site(tmp_path, "HTTP", **({"base_url": "http://127.0.0.1"} | fields))
    with pytest.raises(BindingError, match=said) as caught:
        site.prepare("HTTP_REQUEST", GET)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"method": "POST", "path": "/"}, "needs a body when the method is POST"),
        ({"method": "DELETE", "path": "/"}, "the method 'DELETE'"),
        ({"method": "POST", "path": "/", "body": '{"a": "x\ny"}'}, "'body' of HTTP_REQUEST is not valid JSON once"),
        ({"method": "POST", "path": "/", "body": '{"a": NaN}'}, "NaN is no JSON"),
        ({"method": "POST", "path": "/", "body": "[" * 100_000}, "not valid JSON"),
        (
            {"method": "GET", "path": "/", "custom_headers": "X: y"},
            "'custom_headers' of HTTP_REQUEST is not valid JSON",
        ),
        ({"method": "GET", "path": "/", "custom_headers": "[]"}, "must be a JSON object"),
        ({"method": "GET", "path": "/", "custom_headers": '{"X": {}}'}, "'X' of custom_headers must be a text"),
        ({"method": "POST", "path": "/", "body": json.dumps("x" * 10_000_000)}, "the most that is sent"),
    ],
)
def test_parameters_that_cannot_be_sent(site: net.Site, parameters: dict[str, Any], said: str) -> None:
    with pytest.raises(JobError, match=said):
        site.prepare("HTTP_REQUEST", parameters)


def test_no_connection(site: net.Site) -> None:
    with pytest.raises(BindingError, match="names no connection") as caught:
        http_request.prepare("HTTP_REQUEST", GET, None, None)  # type: ignore[arg-type]
    assert 'integration = "HTTP"' in str(caught.value.hint)


def test_secrets_are_neither_in_arguments_nor_on_the_disk(tmp_path: Path, server: net.WebServer) -> None:
    """A request that is too large for a variable goes through a file that only its variable opens."""
    server.requests.clear()
    site = site_at(tmp_path, server.url, token="to-ken-to-ken")
    body = json.dumps({"secret": "hush-hush-hush", "data": "é😀" * 200_000})
    launch = site.prepare("HTTP_REQUEST", {"method": "POST", "path": "/x", "body": body})
    (step,) = launch.steps
    assert not any("to-ken" in word for word in step.argv)
    assert max(len(value) for value in step.env.values()) < 128_000
    sealed = site.folder / "request"
    assert sealed.stat().st_mode & 0o777 == 0o600
    assert b"hush" not in sealed.read_bytes() and b"to-ken" not in sealed.read_bytes()
    assert net.Running(launch, site.folder).end().status == "SUCCEEDED"
    assert server.requests[0].body == body.encode()
    assert not sealed.exists()


# Fault 17: what goes wrong on the way


def test_fault_17_a_status_that_is_no_success_is_shown_with_its_first_bytes(site: net.Site) -> None:
    base = str(site.connection.fields["base_url"]).removesuffix("/json")
    site = net.Site(site.root, "HTTP", base_url=base)
    ended = site.run("HTTP_REQUEST", GET | {"path": "/status/503"})
    assert (ended.code, ended.status, ended.outputs) == (1, "FAILED", {})
    message = f"GET {base}/status/503 answered 503, to be tried again after 7 s; it begins: no [31m way <b>xxx"
    assert str(ended.message).startswith(message) and str(ended.message).endswith("x...")
    assert len(str(ended.message)) < 350 and "\x1b" not in ended.log


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/html", "says that it is JSON, which it is not; it begins: <html><h1>Sign in"),
        ("/truncated", "breaks off: its gzip data is not complete"),
        ("/short", "peer closed connection"),
        ("/brotli", "the encoding 'br', unasked"),
        ("/loop", "more than 5 redirects"),
        ("/redirect?to=ftp://127.0.0.1/x", "only http and https are spoken"),
    ],
)
def test_fault_17_broken_answers(tmp_path: Path, server: net.WebServer, path: str, said: str) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST", GET | {"path": path})
    assert (ended.code, ended.status) == (1, "FAILED")
    assert said in str(ended.message) and said in ended.log
    assert "Traceback" not in ended.log


def test_fault_17_nobody_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    ended = site_at(tmp_path, f"http://127.0.0.1:{port}").run("HTTP_REQUEST", GET)
    assert ended.status == "FAILED" and "Connection refused" in str(ended.message)


@pytest.mark.parametrize("path", ["/drip", "/x"])
def test_fault_17_an_answer_that_never_ends(
    tmp_path: Path, server: net.WebServer, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A header line every 20 ms, or nothing at all: the limit is one of the whole exchange."""
    monkeypatch.setattr(http_request, "SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = server.url if path == "/drip" else f"http://127.0.0.1:{silent.getsockname()[1]}"
        ended = site_at(tmp_path, url).run("HTTP_REQUEST", GET | {"path": path})
    assert ended.status == "FAILED" and path in str(ended.message)
    assert "no complete answer after 0.5 s" in str(ended.message) or "timed out" in str(ended.message)


def test_gzip_in_two_members(tmp_path: Path, server: net.WebServer) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST", GET | {"path": "/gzip"})
    assert ended.outputs["response_body"] == "a" * 100_000


# Fault 28: what is too large


@pytest.mark.parametrize("path", ["/bomb", "/big/11000000"])
def test_fault_28_a_huge_answer(tmp_path: Path, server: net.WebServer, path: str) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST", {"method": "GET", "path": path})
    assert ended.status == "FAILED"
    assert "more than 10,000,000 bytes" in str(ended.message) and "pass the path of a file" in str(ended.message)


def test_fault_28_an_answer_larger_than_outputs_may_be(tmp_path: Path, server: net.WebServer) -> None:
    site = site_at(tmp_path, server.url)
    ended = site.run("HTTP_REQUEST", GET | {"path": f"/big/{BIG}"})
    assert ended.status == "FAILED" and ended.outputs == {}
    assert "outputs may have 5,000,000" in str(ended.message) and "pass its path" in str(ended.message)
    assert site.run("HTTP_REQUEST", GET | {"path": f"/big/{BIG}", "set_outputs": False}).status == "SUCCEEDED"


# Fault 29: parameters are data


@pytest.mark.parametrize(
    "headers",
    [
        {"X-A": "b\r\nX-Injected: yes"}, {"X-A": "b\nX-Injected: yes"}, {"X-A": "b\0c"}, {"X-A": " b"}, {"X-A": "b "},
        {"X-A\r\nX-Injected": "yes"}, {"X A": "b"}, {"": "b"}, {"X-A:": "b"}, {"Ü": "b"},
        {"Host": "evil.example"}, {"Content-Length": "0"}, {"transfer-encoding": "chunked"},
        {"orchestra_task_run_id": "another"},
    ],
)  # fmt: skip
def test_fault_29_a_header_brings_no_other_with_it(site: net.Site, headers: dict[str, str]) -> None:
    with pytest.raises(JobError, match="header"):
        site.prepare("HTTP_REQUEST", GET | {"custom_headers": json.dumps(headers)})


@pytest.mark.parametrize("field", ["token", "header_value"])
def test_fault_29_a_secret_brings_no_header_with_it(tmp_path: Path, field: str) -> None:
    fields = {"header_name": "X-Key"} if field == "header_value" else {}
    site = site_at(tmp_path, "http://127.0.0.1", **fields, **{field: "key\r\nX-Injected: yes"})
    with pytest.raises(JobError, match="line break") as caught:
        site.prepare("HTTP_REQUEST", GET)
    assert "key" not in str(caught.value).replace("X-Key", "")


@pytest.mark.parametrize(
    "value", ["'; rm -rf / #", "$(id) `id`", "😀 \u202e rtl", "${{ env.TOKEN }}", '"quoted"', "a\\nb", "ü"]
)
def test_fault_29_headers_and_bodies_arrive_as_they_are(site: net.Site, server: net.WebServer, value: str) -> None:
    body = json.dumps({"value": value}, ensure_ascii=False)
    parameters = {"method": "POST", "path": "/x", "body": body, "custom_headers": json.dumps({"X-Value": value})}
    assert site.run("HTTP_REQUEST", parameters).status == "SUCCEEDED"
    (request,) = server.requests
    assert request.body == body.encode()
    assert request.headers["x-value"].encode("latin-1").decode() == value


@pytest.mark.parametrize(
    "path",
    ["/a\r\nX-Injected: yes", "/a\nb", "/a\0b", "/a\tb", "/../admin", "/a/../../admin", "..", "/a/./b", "/%2e%2e/admin",
     "/a%2f..%2fb", "/..\\admin", "/%252e%252e/admin"],
)  # fmt: skip
def test_fault_29_a_path_stays_below_the_base_url(site: net.Site, path: str) -> None:
    with pytest.raises(JobError, match="the path has"):
        site.prepare("HTTP_REQUEST", GET | {"path": path})


@pytest.mark.parametrize(
    ("path", "arrives"),
    [
        ("@evil.example/x", "/json/@evil.example/x"),
        (".evil.example/x", "/json/.evil.example/x"),
        (":1/x", "/json/:1/x"),
        ("//evil.example/x", "/json//evil.example/x"),
        ("http://evil.example/", "/json/http://evil.example/"),
        ("/a#b", "/json/a%23b"),
        ("?q=..%2F", "/json?q=..%2F"),
        ("/a b/😀", "/json/a%20b/%F0%9F%98%80"),
        ("/${{ env.TOKEN }}", "/json/$%7B%7B%20env.TOKEN%20%7D%7D"),
    ],
)
def test_fault_29_a_path_is_only_a_path(site: net.Site, server: net.WebServer, path: str, arrives: str) -> None:
    assert site.run("HTTP_REQUEST", GET | {"path": path}).status == "SUCCEEDED"
    assert [request.path for request in server.requests] == [arrives]


@pytest.mark.parametrize(
    ("base", "path"),
    [("https://h", "@evil.example"), ("https://h", ".evil.example"), ("https://h", ":1"), ("https://h/", "x")],
)
def test_fault_29_the_host_is_that_of_the_connection(base: str, path: str) -> None:
    assert http_request.join(base, path) == f"https://h/{path}"


# Asynchronous requests


def events(site: net.Site, *texts: str) -> None:
    with (site.folder / "events.jsonl").open("a") as file:
        for text in texts:
            file.write(text)
            file.flush()


def event(status: str, message: str | None = None) -> str:
    return json.dumps({"event_type": "UPDATE_STATUS", "status": status, "message": message}) + "\n"


@pytest.mark.parametrize(("status", "code"), [("SUCCEEDED", 0), ("WARNING", 0), ("CANCELLED", 0), ("FAILED", 1)])
def test_async_waits_for_a_final_status(site: net.Site, server: net.WebServer, status: str, code: int) -> None:
    running = site.start("HTTP_REQUEST_ASYNC", {"method": "POST", "path": "/go", "body": "{}", "set_outputs": True})
    running.wait_for("waiting for UPDATE_STATUS")
    headers = server.requests[0].headers
    assert headers["orchestra_task_run_id"] == net.TASK_RUN
    assert headers["orchestra_webhook_url"] == net.WEBHOOK
    assert "webhook-token" not in json.dumps(headers)
    events(site, event("RUNNING", "half way"), '{"event_type": "SET_OUTPUT", "output_name": "n"}\n')
    running.wait_for("RUNNING: half way")
    assert running.is_running()
    line = event(status, "the end")
    events(site, line[:20], line[20:])
    ended = running.end()
    assert (ended.code, ended.status, ended.message) == (code, status, "the end")
    assert ended.outputs["status_code"] == 200


def test_async_a_receiver_that_is_faster_than_its_answer(site: net.Site) -> None:
    events(site, event("SUCCEEDED"))
    assert site.run("HTTP_REQUEST_ASYNC", GET).status == "SUCCEEDED"


def test_async_does_not_wait_for_a_receiver_that_refused(tmp_path: Path, server: net.WebServer) -> None:
    ended = site_at(tmp_path, server.url).run("HTTP_REQUEST_ASYNC", GET | {"path": "/status/400"})
    assert ended.status == "FAILED" and "answered 400" in str(ended.message)


@pytest.mark.parametrize("number", [2, 15])
def test_async_can_be_stopped(site: net.Site, number: int) -> None:
    running = net.Running(site.prepare("HTTP_REQUEST_ASYNC", GET), site.folder, cold=number == 2)
    running.wait_for("waiting for UPDATE_STATUS")
    running.interrupt(number)
    ended = running.end()
    assert (ended.code, ended.status) == (130, None)
    assert ended.log.endswith("stopped\n") and "Traceback" not in ended.log


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://u:p@h:1/a?b=1", "https://h:1/a?b=1"),
        ("https://h/a?sig=abc&signature=abc&x=%20", "https://h/a?sig=abc&signature=********&x=%20"),
        ("https://h/a?Access_Token=abc#f", "https://h/a?Access_Token=********"),
        ("https://h", "https://h"),
    ],
)
def test_urls_are_shown_without_secrets(url: str, shown: str) -> None:
    assert shown_url(url) == shown
