"""Plans out of a few words of Python, and what they look like printed; for the tests of planning."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from rehearse.language.document import Document
from rehearse.language.model import Pipeline
from rehearse.language.shape import check_shape
from rehearse.language.validation import LoadedPipeline
from rehearse.planning.json_form import to_json
from rehearse.planning.plan import Plan, make_plan
from rehearse.planning.tree import Branch, summary, to_tree

NOW = datetime(2026, 11, 24, 6, tzinfo=UTC)
ENV = {"REGION": "eu", "LIMIT": "3", "WAREHOUSE": "wh", "DB_PASSWORD": "hunter2", "DSN": "postgres://u:s3cret@h/db"}
MODES = {"wh": "local", "fake": "stub", "nowhere": "unsupported", None: "local"}


def task(*after: str, **more: Any) -> dict[str, Any]:
    job = {"integration": "PYTHON", "integration_job": "PYTHON_EXECUTE_SCRIPT"}
    return {"name": "", "parameters": {}, "depends_on": list(after)} | job | more


def group(*after: str, each: tuple[str, Any] | None = None, **tasks: Any) -> dict[str, Any]:
    """Tasks by id; anything that is not a task is a key of the group."""
    own = {key: value for key, value in tasks.items() if isinstance(value, dict) and "integration" in value}
    matrix = {"matrix": {"inputs": {each[0]: each[1]}}} if each else {}
    return {"depends_on": list(after), "tasks": own} | matrix | {key: tasks[key] for key in tasks if key not in own}


def read_pipeline(document: dict[str, Any]) -> Pipeline:
    pipeline, problems = check_shape(Document("t.yml", value=document))
    assert pipeline is not None, [str(problem) for problem in problems]
    return pipeline


def plan_of(nodes: dict[str, Any], given: dict[str, Any] | None = None, **document: Any) -> Plan:
    pipeline = read_pipeline({"version": "v1", "name": "t", "pipeline": nodes} | document)
    loaded = LoadedPipeline("folder/p.yml", "text", pipeline, [])

    def how(integration: str, job: str, connection: str | None) -> str:
        return MODES.get(connection, "unknown connection")

    return make_plan(loaded, given or {}, "laptop", ENV, NOW, undeclared="accept", how=how)


def tasks_of(plan: Plan) -> dict[str, dict[str, Any]]:
    """task id -> what the JSON says of it."""
    return {found["id"]: found for group in to_json(plan)["groups"] for found in group["tasks"]}


def drawn(plan: Plan, verbose: bool = False) -> str:
    """The tree without its guides, and the lines under it."""
    return "\n".join([*_lines(to_tree(plan, verbose)), *(text for text, _ in summary(plan))])


def _lines(branch: Branch) -> list[str]:
    return [branch.text, *(f"  {line}" for below in branch.below for line in _lines(below))]
