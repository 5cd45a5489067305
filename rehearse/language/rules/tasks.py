"""Tasks and matrices: integration and job, parameters, connections (checks 6 to 9 and 14)."""

from __future__ import annotations

from typing import Any

from rehearse.errors import ExpressionError
from rehearse.language import templates
from rehearse.language.integrations import INTEGRATION_OF, INTEGRATIONS, JOBS_BY_INTEGRATION, MISSPELT
from rehearse.language.parameters import check_parameters, kind_of
from rehearse.language.problems import Loc
from rehearse.language.rules.review import Group, Review, Task, mapping, text


def check_tasks(review: Review) -> None:
    reported: set[str] = set()  # jobs of unknown schema are named once
    for group in review.groups.values():
        _matrix(review, group)
        for task in group.tasks.values():
            job = _job(review, task)
            if job is not None:
                _parameters(review, task, job, reported)
            review.check_connection((*task.loc, "connection"), task.body.get("connection"))
    _zeros(review)


def _zeros(review: Review) -> None:
    """0 where it does not mean nothing."""
    places: list[tuple[Loc, Any]] = [(("configuration",), review.root.get("configuration"))]
    places += [((*task.loc, "configuration"), task.body.get("configuration")) for g in review.groups.values()
               for task in g.tasks.values()]  # fmt: skip
    places.append(
        (("configuration", "concurrency"), mapping(mapping(review.root.get("configuration")).get("concurrency")))
    )
    for loc, body in places:
        for name, instead in (("timeout", "leave it out"), ("max_active", "leave it out, or pause the pipeline")):
            value = mapping(body).get(name)
            if value == 0 and value is not False:
                review.add("no-limit", (*loc, name), f"{name}: 0 means no limit", instead)


def _matrix(review: Review, group: Group) -> None:
    inputs = mapping(group.body.get("matrix")).get("inputs")
    if not isinstance(inputs, dict):
        return
    loc = (*group.loc, "matrix", "inputs")
    if len(inputs) != 1:
        many = len(inputs) or "none"
        hint = "let a list of mappings carry both values" if inputs else "write inputs: {table: [orders, customers]}"
        at = (*loc, list(inputs)[1]) if inputs else loc
        review.add("matrix-keys", at, f"a matrix has exactly one key, this one has {many}", hint, key=bool(inputs))
    for key, value in inputs.items():
        if not _gives_a_list(value):
            message = "the values of a matrix are a list, or one expression that gives one"
            review.add("matrix-values", (*loc, key), message, "write [a, b], or ${{ inputs.things }}")
        review.check_words((*loc, key), value)


def _gives_a_list(value: Any) -> bool:
    if isinstance(value, str):
        try:
            return templates.parse_template(value).whole is not None
        except ExpressionError:
            return True  # which is reported as such
    return isinstance(value, list)


def _job(review: Review, task: Task) -> str | None:
    """The job, if the pair of integration and job is right."""
    integration, job = text(task.body.get("integration")), task.job
    if integration is None or "${{" in integration or (job and "${{" in job):
        return None
    if integration not in JOBS_BY_INTEGRATION:
        hint = review.suggest(integration, INTEGRATIONS) or "rehearse explain lists them"
        if job in INTEGRATION_OF:
            hint = f"write {INTEGRATION_OF[job]}, to which {job} belongs"
        review.add("unknown-integration", (*task.loc, "integration"), f"unknown integration '{integration}'", hint)
        return None
    if job is None:
        return None
    jobs = JOBS_BY_INTEGRATION[integration]
    loc = (*task.loc, "integration_job")
    if job in jobs:
        return job
    if job in INTEGRATION_OF:
        message = f"{integration} has no job '{job}'"
        review.add("job-mismatch", loc, message, f"it belongs to {INTEGRATION_OF[job]}")
        return None
    known = f"{integration} has: {', '.join(jobs)}" if jobs else "it has none that a task can run"
    hint = MISSPELT.get(job) or review.suggest(job, jobs) or known
    review.add("unknown-job", loc, f"{integration} has no job '{job}'", hint)
    return None


def _parameters(review: Review, task: Task, job: str, reported: set[str]) -> None:
    parameters = task.body.get("parameters")
    if not isinstance(parameters, dict):
        return
    for found in check_parameters(job, parameters):
        if found.code == "unknown-schema":
            if job in reported:
                continue
            reported.add(job)
        loc = (*task.loc, "parameters", *found.path)
        hint = found.hint
        if found.code == "parameter-type" and kind_of(_at(parameters, found.path)) in ("number", "bool"):
            written = review.doc.written(loc)  # 3.10 is 3.1 to YAML: show what the author wrote
            hint = f"quote it: '{written}'" if hint and hint.startswith("quote it") and written else hint
        review.add(found.code, loc, found.message, hint, key=found.on_key, offset=found.offset, type=found.type)  # fmt: skip
    for name, value in parameters.items():
        if name.endswith("connection_id") and INTEGRATION_OF[job] == "ORCHESTRA":
            review.check_connection((*task.loc, "parameters", name), value)
    if job == "TRIGGER_PIPELINE":
        review.check_pipeline_id((*task.loc, "parameters", "pipeline_id"), parameters.get("pipeline_id"))


def _at(value: Any, path: tuple[str | int, ...]) -> Any:
    for part in path:
        value = value[part]
    return value
