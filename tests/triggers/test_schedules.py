"""Schedules: each slot fires once, and what becomes of one that is missed or overlaps (section 8.1; faults 16, 21)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from trigger_harness import Repository, at

from rehearse.bindings.schedules import Policy
from rehearse.engine.plans import branch_of
from rehearse.errors import BindingError
from rehearse.language.model import Schedule
from rehearse.triggers.runner import Schedules
from rehearse.triggers.schedules import CANCEL_AND_START, MISSED, OVERLAP, START, WAIT, decide, timetables

HOURLY = "schedule: [{name: hourly, cron: '0 * ? * * *'}]\n"
[TABLE] = timetables("p", [Schedule(cron="0 * ? * * *")])


@pytest.mark.parametrize(
    ("policy", "is_active", "waiting", "deeds", "left"),
    [
        (Policy(), False, [], [("03:00", START)], []),
        (Policy(), True, [], [("03:00", OVERLAP)], []),
        (Policy("queue"), True, [], [("03:00", WAIT)], ["03:00"]),
        (Policy("queue"), True, ["02:00"], [("03:00", OVERLAP)], ["02:00"]),
        (Policy("queue"), False, ["02:00"], [("03:00", OVERLAP), ("02:00", START)], []),
        (Policy("cancel"), True, [], [("03:00", CANCEL_AND_START)], []),
        (Policy("cancel"), False, [], [("03:00", START)], []),
    ],
)
def test_a_slot_that_comes_on_time(
    policy: Policy, is_active: bool, waiting: list[str], deeds: list[tuple[str, str]], left: list[str]
) -> None:
    held = [at(f"2026-03-01T{text}") for text in waiting]
    due = decide(TABLE, policy, at("2026-03-01T02:30"), at("2026-03-01T03:00:05"), held, is_active)
    assert [(f"{slot:%H:%M}", deed) for slot, deed in due.deeds] == deeds
    assert [f"{slot:%H:%M}" for slot in due.waiting] == left


@pytest.mark.parametrize(
    ("catch_up", "deeds", "left"),
    [
        ("latest", [("01:00", MISSED), ("02:00", MISSED), ("03:00", START)], []),
        ("none", [("01:00", MISSED), ("02:00", MISSED), ("03:00", MISSED)], []),
        ("all", [("01:00", START)], ["02:00", "03:00"]),
    ],
)
def test_fault_21_slots_that_were_slept_through(catch_up: str, deeds: list[tuple[str, str]], left: list[str]) -> None:
    due = decide(TABLE, Policy(catch_up=catch_up), at("2026-03-01T00:30"), at("2026-03-01T03:20"), [], False)
    assert [(f"{slot:%H:%M}", deed) for slot, deed in due.deeds] == deeds
    assert [f"{slot:%H:%M}" for slot in due.waiting] == left


@given(st.lists(st.integers(-3000, 20_000), min_size=1, max_size=30))
def test_fault_21_however_the_clock_jumps_a_slot_is_decided_once(steps: list[int]) -> None:
    """Seconds forwards and backwards between two looks: no slot comes twice, and none up to the latest moment is left out."""
    now = seen = start = at("2026-03-28T20:00")
    [table] = timetables("p", [Schedule(cron="0/15 * ? * * *", timezone="Europe/Berlin")])
    decided = []
    for step in steps:
        now += timedelta(seconds=step)
        decided += [slot for slot, _ in decide(table, Policy("cancel"), seen, now, [], False).deeds]
        seen = max(seen, now)
    assert decided == list(table.cron.between(start, seen, table.zone)) and len(decided) == len(set(decided))


def test_a_year_of_missed_minutes_takes_no_time() -> None:
    [table] = timetables("p", [Schedule(cron="* * ? * * *")])
    due = decide(table, Policy(), at("2025-01-01T00:00"), at("2026-01-01T00:00:45"), [], False)
    assert len(due.deeds) == 1000 and due.deeds[-1] == (at("2026-01-01T00:00"), START) and due.forgotten


def test_a_schedule_starts_from_when_it_is_first_seen(repository: Repository) -> None:
    repository.pipeline("load", HOURLY)
    schedules = repository.make(Schedules)
    assert schedules.tick(at("2026-03-01T02:30")) == at("2026-03-01T03:00")
    assert repository.runs() == []
    assert schedules.tick(at("2026-03-01T03:00:01")) == at("2026-03-01T04:00")
    [run] = repository.runs()
    assert (run["trigger"], run["status"]) == ("SCHEDULED", "CREATED")
    entry = {
        "triggerType": "SCHEDULED",
        "scheduleName": "hourly",
        "scheduleCron": "0 * ? * * *",
        "scheduleTimezone": "UTC",
    }
    assert run["triggered_by"] == [entry]
    assert repository.outcomes() == [("2026-03-01T03:00", "started")]
    schedules.tick(at("2026-03-01T03:00:02"))
    assert len(repository.runs()) == 1


def test_fault_16_an_overlapping_slot_is_recorded_whatever_becomes_of_it(repository: Repository) -> None:
    for alias, policy in (("skipping", "skip"), ("queueing", "queue"), ("cancelling", "cancel")):
        repository.pipeline(alias, HOURLY)
        with (repository.root / "rehearse.toml").open("a") as file:
            file.write(f'[schedules.{alias}]\noverlap = "{policy}"\n')
    schedules = repository.make(Schedules)
    for moment in ("02:30", "03:00:01", "04:00:01"):
        schedules.tick(at(f"2026-03-01T{moment}"))
    runs = {
        alias: [run for run in repository.runs() if run["pipeline"] == alias]
        for alias in ("skipping", "queueing", "cancelling")
    }
    assert {alias: len(found) for alias, found in runs.items()} == {"skipping": 1, "queueing": 1, "cancelling": 2}
    [request] = repository.store.requests([runs["cancelling"][0]["id"]])
    assert request["kind"] == "cancel"
    assert sorted(outcome for due, outcome in repository.outcomes() if due.endswith("04:00")) == [
        "skipped",
        "started",
        "waiting",
    ]
    repository.end(runs["queueing"][0]["id"])
    schedules.tick(at("2026-03-01T04:10"))
    assert len([run for run in repository.runs() if run["pipeline"] == "queueing"]) == 2
    assert sorted(outcome for due, outcome in repository.outcomes() if due.endswith("04:00")) == [
        "skipped",
        "started",
        "started",
    ]


def test_inputs_environment_exclusions_and_pauses(repository: Repository) -> None:
    repository.bind('[environments.dev]\nX = "1"\n[environments.prod]\nX = "2"\n')
    repository.pipeline(
        "load",
        "inputs: {day: {type: string}, x: {type: string, default: '${{ ENV.X }}'}}\n"
        "schedule:\n  - {name: daily, cron: '0 6 ? * * *', timezone: Europe/Berlin, environment: prod, exclude: ['2026-03-03'],\n"
        "     run_inputs: {day: \"${{ format_date(ORCHESTRA.CURRENT_TIME, '%Y-%m-%d') }}\"}}\n",
    )
    schedules = repository.make(Schedules)
    for day in (1, 2, 3, 4):
        schedules.tick(at(f"2026-03-0{day}T05:00:01"))
        for run in repository.runs():
            if run["status"] == "CREATED":
                repository.end(run["id"])
    runs = repository.runs()
    assert [(run["inputs"], run["environment"]) for run in runs] == [
        ({"day": "2026-03-02", "x": "2"}, "prod"), ({"day": "2026-03-04", "x": "2"}, "prod"),
    ]  # fmt: skip


def test_what_is_wrong_with_one_schedule_stops_no_other(repository: Repository) -> None:
    repository.bind('[environments.dev]\nX = "1"\n')
    repository.pipeline("needs", HOURLY.replace("}]", ", environment: nowhere}]"))
    repository.pipeline("works", HOURLY)
    (repository.root / "orchestra" / "broken.yml").write_text("version: v1\n  name: x\n")
    schedules = repository.make(Schedules)
    for moment in ("02:30", "03:00:01"):
        schedules.tick(at(f"2026-03-01T{moment}"))
    assert [run["pipeline"] for run in repository.runs()] == ["works"]
    assert sorted(outcome for _, outcome in repository.outcomes()) == ["failed", "started"]
    assert any("there is no environment 'nowhere'" in line for line in repository.said)


def test_a_branch_that_is_not_checked_out_is_said(repository: Repository) -> None:
    subprocess.run(["git", "init", "-q", "-b", "main"], cwd=repository.root, check=True)
    assert branch_of(repository.root) == "main"
    repository.pipeline("load", "schedule: [{cron: '0 * ? * * *', branch: release}]\n")
    schedules = repository.make(Schedules)
    for moment in ("02:30", "03:00:01"):
        schedules.tick(at(f"2026-03-01T{moment}"))
    assert repository.outcomes() == [("2026-03-01T03:00", "failed")] and repository.runs() == []
    assert "it wants the branch release, and main is checked out" in repository.said[0]


def test_fault_22_a_server_that_dies_between_start_and_record_starts_nothing_twice(repository: Repository) -> None:
    repository.pipeline("load", HOURLY)
    repository.make(Schedules).tick(at("2026-03-01T02:30"))
    code = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from trigger_harness import at
from pathlib import Path
from rehearse.bindings.config import load_bindings
from rehearse.engine.catalog import Files
from rehearse.store.records import open_store
from rehearse.triggers.runner import Schedules
root = Path({str(repository.root)!r})
Schedules(root, open_store(root), Files(root), lambda: load_bindings(root), print).tick(at("2026-03-01T03:00:01"))
"""
    env = os.environ | {"REHEARSE_CRASH_AT": "schedule.started"}
    assert subprocess.run([sys.executable, "-c", code], env=env).returncode == -signal.SIGKILL
    assert len(repository.runs()) == 1 and repository.outcomes() == []
    repository.make(Schedules).tick(at("2026-03-01T03:00:03"))
    assert len(repository.runs()) == 1 and repository.outcomes() == [("2026-03-01T03:00", "started")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[schedules]\noverlap = 'ski'\n", "did you mean 'skip'"),
        ("[schedules]\ncatchup = 'all'\n", "did you mean 'catch_up'"),
        ("[schedules.load]\ncatch_up = 3\n", "one of latest, none, all"),
        ("schedules = 3\n", "for example"),
    ],
)
def test_policies_that_cannot_be(repository: Repository, text: str, said: str) -> None:
    repository.bind(text)
    with pytest.raises(BindingError) as caught:
        repository.make(Schedules).tick(at("2026-03-01T02:30"))
    assert said in str(caught.value.hint) and "rehearse.toml" in str(caught.value)


def rehearse(repository: Repository, bin_dir: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(bin_dir / "rehearse"), *arguments], cwd=repository.root, capture_output=True, text=True)


def test_schedule_shows_what_would_fire(repository: Repository, bin_dir: Path) -> None:
    nightly = "{name: nightly, cron: '30 2 ? * * *', timezone: Europe/Berlin, exclude: ['2026-10-24']}"
    repository.pipeline("night", f"schedule: [{nightly}]\n")
    (repository.root / "orchestra" / "broken.yml").write_text("version: v1\n")
    shown = rehearse(repository, bin_dir, "schedule", "--at", "2026-10-23", "--next", "4d")
    assert shown.stdout.splitlines() == [
        "Fri 2026-10-23 02:30 CEST   00:30Z  night  nightly",
        "Sun 2026-10-25 02:30 CEST   00:30Z  night  nightly  the clock shows this time twice: it fires the first time",
        "Mon 2026-10-26 02:30 CET    01:30Z  night  nightly",
    ]
    assert "broken.yml is left out" in shown.stderr
    spring = rehearse(repository, bin_dir, "schedule", "--at", "2027-03-28", "--next", "24h", "--json").stdout
    [firing] = json.loads(spring)["firings"]
    assert (firing["at"], firing["local"]) == ("2027-03-28T01:00:00Z", "2027-03-28T03:00:00+02:00")
    assert firing["notes"] == ["the clock is set forwards here"]
    assert rehearse(repository, bin_dir, "schedule", "--next", "3x").returncode == 2


def test_schedule_foresees_overlaps_from_earlier_runs(repository: Repository, bin_dir: Path) -> None:
    repository.pipeline("load", "schedule: [{name: often, cron: '0/30 * ? * * *'}]\n")
    schedules = repository.make(Schedules)
    for moment in ("02:20", "02:30:01"):
        schedules.tick(at(f"2026-03-01T{moment}"))
    [run] = repository.runs()
    change = {
        "status": "SUCCEEDED",
        "started_at": "2026-03-01T02:30:00.000000Z",
        "ended_at": "2026-03-01T03:10:00.000000Z",
    }
    repository.store.commit(run["id"], run["fence"], run=change)
    shown = rehearse(repository, bin_dir, "schedule", "--at", "2026-03-02T00:10", "--next", "2h").stdout
    told = ["would be skipped: the run before takes about 2400 s" in line for line in shown.splitlines()]
    assert told == [False, True, False, True]
    assert "started    load  schedule often" in rehearse(repository, bin_dir, "schedule", "--fired").stdout
