"""Messages: what would be sent where nothing is, and real requests to stand-ins of Slack, Teams, SMTP and SES."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import network_harness as net
import pytest

from rehearse.errors import BindingError
from rehearse.jobs.base import JobError
from rehearse.jobs.calls import CallFailed
from rehearse.jobs.egress import Egress, confined
from rehearse.jobs.message_senders import send_slack, send_teams, teams_message
from rehearse.jobs.registry import find_job, how
from rehearse.language.integrations import INTEGRATION_OF
from rehearse.planning.plan import NOT_HERE, SIMULATED

SLACK, TEAMS, EMAIL = "SEND_SLACK_MESSAGE", "SEND_MICROSOFT_TEAMS_MESSAGE", "AWS_SES_SEND_EMAIL"
TEXT = {"channel_name": "#data", "text": "Orders are there 😀"}
MAIL = {"to_addresses": ["amy@example.com", "bo@example.com"], "subject": "Grüße", "body": "Orders\nare there"}
REMOTE = {"mode": "remote", "allow_private": True}


def outbox(site: net.Site) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (site.root / ".rehearse" / "outbox.jsonl").read_text().splitlines()]


# Local: nothing is sent


@pytest.mark.parametrize(
    ("integration", "job", "parameters", "message"),
    [
        ("SLACK", SLACK, TEXT, {"channel": "#data", "text": "Orders are there 😀"}),
        ("MICROSOFT_TEAMS", TEAMS, {"content": {"text": "Hi"}}, {"text": "Hi"}),
        (
            "AWS_SES", EMAIL, MAIL,
            {"from": "rehearse@localhost", "to": ["amy@example.com", "bo@example.com"], "cc": [], "bcc": [],
             "subject": "Grüße", "text": "Orders\nare there", "html": None},
        ),
    ],
)  # fmt: skip
def test_local_messages_go_into_the_outbox(
    tmp_path: Path, integration: str, job: str, parameters: dict[str, Any], message: dict[str, Any]
) -> None:
    site = net.Site(tmp_path, integration)
    ended = site.run(job, parameters, cold=job == SLACK)
    assert (ended.code, ended.status) == (0, "SUCCEEDED")
    assert ended.message == "not sent, because the connection is local: see .rehearse/outbox.jsonl"
    assert site.run(job, parameters).status == "SUCCEEDED"
    assert [entry["message"] for entry in outbox(site)] == [message, message]
    assert (tmp_path / ".rehearse" / "outbox.jsonl").stat().st_mode & 0o777 == 0o600
    assert json.loads(ended.log[: ended.log.index("\n}") + 2]) == message


def test_local_messages_never_use_the_network(tmp_path: Path) -> None:
    """Even though the connection has all that it needs: the process may connect nowhere."""
    with net.web_server(lambda handler, request: net.answer(handler, 200, "ok")) as server:
        site = net.Site(tmp_path, "SLACK", url=server.url, token="to-ken-to-ken")
        (step,) = site.prepare(SLACK, TEXT).steps
        assert json.loads(step.env["REHEARSE_CALL"])["egress"] is None
        assert site.run(SLACK, TEXT).status == "SUCCEEDED"
        assert server.requests == []


def test_secrets_are_not_in_the_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_TOKEN", 'hush"hush\\hush')
    site = net.Site(tmp_path, "SLACK", token="${API_TOKEN}", url="${UNKNOWN}", env=["API_*"])
    text = 'to-ken hush"hush\\hush and webhook-token-1'
    assert site.run(SLACK, {"channel_name": "x", "text": text}).status == "SUCCEEDED"
    assert outbox(site)[0]["message"]["text"] == "to-ken ******** and ********"


@pytest.mark.parametrize(
    ("integration", "job", "mode", "simulated", "possible"),
    [
        ("SLACK", SLACK, "local", True, True), ("SLACK", SLACK, "remote", False, True),
        ("SLACK", SLACK, "stub", True, True), ("SLACK", SLACK, None, False, False),
        ("HTTP", "HTTP_REQUEST", "local", False, True), ("HTTP", "HTTP_REQUEST", None, False, False),
    ],
)  # fmt: skip
def test_plans_name_what_is_not_done(
    tmp_path: Path, integration: str, job: str, mode: str | None, simulated: bool, possible: bool
) -> None:
    becomes = how(job, net.Site(tmp_path, integration, mode=mode).connection if mode else None)
    assert (becomes in SIMULATED, becomes not in NOT_HERE) == (simulated, possible)


@pytest.mark.parametrize(
    "job", [SLACK, TEAMS, EMAIL, "HTTP_REQUEST", "SFTP_GET_FILE", "AWS_S3_PUT_FILE", "WINDOWS_SSH_COMMAND"]
)
def test_without_a_connection_the_error_says_what_to_add(job: str) -> None:
    with pytest.raises(BindingError, match=f"{job} names no connection") as caught:
        find_job(job, None)(job, {}, None, None)  # type: ignore[arg-type]
    assert f'integration = "{INTEGRATION_OF[job]}"' in str(caught.value.hint)


# What can be sent


@pytest.mark.parametrize(
    ("integration", "job", "parameters", "said"),
    [
        ("SLACK", SLACK, {"text": "x"}, "needs the parameter 'channel_name'"),
        ("SLACK", SLACK, {"channel_name": "x"}, "needs one of the parameters"),
        ("SLACK", SLACK, {"channel_name": "x", "blocks": '[{"text": "a\nb"}]'}, "'blocks' of .* is not valid JSON"),
        ("SLACK", SLACK, {"channel_name": "x", "blocks": "{}"}, "must be a list"),
        ("MICROSOFT_TEAMS", TEAMS, {"content": "[]"}, "must be a mapping"),
        ("MICROSOFT_TEAMS", TEAMS, {}, "must be a mapping"),
        ("AWS_SES", EMAIL, {"subject": "x", "body": "x"}, "has no recipient"),
        ("AWS_SES", EMAIL, {"to": "amy@example.com"}, "has nothing to say"),
        ("AWS_SES", EMAIL, {"to": "amy", "body": "x"}, "no e-mail address"),
        ("AWS_SES", EMAIL, MAIL | {"subject": "x\r\nBcc: eve@example.com"}, "this is no e-mail"),
        ("AWS_SES", EMAIL, MAIL | {"from": "a@b.c\nBcc: eve@example.com"}, "this is no e-mail"),
        ("AWS_SES", EMAIL, MAIL | {"to": "amy@example.com\nBcc: eve@example.com"}, "no e-mail address"),
    ],
)
def test_fault_29_parameters_that_cannot_be_sent(
    tmp_path: Path, integration: str, job: str, parameters: dict[str, Any], said: str
) -> None:
    with pytest.raises(JobError, match=said):
        net.Site(tmp_path, integration).prepare(job, parameters)


@pytest.mark.parametrize(
    ("integration", "job", "fields", "said"),
    [
        ("SLACK", SLACK, {}, "has no 'token'"),
        ("SLACK", SLACK, {"url": "hooks.slack.com/x"}, "no URL of http or https"),
        ("MICROSOFT_TEAMS", TEAMS, {}, "has no 'url'"),
        ("AWS_SES", EMAIL, {"host": "mail.example.com", "security": "ssl"}, "security 'ssl'"),
        ("AWS_SES", EMAIL, {"host": "mail.example.com", "port": "x"}, "port 'x'"),
        ("AWS_SES", EMAIL, {"host": "h", "user": "u", "password": "p", "security": "none"}, "in the clear"),
    ],
)
def test_a_connection_that_cannot_be_used(
    tmp_path: Path, integration: str, job: str, fields: dict[str, str], said: str
) -> None:
    parameters = {SLACK: TEXT, TEAMS: {"content": {"text": "x"}}, EMAIL: MAIL}[job]
    with pytest.raises(BindingError, match=said):
        net.Site(tmp_path, integration, mode="remote", **fields).prepare(job, parameters)


# Slack


def test_slack_by_token(tmp_path: Path) -> None:
    def respond(handler: Any, request: net.Request) -> None:
        channel = json.loads(request.body)["channel"]
        said = {"ok": True} if channel == "#data" else {"ok": False, "error": "not_in_channel"}
        net.answer(handler, 200, json.dumps(said), Content_Type="application/json")

    with net.web_server(respond) as server:
        site = net.Site(tmp_path, "SLACK", base_url=f"{server.url}/api", token="to-ken-to-ken", **REMOTE)
        blocks = [{"type": "divider"}]
        ended = site.run(SLACK, TEXT | {"blocks": json.dumps(blocks), "attachments": [{"text": "x"}]})
        assert (ended.status, ended.message) == ("SUCCEEDED", "sent to #data")
        (request,) = server.requests
        assert request.path == "/api/chat.postMessage" and request.headers["authorization"] == "Bearer to-ken-to-ken"
        sent = {"channel": "#data", "text": TEXT["text"], "blocks": blocks, "attachments": [{"text": "x"}]}
        assert json.loads(request.body) == sent
        ended = site.run(SLACK, TEXT | {"channel_name": "#other"})
        assert ended.status == "FAILED"
        assert "Slack did not post to #other: not_in_channel (invite the app" in str(ended.message)
        assert "to-ken" not in ended.log and "to-ken-to-ken" in site.prepare(SLACK, TEXT).secrets


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (429, "slow down", "answered 429, to be tried again after 30 s; it begins: slow down"),
        (200, "<html>proxy</html>", "which is a page for people"),
        (200, "[]", "which is not what Slack says"),
    ],
)
def test_slack_answers_something_else(tmp_path: Path, status: int, body: str, said: str) -> None:
    headers = {"Retry_After": "30"} if status == 429 else {}
    with net.web_server(lambda handler, request: net.answer(handler, status, body, **headers)) as server:
        ended = net.Site(tmp_path, "SLACK", base_url=server.url, token="to-ken-to-ken", **REMOTE).run(SLACK, TEXT)
    assert ended.status == "FAILED" and said in str(ended.message)


@pytest.mark.parametrize("status", [200, 403])
def test_slack_by_webhook(tmp_path: Path, status: int) -> None:
    """Whoever knows its path can post there: it is never shown."""

    def respond(handler: Any, request: net.Request) -> None:
        net.answer(handler, status, "ok" if status == 200 else f"no_service {request.path}")

    with net.web_server(respond) as server:
        site = net.Site(tmp_path, "SLACK", url=f"{server.url}/services/T0/B0/hush-hush", **REMOTE)
        ended = site.run(SLACK, TEXT)
        assert ended.status == ("SUCCEEDED" if status == 200 else "FAILED")
        assert json.loads(server.requests[0].body) == {"text": TEXT["text"]}
    assert "hush" not in ended.log and "hush" not in str(ended.message)
    assert "/services/T0/B0/hush-hush" in site.prepare(SLACK, TEXT).secrets


def test_a_remote_webhook_is_confined(tmp_path: Path) -> None:
    with net.web_server(lambda handler, request: net.answer(handler, 200, "ok")) as server:
        ended = net.Site(tmp_path, "SLACK", url=f"{server.url}/services/x", mode="remote").run(SLACK, TEXT)
        assert ended.status == "FAILED" and "it is a loopback address" in str(ended.message)
        assert server.requests == []


# Teams

CARD = {"type": "AdaptiveCard", "version": "1.4", "body": []}


@pytest.mark.parametrize(
    ("content", "card"),
    [
        (CARD, CARD),
        (
            {"text": "Hi"},
            {"type": "AdaptiveCard", "version": "1.4", "body": [{"type": "TextBlock", "text": "Hi", "wrap": True}]},
        ),
    ],
)
def test_teams_gets_a_card(content: dict[str, Any], card: dict[str, Any]) -> None:
    (attachment,) = teams_message(content)["attachments"]
    assert attachment == {"contentType": "application/vnd.microsoft.card.adaptive", "content": card}


@pytest.mark.parametrize("content", [{"type": "message", "attachments": []}, {"@type": "MessageCard", "text": "x"}])
def test_teams_gets_a_whole_message_as_it_is(content: dict[str, Any]) -> None:
    assert teams_message(content) == content


@pytest.mark.parametrize(
    ("status", "body", "ends"),
    [(200, "1", "SUCCEEDED"), (202, "", "SUCCEEDED"), (400, "Bad card", "FAILED"),
     (200, "Webhook message delivery failed with error: 429", "FAILED")],
)  # fmt: skip
def test_teams_by_webhook(tmp_path: Path, status: int, body: str, ends: str) -> None:
    with net.web_server(lambda handler, request: net.answer(handler, status, body)) as server:
        site = net.Site(tmp_path, "MICROSOFT_TEAMS", url=f"{server.url}/webhookb2/hush?sig=hush-hush", **REMOTE)
        ended = site.run(TEAMS, {"content": {"text": "Hi"}})
        assert json.loads(server.requests[0].body) == teams_message({"text": "Hi"})
        assert server.requests[0].path == "/webhookb2/hush?sig=hush-hush"
    assert ended.status == ends and "hush" not in ended.log
    assert ends == "SUCCEEDED" or body in str(ended.message)


def test_senders_work_in_a_process_that_also_does_other_things() -> None:
    """As alerts use them: only this call is confined, in whatever thread it goes on."""
    with net.web_server(lambda handler, request: net.answer(handler, 200, "1")) as server:
        how, allowed = {"url": f"{server.url}/services/hush-hush"}, Egress("alerts", "remote", "x", True)
        with confined(allowed):
            assert send_teams(how, {"text": "Hi"}, allowed) == "sent to the webhook's channel"
        refused = Egress("alerts", "remote", "x")
        with confined(refused), pytest.raises(CallFailed) as caught:
            send_slack(how, {"channel": "x", "text": "Hi"}, refused)
        assert "hush" not in str(caught.value) and "may not reach" in str(refused.refused[-1])
        assert len(server.requests) == 1


# E-mail


@dataclass
class Mailbox:
    port: int = 0
    login: str = ""
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    data: bytes = b""


@contextmanager
def smtp_sink() -> Iterator[Mailbox]:
    """An SMTP server that keeps the last e-mail; it knows AUTH PLAIN, and nobody called nobody@example.com."""
    box = Mailbox()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline().decode().strip():
                verb = line.split(":")[0].split()[0].upper()
                if verb == "EHLO":
                    self.say("250-here\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    box.login = line.split()[2]
                    self.say("235 ok")
                elif verb == "MAIL":
                    box.sender = line
                    self.say("250 ok")
                elif verb == "RCPT" and "nobody" in line:
                    self.say("550 nobody")
                elif verb == "RCPT":
                    box.recipients.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                elif verb == "DATA":
                    self.say("354 go on")
                    lines = iter(self.rfile.readline, b".\r\n")
                    box.data = b"".join(lines)
                    self.say("250 ok")
                elif verb == "QUIT":
                    self.say("221 bye")
                    return
                else:
                    self.say("250 ok")

        def say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        box.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield box
        finally:
            server.shutdown()


def mail_site(tmp_path: Path, box: Mailbox, **fields: Any) -> net.Site:
    base = {"host": "127.0.0.1", "port": box.port, "security": "none", "sender": "Lumen <data@lumen.example>"}
    return net.Site(tmp_path, "AWS_SES", **(base | REMOTE | fields))


def test_an_email_by_smtp(tmp_path: Path) -> None:
    with smtp_sink() as box:
        site = mail_site(tmp_path, box, user="loader", password="pass-word-1")
        ended = site.run(EMAIL, MAIL | {"bcc": "eve@example.com", "html": "<p>Orders 😀</p>"})
        assert ended.status == "SUCCEEDED", ended.message
    assert "<data@lumen.example>" in box.sender
    assert box.recipients == ["amy@example.com", "bo@example.com", "eve@example.com"]
    assert box.login == "AGxvYWRlcgBwYXNzLXdvcmQtMQ=="
    message = message_from_bytes(box.data, policy=policy.default)
    assert (message["To"], message["Subject"]) == ("amy@example.com, bo@example.com", "Grüße")
    assert message["Bcc"] is None and b"eve@" not in box.data
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None and html is not None
    assert plain.get_content().split() == ["Orders", "are", "there"] and "😀" in html.get_content()
    assert "pass-word-1" in site.prepare(EMAIL, MAIL).secrets


def test_an_email_that_is_not_taken(tmp_path: Path) -> None:
    with smtp_sink() as box:
        ended = mail_site(tmp_path, box).run(EMAIL, MAIL | {"to": ["amy@example.com", "nobody@example.com"]})
        assert ended.status == "FAILED" and "not for nobody@example.com" in str(ended.message)
        ended = mail_site(tmp_path, box).run(EMAIL, MAIL | {"to": "nobody@example.com"})
        assert ended.status == "FAILED" and "SMTPRecipientsRefused" in str(ended.message)


def test_an_email_goes_encrypted_or_not_at_all(tmp_path: Path) -> None:
    with smtp_sink() as box:
        for security in ("starttls", "tls"):
            site = mail_site(tmp_path, box, security=security, user="loader", password="pass-word-1")
            ended = site.run(EMAIL, MAIL)
            assert ended.status == "FAILED" and f"127.0.0.1:{box.port}: " in str(ended.message)
        assert (box.login, box.data) == ("", b"")


def test_an_email_server_that_may_not_be_reached(tmp_path: Path) -> None:
    with smtp_sink() as box:
        ended = mail_site(tmp_path, box, allow_private=False).run(EMAIL, MAIL)
    assert ended.status == "FAILED" and "it is a loopback address" in str(ended.message)


def test_an_email_by_ses(tmp_path: Path) -> None:
    import boto3
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.server import ThreadedMotoServer
    from moto.ses.models import ses_backends

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        given = {"access_key_id": "AKIAGIVEN", "secret_access_key": "given-given", "region": "us-east-1"}
        client = boto3.client(
            "ses", "us-east-1", endpoint_url=f"http://{host}:{port}", aws_access_key_id="a", aws_secret_access_key="b"
        )
        fields = {"endpoint_url": f"http://{host}:{port}", "sender": "data@lumen.example"}
        site = net.Site(tmp_path, "AWS_SES", **fields, **given, **REMOTE)
        ended = site.run(EMAIL, MAIL)
        assert ended.status == "FAILED" and "SES did not send the e-mail: MessageRejected" in str(ended.message)
        client.verify_email_identity(EmailAddress="data@lumen.example")
        ended = site.run(EMAIL, MAIL)
        assert ended.status == "SUCCEEDED" and "sent to 2 recipient(s): " in str(ended.message), ended.message
        (sent,) = ses_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].sent_messages
        assert (
            set(sent.destinations) == set(MAIL["to_addresses"])
            and "To: amy@example.com, bo@example.com" in sent.raw_data
        )
    finally:
        server.stop()
