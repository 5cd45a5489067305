"""A repository with pipelines, its store, and triggers that tick at times of our choosing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.bindings.config import load_bindings
from rehearse.engine.catalog import Files
from rehearse.store import triggers as stored
from rehearse.store.records import Store, open_store, timestamp

TASK = """
pipeline:
  note:
    name: Note
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    parameters: {command: python -c pass}
"""


@dataclass
class Repository:
    root: Path
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        (self.root / "orchestra").mkdir()
        self.bind("")
        self.store: Store = open_store(self.root)
        self.files = Files(self.root)

    def pipeline(self, alias: str, text: str) -> None:
        """`text`: the triggers and inputs."""
        (self.root / "orchestra" / f"{alias}.yml").write_text(f"version: v1\nname: {alias.title()}\n{text}{TASK}")

    def bind(self, text: str) -> None:
        (self.root / "rehearse.toml").write_text(text)

    def make(self, kind: Callable[..., Any]) -> Any:
        """As after a start of the server."""
        return kind(self.root, self.store, self.files, lambda: load_bindings(self.root), self.said.append)

    def end(self, run_id: str, status: str = "SUCCEEDED", at: datetime | None = None) -> None:
        moment = timestamp(at or datetime.now(UTC))
        tasks = [row | {"status": status, "ended_at": moment} for row in self.store.task_runs(run_id)]
        run = {"status": status, "ended_at": moment}
        self.store.commit(run_id, self.store.run(run_id)["fence"], run=run, tasks=tasks)

    def outcomes(self) -> list[tuple[str, str]]:
        """(due, outcome), the oldest first."""
        rows = stored.firings(self.store.database, 1000)
        return [(row["due_at"][:16], row["outcome"]) for row in reversed(rows)]

    def runs(self) -> list[dict[str, Any]]:
        """The oldest first."""
        return self.store.runs(1000)[::-1]


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if "+" not in text else datetime.fromisoformat(text)
