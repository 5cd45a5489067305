"""Pipelines that start when another one's run ends (section 8.4)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from trigger_harness import Repository

from rehearse.bindings.config import load_bindings
from rehearse.engine.acceptance import accept
from rehearse.engine.plans import plan_of_file
from rehearse.store.ids import pipeline_id
from rehearse.triggers.events import Events


def run(repository: Repository, alias: str) -> str:
    path = repository.root / "orchestra" / f"{alias}.yml"
    plan = plan_of_file(path, load_bindings(repository.root), {}, None)
    return accept(repository.store, repository.root, plan).run_id


def started(repository: Repository, alias: str) -> list[dict[str, object]]:
    return [found for found in repository.runs() if found["pipeline"] == alias]


def test_the_end_of_a_run_starts_those_who_wait_for_it_once(repository: Repository) -> None:
    repository.pipeline("source", "")
    repository.pipeline(
        "by_alias",
        """inputs: {parent: {type: string}, how: {type: string}}
trigger_events:
  - type: pipeline
    pipeline_id: source
    run_inputs:
      parent: ${{ outputs.pipeline_run['pipeline_run_id'] }}
      how: ${{ outputs.pipeline_run.status }}
""",
    )
    repository.pipeline("by_id", f"trigger_events: [{{type: pipeline, pipeline_id: {pipeline_id('source')}}}]\n")
    repository.pipeline("on_failure", "trigger_events: [{type: pipeline, pipeline_id: source, statuses: [FAILED]}]\n")
    repository.make(Events).tick(datetime.now(UTC))
    parent = run(repository, "source")
    repository.end(parent)
    for _ in range(2):  # also after a restart, that looks at all of the last minutes again
        repository.make(Events).tick(datetime.now(UTC))
    [child] = started(repository, "by_alias")
    assert child["inputs"] == {"parent": parent, "how": "SUCCEEDED"}
    assert child["triggered_by"] == [
        {
            "triggerType": "TRIGGER_EVENT",
            "pipelineName": "Source",
            "pipelineId": pipeline_id("source"),
            "pipelineRunId": parent,
        }
    ]
    assert len(started(repository, "by_id")) == 1 and started(repository, "on_failure") == []
    repository.end(run(repository, "source"), "FAILED")
    repository.make(Events).tick(datetime.now(UTC))
    assert len(started(repository, "on_failure")) == 1 and len(started(repository, "by_id")) == 1


def test_a_star_reacts_to_others_and_not_to_what_it_has_set_off(repository: Repository) -> None:
    repository.pipeline("source", "")
    for alias in ("watcher", "observer"):
        repository.pipeline(alias, "trigger_events: [{type: pipeline, pipeline_id: '*'}]\n")
    events = repository.make(Events)
    events.tick(datetime.now(UTC))
    repository.end(run(repository, "source"))
    for _ in range(6):  # until nothing starts any more
        events.tick(datetime.now(UTC))
        for found in repository.runs():
            if found["status"] == "CREATED":
                repository.end(found["id"])
    assert [len(started(repository, alias)) for alias in ("source", "watcher", "observer")] == [1, 2, 2]


def test_what_ended_before_anybody_listened_is_past(repository: Repository) -> None:
    repository.pipeline("source", "")
    repository.pipeline("after", "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    repository.end(run(repository, "source"), at=datetime(2026, 1, 1, tzinfo=UTC))
    events = repository.make(Events)
    for _ in range(2):
        events.tick(datetime.now(UTC))
    assert started(repository, "after") == []


def test_two_that_start_each_other_come_to_an_end(repository: Repository) -> None:
    repository.pipeline("ping", "trigger_events: [{type: pipeline, pipeline_id: pong}]\n")
    repository.pipeline("pong", "trigger_events: [{type: pipeline, pipeline_id: ping}]\n")
    events = repository.make(Events)
    events.tick(datetime.now(UTC))
    repository.end(run(repository, "ping"))
    for _ in range(30):
        events.tick(datetime.now(UTC))
        for found in repository.runs():
            if found["status"] == "CREATED":
                repository.end(found["id"])
    assert len(repository.runs()) == 20
    assert any("set each other off 20 times in a row" in line for line in repository.said)


def test_a_paused_pipeline_is_recorded(repository: Repository) -> None:
    from rehearse.store import catalog

    repository.pipeline("source", "")
    repository.pipeline("after", "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    row = {
        "id": pipeline_id("after"), "alias": "after", "has_alias": 1, "name": "After", "storage": catalog.FILE, "paused": 1,
        "created_at": "x", "updated_at": "x",
    }  # fmt: skip
    catalog.put_pipeline(repository.store.database, row)
    events = repository.make(Events)
    events.tick(datetime.now(UTC))
    repository.end(run(repository, "source"))
    events.tick(datetime.now(UTC))
    assert started(repository, "after") == [] and [outcome for _, outcome in repository.outcomes()] == ["paused"]


def test_the_environment_of_the_parent_is_the_childs(repository: Repository) -> None:
    repository.bind('[environments.dev]\nX = "1"\n[environments.prod]\nX = "2"\n')
    repository.pipeline("source", "")
    repository.pipeline("after", "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    events = repository.make(Events)
    events.tick(datetime.now(UTC))
    plan = plan_of_file(repository.root / "orchestra" / "source.yml", load_bindings(repository.root), {}, "prod")
    repository.end(accept(repository.store, repository.root, plan).run_id)
    events.tick(datetime.now(UTC))
    assert [found["environment"] for found in started(repository, "after")] == ["prod"]


def test_fault_21_an_end_is_seen_after_the_clock_was_set_back(repository: Repository) -> None:
    repository.pipeline("source", "")
    repository.pipeline("after", "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    events = repository.make(Events)
    now = datetime.now(UTC)
    events.tick(now + timedelta(hours=1))
    repository.end(run(repository, "source"), at=now)
    events.tick(now + timedelta(seconds=1))
    assert len(started(repository, "after")) == 1


def test_a_run_that_started_before_the_record_was_made_is_recorded(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.pipeline("source", "")
    repository.pipeline("after", "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    repository.make(Events).tick(datetime.now(UTC))
    repository.end(run(repository, "source"))
    with monkeypatch.context() as patch:
        patch.setattr("rehearse.triggers.events.crash.point", lambda name: (_ for _ in ()).throw(SystemExit))
        with pytest.raises(SystemExit):
            repository.make(Events).tick(datetime.now(UTC))
    assert repository.outcomes() == []
    repository.make(Events).tick(datetime.now(UTC))
    assert len(started(repository, "after")) == 1 and [outcome for _, outcome in repository.outcomes()] == ["started"]


def test_what_nobody_expected_hurts_one_only(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    from rehearse.triggers import events as module

    repository.pipeline("source", "")
    for alias in ("a", "b"):
        repository.pipeline(alias, "trigger_events: [{type: pipeline, pipeline_id: source}]\n")
    really = module.start

    def start(root: Path, store: Any, bindings: Any, catalog: Any, entry: Any, cause: Any) -> Any:
        if entry.alias == "a":
            raise OSError("the disk is gone")
        return really(root, store, bindings, catalog, entry, cause)

    monkeypatch.setattr(module, "start", start)
    events = repository.make(Events)
    events.tick(datetime.now(UTC))
    repository.end(run(repository, "source"))
    events.tick(datetime.now(UTC))
    assert [len(started(repository, alias)) for alias in ("a", "b")] == [0, 1]
    assert sorted(outcome for _, outcome in repository.outcomes()) == ["failed", "started"]
