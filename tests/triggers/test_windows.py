"""Windows of sensors: when they open, close and look (section 8.2). Pure, and with checks that the store answers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trigger_harness import Repository, at

from rehearse.language.model import Sensor, SensorCheck
from rehearse.store import sensor_events
from rehearse.store.records import timestamp
from rehearse.triggers.sensors import Sensors
from rehearse.triggers.windows import Window, advance, watches

CHECK = SensorCheck(integration="ORCHESTRA", sensor_type="ORCHESTRA_WEBHOOK_EVENT")
[WATCH] = watches(
    "p", {"s": Sensor(name="S", cron="0 6 ? * * *", timezone="UTC", timeout_mins=120, checks={"c": CHECK})}
)


@pytest.mark.parametrize(
    ("opened", "seen", "now", "is_open", "over"),
    [
        (None, "2026-03-01T05:00", "2026-03-01T05:59", None, []),
        (None, "2026-03-01T05:00", "2026-03-01T06:00", "2026-03-01T06:00", []),
        (None, "2026-03-01T05:00", "2026-03-01T07:59", "2026-03-01T06:00", []),  # nobody was there at six
        (None, "2026-03-01T05:00", "2026-03-01T08:00", None, ["missed"]),
        (None, "2026-03-01T05:00", "2026-03-03T07:00", "2026-03-03T06:00", ["missed", "missed"]),
        (None, "2026-03-01T06:30", "2026-03-01T07:00", None, []),  # first seen in the middle of its window
        ("2026-03-01T06:00", "2026-03-01T07:00", "2026-03-01T07:59", "2026-03-01T06:00", []),
        ("2026-03-01T06:00", "2026-03-01T07:59", "2026-03-01T08:00", None, ["expired"]),
        ("2026-03-01T06:00", "2026-03-01T07:59", "2026-03-02T06:01", "2026-03-02T06:00", ["expired"]),
        ("2026-03-01T06:00", "2026-03-01T07:00", "2026-03-01T05:30", "2026-03-01T06:00", []),  # the clock was set back
    ],
)
def test_a_window(opened: str | None, seen: str, now: str, is_open: str | None, over: list[str]) -> None:
    before = Window(at(opened), at(opened)) if opened else Window()
    window, ended = advance(WATCH, before, at(seen), at(now))
    assert window.opened == (at(is_open) if is_open else None)
    assert [outcome for _, outcome in ended] == over


SENSOR = """
inputs:
  path: {type: string}
  kind: {type: string}
sensors:
  arrival:
    name: Arrival
    cron: 0 6 ? * * *
    timezone: UTC
    timeout_mins: 60
    frequency_secs: 60
    run_inputs: {kind: daily}
    condition: ${{ outputs.rows > 2 }}
    checks:
      event:
        integration: ORCHESTRA
        sensor_type: ORCHESTRA_WEBHOOK_EVENT
        parameters: {event_type: file}
        map_outputs: {path: "${{ outputs.path }}"}
"""


def post(repository: Repository, moment: str, **event: Any) -> None:
    now = timestamp(at(moment))
    assert now is not None
    sensor_events.put(repository.store.database, f"{moment}-{len(event)}-{event}", "file", event, now)


def test_an_event_in_the_window_starts_one_run_with_its_outputs(repository: Repository) -> None:
    repository.pipeline("load", SENSOR)
    sensors = repository.make(Sensors)
    assert sensors.tick(at("2026-03-01T05:00")) == at("2026-03-01T06:00")
    post(repository, "2026-03-01T05:30", path="too-early", rows=9)
    assert sensors.tick(at("2026-03-01T06:00:01")) == at("2026-03-01T06:01:01")
    post(repository, "2026-03-01T06:02", path="in/a.csv", rows=9)
    for _ in range(2):
        sensors.tick(at("2026-03-01T06:02:30"))
    [run] = repository.runs()
    assert (run["trigger"], run["inputs"]) == ("SENSOR", {"path": "in/a.csv", "kind": "daily"})
    assert run["triggered_by"][0]["sensorName"] == "Arrival"
    post(repository, "2026-03-01T06:10", path="in/b.csv", rows=9)
    sensors.tick(at("2026-03-01T06:11"))
    assert len(repository.runs()) == 1 and repository.outcomes() == [("2026-03-01T06:00", "started")]


def test_a_condition_that_does_not_hold_lets_the_window_expire(repository: Repository) -> None:
    repository.pipeline("load", SENSOR)
    told: list[datetime] = []
    sensors = Sensors(
        repository.root, repository.store, repository.files, repository.make(lambda *a: a[3]), repository.said.append,
        lambda entry, watch, opened: told.append(opened),
    )  # fmt: skip
    sensors.tick(at("2026-03-01T05:00"))
    post(repository, "2026-03-01T06:02", path="in/a.csv", rows=1)
    for minute in (3, 10, 59):
        sensors.tick(at(f"2026-03-01T06:{minute:02d}"))
    assert repository.runs() == [] and told == []
    sensors.tick(at("2026-03-01T07:00"))
    assert repository.outcomes() == [("2026-03-01T06:00", "expired")] and told == [at("2026-03-01T06:00")]


def test_fault_35_a_window_goes_on_over_a_restart(repository: Repository) -> None:
    """What has passed stays passed, in the same window."""
    two = SENSOR.replace(
        "    checks:\n",
        "    checks:\n      done: {integration: ORCHESTRA, sensor_type: ORCHESTRA_PIPELINE_STATUS, "
        "parameters: {pipeline_id: other, statuses: [SUCCEEDED]}}\n",
    )
    repository.pipeline("load", two)
    repository.make(Sensors).tick(at("2026-03-01T05:00"))
    post(repository, "2026-03-01T06:02", path="in/a.csv", rows=9)
    repository.make(Sensors).tick(at("2026-03-01T06:03"))
    repository.store.database.execute("DELETE FROM sensor_events")
    other = {
        "id": "o", "pipeline": "other", "name": "Other", "file": "x", "status": "SUCCEEDED", "environment": "local", "inputs": {},
        "definition": "", "folder": "f", "trigger": "MANUAL", "created_at": "2026-03-01T06:03:00.000000Z",
        "ended_at": "2026-03-01T06:04:00.000000Z",
    }  # fmt: skip
    from rehearse.store.records import NOBODY

    repository.store.create_run(other, [], NOBODY, None)
    repository.make(Sensors).tick(at("2026-03-01T06:05"))
    assert [run["pipeline"] for run in repository.runs()] == ["load", "other"][::-1]


def test_a_run_for_each_environment_and_one_bad_name_hurts_only_itself(repository: Repository) -> None:
    repository.bind('[environments.dev]\nX = "1"\n[environments.prod]\nX = "2"\n')
    repository.pipeline("load", SENSOR.replace("    checks:", "    environments: [prod, nowhere, dev]\n    checks:"))
    sensors = repository.make(Sensors)
    sensors.tick(at("2026-03-01T05:00"))
    post(repository, "2026-03-01T06:02", path="x", rows=9)
    sensors.tick(at("2026-03-01T06:03"))
    assert sorted(run["environment"] for run in repository.runs()) == ["dev", "prod"]
    assert sorted(outcome for _, outcome in repository.outcomes()) == ["failed", "started", "started"]


def test_fault_35_a_server_that_dies_between_start_and_record_starts_nothing_twice(repository: Repository) -> None:
    repository.pipeline("load", SENSOR)
    repository.make(Sensors).tick(at("2026-03-01T05:00"))
    post(repository, "2026-03-01T06:02", path="x", rows=9)
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from trigger_harness import at
from pathlib import Path
from rehearse.bindings.config import load_bindings
from rehearse.engine.catalog import Files
from rehearse.store.records import open_store
from rehearse.triggers.sensors import Sensors
root = Path({str(repository.root)!r})
Sensors(root, open_store(root), Files(root), lambda: load_bindings(root), print).tick(at("2026-03-01T06:03"))
"""
    env = os.environ | {"REHEARSE_CRASH_AT": "sensor.started"}
    assert (
        subprocess.run([sys.executable, "-c", code], env=env, stdout=subprocess.DEVNULL).returncode == -signal.SIGKILL
    )
    assert len(repository.runs()) == 1 and repository.outcomes() == []
    repository.make(Sensors).tick(at("2026-03-01T06:04"))
    assert len(repository.runs()) == 1 and repository.outcomes() == [("2026-03-01T06:00", "started")]


def test_looks_follow_the_frequency(repository: Repository) -> None:
    repository.pipeline("load", SENSOR)
    sensors = repository.make(Sensors)
    sensors.tick(at("2026-03-01T05:00"))
    sensors.tick(at("2026-03-01T06:00:10"))
    post(repository, "2026-03-01T06:00:20", path="x", rows=9)
    assert sensors.tick(at("2026-03-01T06:00:30")) == at("2026-03-01T06:01:10")
    assert repository.runs() == []
    sensors.tick(at("2026-03-01T06:01:10"))
    assert len(repository.runs()) == 1
    assert timedelta(minutes=1) == WATCH.frequency
