"""Alerts and anomalies: who is told what, once, whatever becomes of the messenger (sections 1.4 and 1.5; faults 14, 37)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from trigger_harness import Repository, at

from rehearse.bindings.config import load_bindings
from rehearse.engine.acceptance import accept
from rehearse.engine.plans import plan_of_file
from rehearse.store import alerts as stored
from rehearse.store.ids import pipeline_id
from rehearse.store.records import NOBODY, timestamp
from rehearse.triggers.alerting import ATTEMPTS, Alerting

SLACK = "{integration: SLACK, destination: '#data'}"


class Receiver(ThreadingHTTPServer):
    """`got`: (path, headers, body) of each request. `status`: what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[str, dict[str, str], Any]] = []
        self.status = 200
        self.answer = b'{"ok": true}'
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, {k.lower(): v for k, v in self.headers.items()}, json.loads(body)))
                answer = receiver.answer
                self.send_response(receiver.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


class Bench:
    """A repository, and an alerting that has seen the past."""

    def __init__(self, repository: Repository):
        self.repository = repository
        self.alerting = self.again()
        self.alerting.tick(datetime.now(UTC))

    def again(self) -> Alerting:
        root = self.repository.root
        return Alerting(root, self.repository.store, lambda: load_bindings(root), self.repository.said.append)

    def run(self, status: str = "FAILED", alias: str = "load") -> str:
        root = self.repository.root
        plan = plan_of_file(root / "orchestra" / f"{alias}.yml", load_bindings(root), {}, None)
        run_id = accept(self.repository.store, root, plan).run_id
        self.repository.end(run_id, status)
        return run_id

    def settle(self) -> list[dict[str, Any]]:
        """Tick until nothing is on its way; the alerts."""
        deadline = time.monotonic() + 30
        while True:
            due = self.alerting.tick(datetime.now(UTC))
            if due is None or due > datetime.now(UTC) + timedelta(seconds=1):
                rows = self.repository.store.database.rows("SELECT * FROM alerts ORDER BY created_at, name, id")
                return [row | {"body": json.loads(row["body"])} for row in rows]
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.fixture
def bench(repository: Repository) -> Iterator[Bench]:
    made = Bench(repository)
    yield made
    made.alerting.close()


def outbox(repository: Repository) -> list[dict[str, Any]]:
    path = repository.root / ".rehearse" / "outbox.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_an_alert_goes_into_the_outbox_when_nothing_is_bound(bench: Bench, repository: Repository) -> None:
    custom = "custom_message: 'run ${{ ORCHESTRA.PIPELINE_RUN_ID }}'"
    repository.pipeline(
        "load",
        f"alerts:\n  - {{name: broke, statuses: [FAILED], destinations: [{SLACK}], {custom}}}\n"
        f"  - {{name: any, statuses: [ANY_COMPLETED], destinations: [{SLACK}]}}\n",
    )
    failed, good = bench.run("FAILED"), bench.run("SUCCEEDED")
    rows = bench.settle()
    assert [(row["name"], row["status"]) for row in rows] == [("any", "LOCAL"), ("any", "LOCAL"), ("broke", "LOCAL")]
    texts = sorted(line["message"]["body"]["text"] for line in outbox(repository))
    assert texts == [
        f"Load FAILED (run {failed[:8]}, local)", f"Load FAILED (run {failed[:8]}, local)\nrun {failed}",
        f"Load SUCCEEDED (run {good[:8]}, local)",
    ]  # fmt: skip
    assert any("see .rehearse/outbox.jsonl" in line for line in repository.said)


def test_alerts_of_tasks(bench: Bench, repository: Repository) -> None:
    path = repository.root / "orchestra" / "load.yml"
    repository.pipeline("load", "")
    path.write_text(
        path.read_text() + f"    alerts: [{{name: skipped, statuses: [SKIPPED], destinations: [{SLACK}]}}]\n"
    )
    bench.run("SUCCEEDED")
    bench.run("SKIPPED")
    [row] = bench.settle()
    assert row["task_run_id"] and row["body"]["event"]["event_type"] == "TASK_RUN_COMPLETED"
    assert row["body"]["event"]["detail"]["task_id"] == "note"


def bind(repository: Repository, integration: str, *lines: str) -> None:
    repository.bind("\n".join([f'[connections.there]\nintegration = "{integration}"\nmode = "remote"\ndefault = true',
                               "allow_private = true", *lines, ""]))  # fmt: skip


def declare(repository: Repository, destination: str) -> None:
    repository.pipeline("load", f"alerts: [{{name: broke, statuses: [FAILED], destinations: [{destination}]}}]\n")


def test_a_webhook_gets_the_documented_body(
    bench: Bench, repository: Repository, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK_TOKEN", "open-sesame-17")
    bind(repository, "WEBHOOK", f'base_url = "{receiver.url}/hooks"', 'token = "${HOOK_TOKEN}"')
    declare(repository, "{integration: WEBHOOK, destination: orders, connection_id: there}")
    run_id = bench.run()
    assert [row["status"] for row in bench.settle()] == ["SENT"]
    [(path, headers, body)] = receiver.got
    assert (path, headers["authorization"]) == ("/hooks/orders", "Bearer open-sesame-17")
    run = repository.store.run(run_id)
    assert body == {
        "event_type": "PIPELINE_RUN_COMPLETED",
        "detail": {
            "pipeline_id": pipeline_id("load"), "pipeline_run_id": run_id, "status": "FAILED", "message": None,
            "started_at": run["started_at"], "completed_at": run["ended_at"],
        },
    }  # fmt: skip


def test_a_webhook_with_a_body_of_its_own(bench: Bench, repository: Repository, receiver: Receiver) -> None:
    bind(repository, "WEBHOOK", f'base_url = "{receiver.url}"')
    declare(
        repository,
        "{integration: WEBHOOK, connection_id: there, parameters: {body: {run: '${{ ORCHESTRA.PIPELINE_RUN_ID }}'}}}",
    )
    run_id = bench.run()
    bench.settle()
    assert receiver.got[0][2] == {"run": run_id}


def test_slack_pagerduty_and_datadog(
    bench: Bench, repository: Repository, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY", "key-of-the-messenger")
    for integration, destination, path in (
        ("SLACK", "{integration: SLACK, destination: '#data'}", "/chat.postMessage"),
        ("PAGER_DUTY", "{integration: PAGER_DUTY, connection_id: there}", "/v2/enqueue"),
        ("DATADOG", "{integration: DATADOG, connection_id: there, parameters: {priority: 2}}", "/api/v1/events"),
    ):
        receiver.got.clear()
        bind(repository, integration, f'base_url = "{receiver.url}"', 'token = "${KEY}"')
        declare(repository, destination)
        run_id = bench.run()
        rows = bench.settle()
        assert rows[-1]["status"] == "SENT", rows[-1]
        [(where, headers, body)] = receiver.got
        assert where == path
        said = json.dumps(body)
        assert f"Load FAILED (run {run_id[:8]}" in said
        if integration == "PAGER_DUTY":
            assert (body["routing_key"], body["payload"]["severity"]) == ("key-of-the-messenger", "error")
            assert body["dedup_key"] == rows[-1]["id"] or body["dedup_key"] in {row["id"] for row in rows}
        if integration == "DATADOG":
            assert headers["dd-api-key"] == "key-of-the-messenger" and "priority:P2" in body["tags"]


def test_teams_gets_a_card(
    bench: Bench, repository: Repository, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEAMS_URL", f"{receiver.url}/workflows/sesame-17-sesame")
    bind(repository, "MICROSOFT_TEAMS", 'url = "${TEAMS_URL}"')
    declare(repository, "{integration: MICROSOFT_TEAMS, connection_id: there}")
    run_id = bench.run()
    assert [row["status"] for row in bench.settle()] == ["SENT"]
    [(path, _, body)] = receiver.got
    card = body["attachments"][0]["content"]
    assert path == "/workflows/sesame-17-sesame" and card["type"] == "AdaptiveCard"
    assert card["body"][0]["text"].startswith(f"Load FAILED (run {run_id[:8]}")


def test_an_email_goes_to_its_address(bench: Bench, repository: Repository) -> None:
    from test_network_messages import smtp_sink

    with smtp_sink() as box:
        lines = ('host = "127.0.0.1"', f"port = {box.port}", 'security = "none"', 'sender = "data@lumen.example"')
        bind(repository, "EMAIL", *lines)
        declare(repository, "{integration: EMAIL, destination: amy@example.com}")
        bench.run()
        assert [row["status"] for row in bench.settle()] == ["SENT"]
    assert box.recipients == ["amy@example.com"] and b"Subject: Load FAILED" in box.data


def test_fault_17_a_messenger_whose_answers_are_wrong(
    bench: Bench, repository: Repository, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Slack that says no in words, or answers with a page: tried again, and the reason is kept without the token."""
    monkeypatch.setenv("SLACK_KEY", "xoxb-test-of-ours")
    wrong = ((200, b'{"ok": false, "error": "not_in_channel"}'), (200, b"<html>sign in"), (429, b""))
    for number, (status, answer) in enumerate(wrong):
        receiver.status, receiver.answer = status, answer
        bind(repository, "SLACK", f'base_url = "{receiver.url}"', 'token = "${SLACK_KEY}"')
        declare(repository, SLACK)
        bench.run()
        row = bench.settle()[-1]
        assert (row["status"], row["attempt"]) == ("PENDING", 1) and row["message"], number
        assert "xoxb-test" not in row["message"]


def test_fault_37_a_messenger_that_is_down_is_tried_again_and_changes_no_run(
    bench: Bench, repository: Repository, receiver: Receiver
) -> None:
    bind(repository, "WEBHOOK", f'base_url = "{receiver.url}"')
    declare(repository, "{integration: WEBHOOK, connection_id: there}")
    receiver.status = 503
    run_id = bench.run()
    now = datetime.now(UTC)
    deadline = time.monotonic() + 30
    while (row := bench.settle()[0])["status"] == "PENDING":
        assert time.monotonic() < deadline and row["attempt"] <= ATTEMPTS
        now = max(now, datetime.fromisoformat(row["next_at"])) + timedelta(seconds=1)
        bench.alerting.tick(now)
        while bench.alerting._sending:
            bench.alerting.tick(now)
    assert (row["status"], row["attempt"], len(receiver.got)) == ("FAILED", ATTEMPTS, ATTEMPTS)
    assert "503" in row["message"] and any("could not be sent, 5 times" in line for line in repository.said)
    assert repository.store.run(run_id)["status"] == "FAILED"


def test_fault_37_it_arrives_when_the_messenger_is_back(
    bench: Bench, repository: Repository, receiver: Receiver
) -> None:
    bind(repository, "WEBHOOK", f'base_url = "{receiver.url}"')
    declare(repository, "{integration: WEBHOOK, connection_id: there}")
    receiver.status = 500
    bench.run()
    [row] = bench.settle()
    assert row["status"] == "PENDING"
    receiver.status = 200
    later = datetime.fromisoformat(row["next_at"]) + timedelta(seconds=1)
    bench.alerting.tick(later)
    while bench.alerting._sending:
        bench.alerting.tick(later)
    assert bench.settle()[0]["status"] == "SENT" and len(receiver.got) == 2


def test_fault_14_an_alert_tells_no_secret(bench: Bench, repository: Repository) -> None:
    repository.bind('[environments.dev]\nSHOP_TOKEN = "swordfish-one-two"\n')
    repository.pipeline(
        "load",
        f"alerts: [{{name: broke, statuses: [FAILED], destinations: [{SLACK}], custom_message: '${{{{ ENV.SHOP_TOKEN }}}}'}}]\n",
    )
    bench.run()
    bench.settle()
    assert (
        "swordfish" not in (repository.root / ".rehearse" / "outbox.jsonl").read_text() and len(outbox(repository)) == 1
    )
    assert "swordfish" not in json.dumps(repository.store.database.rows("SELECT body FROM alerts"))


def test_an_address_that_is_forbidden(bench: Bench, repository: Repository) -> None:
    bind(repository, "WEBHOOK", 'base_url = "http://169.254.169.254"')
    declare(repository, "{integration: WEBHOOK, connection_id: there}")
    bench.run()
    [row] = bench.settle()
    assert row["status"] == "PENDING" and "169.254.169.254" in row["message"]


def test_nothing_is_sent_twice_over_a_crash(bench: Bench, repository: Repository) -> None:
    declare(repository, SLACK)
    bench.run()
    code = f"""
import sys
from datetime import UTC, datetime
from pathlib import Path
from rehearse.bindings.config import load_bindings
from rehearse.store.records import open_store
from rehearse.triggers.alerting import Alerting
root = Path({str(repository.root)!r})
Alerting(root, open_store(root), lambda: load_bindings(root), print).tick(datetime.now(UTC))
"""
    env = os.environ | {"REHEARSE_CRASH_AT": "alert.written"}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == -signal.SIGKILL
    assert len(stored.of_run(repository.store.database, repository.runs()[0]["id"])) == 1 and outbox(repository) == []
    bench.alerting = bench.again()
    bench.settle()
    bench.alerting = bench.again()
    bench.settle()
    assert len(outbox(repository)) == 1


def history(repository: Repository, seconds: list[float]) -> None:
    """Earlier runs of that length, one each hour."""
    for number, length in enumerate(seconds):
        started = datetime.now(UTC) - timedelta(hours=number + 1)
        ended = timestamp(started + timedelta(seconds=length))
        row = {
            "id": f"r{number}", "pipeline": "load", "name": "Load", "file": "x", "status": "SUCCEEDED", "environment": "local",
            "inputs": {}, "definition": "", "folder": "f", "trigger": "MANUAL", "created_at": timestamp(started),
            "started_at": timestamp(started), "ended_at": ended,
        }  # fmt: skip
        repository.store.create_run(row, [], NOBODY, None)


@pytest.mark.parametrize(
    ("past", "observed", "declared", "found"),
    [
        ([10.0] * 10, 12.5, "{}", ("pipeline_duration_above_baseline", 12.0)),
        ([10.0] * 10, 11.5, "{}", None),
        ([10.0] * 9, 99.0, "{}", None),
        ([10.0] * 10, 99.0, "{min_baseline_seconds: 11}", None),
        ([10.0, 30.0] * 5, 45.0, "{percentage_above_baseline: 100}", ("pipeline_duration_above_baseline", 40.0)),
        ([10.0] * 10, 2.0, "{type: pipeline_duration_below_baseline}", ("pipeline_duration_below_baseline", 2.5)),
    ],
)
def test_an_anomaly(
    bench: Bench,
    repository: Repository,
    past: list[float],
    observed: float,
    declared: str,
    found: tuple[str, float] | None,
) -> None:
    history(repository, past)
    inside = declared.strip("{}")
    repository.pipeline("load", f"anomalies: [{{{inside}{', ' if inside else ''}destinations: [{SLACK}]}}]\n")
    run_id = bench.run("SUCCEEDED")
    start = datetime.now(UTC) - timedelta(seconds=observed)
    change = {"started_at": timestamp(start), "ended_at": timestamp(start + timedelta(seconds=observed))}
    repository.store.commit(run_id, 1, run=change)
    rows = bench.settle()
    shown = repository.store.database.rows("SELECT type, data FROM anomalies")
    if found is None:
        assert shown == [] and rows == []
        return
    data = json.loads(shown[0]["data"])
    assert (shown[0]["type"], data["threshold_seconds"], data["compared_runs"]) == (*found, len(past))
    assert repository.store.run(run_id)["status"] == "SUCCEEDED"
    assert [row["name"] for row in rows] == [found[0]] and "the limit from" in outbox(repository)[0]["message"]["body"][
        "text"
    ]


def test_a_sensor_that_found_nothing(bench: Bench, repository: Repository) -> None:
    from rehearse.triggers.sensors import Sensors

    repository.pipeline(
        "load",
        f"""
sensors:
  s:
    name: Arrival
    cron: 0 6 ? * * *
    timezone: UTC
    timeout_mins: 60
    alerts: [{{name: nothing came, statuses: [FAILED], destinations: [{SLACK}]}}]
    checks:
      e: {{integration: ORCHESTRA, sensor_type: ORCHESTRA_WEBHOOK_EVENT, parameters: {{event_type: file}}}}
""",
    )
    root = repository.root
    sensors = Sensors(
        root,
        repository.store,
        repository.files,
        lambda: load_bindings(root),
        repository.said.append,
        bench.alerting.of_sensor,
    )
    for moment in ("05:00", "06:30", "07:00", "07:01"):
        sensors.tick(at(f"2026-03-01T{moment}"))
    [row] = bench.settle()
    assert (row["name"], row["status"]) == ("nothing came", "LOCAL")
    assert outbox(repository)[0]["message"]["body"]["text"] == (
        "Load: the sensor 'Arrival' of 2026-03-01 06:00 UTC did not pass in time"
    )


def test_rehearse_run_tells_them_too(repository: Repository, bin_dir: Path) -> None:
    declare(repository, SLACK)
    path = repository.root / "orchestra" / "load.yml"
    path.write_text(path.read_text().replace("python -c pass", "python -c 'raise SystemExit(3)'"))
    done = subprocess.run(
        [str(bin_dir / "rehearse"), "run", "orchestra/load.yml"], cwd=repository.root, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert (
        "alert 'broke' to SLACK #data: not sent, because no connection is bound: see .rehearse/outbox.jsonl"
        in done.stderr
    )
    assert len(outbox(repository)) == 1
