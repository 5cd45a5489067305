"""Pipelines: those of files, and those that are created here (sections 2.1 to 2.4 of the API reference)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import yaml
from fastapi import APIRouter, Body, Depends, Query, Response
from pydantic import UUID4, Field

from rehearse.api.bodies import Body as RequestBody
from rehearse.api.bodies import NoNul
from rehearse.api.dependencies import Authorized, ServiceHere
from rehearse.api.errors import ApiError, invalid
from rehearse.api.models import Envelope, RunStatus, Strict, Time
from rehearse.api.paging import PageHere
from rehearse.api.responses import Json, refused
from rehearse.api.rows import moment
from rehearse.api.service import Service
from rehearse.engine.catalog import Catalog, Entry
from rehearse.errors import InvalidPipeline, RehearseError
from rehearse.language.canonical import canonical_form
from rehearse.language.document import parse_document
from rehearse.language.validation import check
from rehearse.store import catalog as stored
from rehearse.store import listing
from rehearse.store.database import Row
from rehearse.store.ids import id_of
from rehearse.store.records import timestamp

router = APIRouter(dependencies=[Authorized])
open_router = APIRouter()
"""What needs no key."""
Storage = Literal["ORCHESTRA", "AZURE_DEVOPS", "GITHUB", "GITLAB", "BITBUCKET"]
Alias = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$", max_length=255)]
Definition = dict[str, Any]


class Pipeline(Strict):
    id: UUID4
    name: str
    numTasks: int | None
    yamlPath: str
    createdAt: Time
    updatedAt: Time
    paused: bool
    triggerEvents: str | None
    webhook: str | None
    schedule: str | None
    sensors: str | None
    inputs: dict[str, Any] | None
    productId: UUID4 | None
    productName: str | None
    latestVersionNumber: int | None
    publishedVersionNumber: int | None
    storageProvider: str | None
    repository: str | None
    defaultBranch: str | None
    alias: str | None
    latestRunId: UUID4 | None
    latestRunStatus: RunStatus | None
    latestRunMessage: str | None
    latestRunCreatedAt: Time | None
    latestRunStartedAt: Time | None
    latestRunCompletedAt: Time | None


class PipelineWithData(Pipeline):
    data: Definition
    latestFileSha: str | None
    newCommitSha: str | None
    currentVersionNumber: int | None


class CreateBody(RequestBody):
    data: Definition
    published: bool
    storage_provider: Storage = "ORCHESTRA"
    alias: Alias | None = None
    default_branch: NoNul | None = None
    repository: NoNul | None = None
    working_branch: NoNul | None = None
    yaml_path: NoNul | None = None
    message: NoNul | None = None
    message_is_custom: bool = True


class UpdateBody(RequestBody):
    data: Definition
    published: bool
    alias: NoNul | None = None
    pipeline_id: UUID4 | None = None
    message: NoNul | None = None


class ImportBody(RequestBody):
    storage_provider: Storage
    repository: NoNul
    default_branch: NoNul
    yaml_path: NoNul
    alias: Alias | None = None
    working_branch: NoNul | None = None


class StorageBody(RequestBody):
    path: NoNul
    repository: NoNul
    storage_provider: Storage
    default_branch: NoNul
    working_branch: NoNul | None = None


class PauseBody(RequestBody):
    paused: bool


class Checked(Strict):
    """`pipeline`: the canonical form, when it was asked for."""

    status: str
    message: str
    pipeline: Definition | None = None


class Selector:
    """Exactly one way to name a pipeline."""

    def __init__(
        self,
        pipeline_id: UUID4 | None = None,
        alias: str | None = None,
        repository: str | None = None,
        yaml_path: str | None = None,
    ):
        given = [pipeline_id is not None, alias is not None, repository is not None or yaml_path is not None]
        if sum(given) != 1:
            raise invalid(["query"], "Give one of pipeline_id, alias, or repository with yaml_path", "selector")
        if (repository is None) != (yaml_path is None):
            missing = "repository" if repository is None else "yaml_path"
            raise invalid(["query", missing], "repository and yaml_path go together", "missing")
        self.id_or_alias = str(pipeline_id) if pipeline_id else alias
        self.repository, self.yaml_path = repository, yaml_path

    def find(self, catalog: Catalog) -> Entry:
        """Raises ApiError 404."""
        if self.id_or_alias is not None:
            return _find(catalog, self.id_or_alias)
        for entry in catalog.entries():
            row = entry.row
            if row and (row["repository"], row["yaml_path"]) == (self.repository, self.yaml_path):
                return entry
        raise ApiError(404, "Pipeline not found")


SelectorHere = Annotated[Selector, Depends(Selector)]


def may_edit(service: ServiceHere) -> None:
    """Whoever writes a pipeline decides what runs here."""
    if not service.allow_edits:
        raise ApiError(403, "Forbidden: this server was started with --no-edits")


Editor = Depends(may_edit)


@router.get("/pipelines", response_model=list[Pipeline] | Envelope[Pipeline])
def list_pipelines(
    service: ServiceHere,
    paging: PageHere,
    name: str | None = None,
    page: Annotated[int | None, Query(ge=1)] = None,
    page_size: Annotated[int | None, Query(ge=1, le=100)] = None,
) -> Any:
    """All of them as an array; with page or page_size one page, sorted by name. A file that is broken has no tasks."""
    entries = [entry for entry in service.catalog().entries() if name is None or name.lower() in entry.name.lower()]
    newest = listing.newest_runs(service.store.database, [entry.alias for entry in entries])
    if page is None and page_size is None:
        return Json([_row(entry, newest.get(entry.alias)) for entry in entries])
    entries.sort(key=lambda entry: (entry.name, entry.alias))
    chosen = entries[paging.offset : paging.offset + paging.size]
    return paging.envelope([_row(entry, newest.get(entry.alias)) for entry in chosen], len(entries))


@router.get("/pipeline", response_model=Pipeline, responses=refused(404))
def get_pipeline(
    service: ServiceHere,
    selector: SelectorHere,
    version: int | None = None,
    branch: str | None = None,
    commit: str | None = None,
) -> Any:
    entry = selector.find(service.catalog())
    return _row(entry, listing.newest_runs(service.store.database, [entry.alias]).get(entry.alias))


@router.get("/pipelines/data", responses=refused(400, 404))
def get_definition(
    service: ServiceHere,
    selector: SelectorHere,
    version: int | None = None,
    branch: str | None = None,
    commit: str | None = None,
) -> Definition:
    """In the canonical form: camelCase."""
    return canonical_form(_text(service, selector, version)) or {}


@router.get("/pipeline/data", responses=refused(400, 404))
def get_text(
    service: ServiceHere,
    selector: SelectorHere,
    version: int | None = None,
    branch: str | None = None,
    commit: str | None = None,
) -> str:
    """The YAML, as a JSON string."""
    return _text(service, selector, version)


@open_router.post("/pipelines/schema", responses=refused(400))
def check_definition(service: ServiceHere, body: Annotated[Any, Body()], canonicalize: bool = False) -> Checked:
    """Check a definition, with snake_case or camelCase keys. What is wrong is a 422 with the place of each problem."""
    text = _checked_text(body, ["body"])
    return Checked(
        status="success", message="Pipeline schema is valid", pipeline=canonical_form(text) if canonicalize else None
    )


@router.post(
    "/pipelines", status_code=201, response_model=PipelineWithData, responses=refused(409), dependencies=[Editor]
)
def create_pipeline(service: ServiceHere, body: Annotated[CreateBody, Body()]) -> Any:
    """Unlike the platform, which makes a second one, this refuses an alias that is taken."""
    text = _checked_text(body.data, ["body", "data"])
    alias = body.alias or f"pipeline_{id_of('new', datetime.now(UTC))[:8]}"
    if service.catalog().find(alias) is not None:
        raise ApiError(409, f"There is a pipeline with the alias {alias} already")
    now = timestamp(datetime.now(UTC))
    row = {
        "id": Entry(alias, None).id, "alias": alias, "has_alias": int(body.alias is not None), "name": str(body.data.get("name")),
        "storage": body.storage_provider, "repository": body.repository, "default_branch": body.default_branch,
        "working_branch": body.working_branch, "yaml_path": body.yaml_path, "paused": 0, "latest_version": 1,
        "published_version": 1 if body.published else None, "created_at": now, "updated_at": now, "definition": text,
        "message": body.message,
    }  # fmt: skip
    if not stored.put_pipeline(service.store.database, row):
        raise ApiError(409, f"There is a pipeline with the alias {alias} already")
    return _with_data(service, alias)


@router.put("/pipelines", response_model=PipelineWithData, responses=refused(400, 404), dependencies=[Editor])
def update_pipeline(service: ServiceHere, body: Annotated[UpdateBody, Body()], alias: str | None = None) -> Any:
    """Adds a version. Only of pipelines that were created here: a file is changed by changing it."""
    wanted = str(body.pipeline_id) if body.pipeline_id else body.alias or alias
    if wanted is None:
        raise invalid(["body", "alias"], "Give alias or pipelineId", "missing")
    return _update(service, wanted, body)


@router.put("/pipelines/{alias}", response_model=PipelineWithData, responses=refused(400, 404), dependencies=[Editor])
def update_pipeline_by_alias(service: ServiceHere, alias: str, body: Annotated[UpdateBody, Body()]) -> Any:
    """The older form."""
    return _update(service, alias, body)


@router.delete("/pipelines", status_code=204, responses=refused(400, 404), dependencies=[Editor])
def delete_pipeline(service: ServiceHere, selector: SelectorHere) -> Response:
    return _delete(service, selector.find(service.catalog()))


@router.delete("/pipelines/{alias}", status_code=204, responses=refused(400, 404), dependencies=[Editor])
def delete_pipeline_by_alias(service: ServiceHere, alias: str) -> Response:
    """The older form."""
    return _delete(service, _find(service.catalog(), alias))


@router.post("/pipelines/import", status_code=201, response_model=PipelineWithData, responses=refused(400, 404, 409),
             dependencies=[Editor])  # fmt: skip
def import_pipeline(service: ServiceHere, body: Annotated[ImportBody, Body()]) -> Any:
    """Take a file of this checkout for a pipeline of a repository. No other repository can be reached from here."""
    row = {
        "storage": body.storage_provider, "repository": body.repository, "default_branch": body.default_branch,
        "working_branch": body.working_branch, "yaml_path": body.yaml_path,
    }  # fmt: skip
    catalog = service.catalog()
    path = service.root / body.yaml_path
    inside = path.resolve().is_relative_to(service.root.resolve()) and path.is_file()
    if not inside:
        raise ApiError(404, f"There is no file {body.yaml_path} in this checkout")
    entry = next((e for e in catalog.entries() if e.path is not None and e.path.resolve() == path.resolve()), None)
    if entry is None:
        text = path.read_text(encoding="utf-8", errors="replace")
        alias = body.alias or "".join(c if c.isalnum() else "_" for c in path.stem)
        if catalog.find(alias) is not None:
            raise ApiError(409, f"There is a pipeline with the alias {alias} already")
        _checked_text(_parsed(text), ["body", "yamlPath"])
        now = timestamp(datetime.now(UTC))
        columns = {
            "id": Entry(alias, None).id, "alias": alias, "has_alias": 1, "name": str(_parsed(text).get("name")), "paused": 0,
            "latest_version": 1, "published_version": 1, "created_at": now, "updated_at": now, "definition": text,
        }  # fmt: skip
        stored.put_pipeline(service.store.database, row | columns)
        return _with_data(service, alias)
    _loaded(entry)
    if body.alias not in (None, entry.alias):
        raise ApiError(400, f"{body.yaml_path} has the alias {entry.alias} here: that of a file is its name")
    _keep(service, entry, {**row, "storage": stored.FILE})
    return _with_data(service, entry.alias)


@router.patch(
    "/pipelines/storage-settings", response_model=PipelineWithData, responses=refused(400, 404), dependencies=[Editor]
)
def change_storage(service: ServiceHere, selector: SelectorHere, body: Annotated[StorageBody, Body()]) -> Any:
    """From here to a repository: the file must be in this checkout, which then is what runs."""
    entry = selector.find(service.catalog())
    if not entry.is_stored:
        raise ApiError(400, f"{entry.alias} is a file already")
    path = service.root / body.path
    if not path.resolve().is_relative_to(service.root.resolve()) or not path.is_file():
        raise ApiError(400, f"There is no file {body.path} in this checkout: commit it first")
    stored.change_pipeline(
        service.store.database, entry.id, storage=body.storage_provider, repository=body.repository,
        default_branch=body.default_branch, working_branch=body.working_branch, yaml_path=body.path,
    )  # fmt: skip
    return _with_data(service, entry.alias)


@router.patch("/pipelines/{pipeline_id_or_alias}/pause", response_model=Pipeline, responses=refused(404))
def pause_pipeline(service: ServiceHere, pipeline_id_or_alias: str, body: Annotated[PauseBody, Body()]) -> Any:
    """A paused pipeline starts no runs, however it is asked. The path is our guess: the platform's is not published."""
    entry = _find(service.catalog(), pipeline_id_or_alias)
    if entry.row is None:
        _keep(service, entry, {"storage": stored.FILE})
    stored.change_pipeline(service.store.database, entry.id, paused=int(body.paused))
    service.wake()
    return _row(
        _find(service.catalog(), entry.alias),
        listing.newest_runs(service.store.database, [entry.alias]).get(entry.alias),
    )


def _update(service: Service, wanted: str, body: UpdateBody) -> dict[str, Any]:
    entry = _find(service.catalog(), wanted)
    if not entry.is_stored or entry.row is None or entry.row["storage"] != "ORCHESTRA":
        raise ApiError(400, "Only orchestra-backed pipelines can be updated via this endpoint.")
    text = _checked_text(body.data, ["body", "data"])
    stored.add_version(service.store.database, entry.id, str(body.data.get("name")), text, body.published, body.message)
    return _with_data(service, entry.alias)


def _delete(service: Service, entry: Entry) -> Response:
    if not entry.is_stored:
        raise ApiError(400, f"{entry.alias} is a file: delete {entry.path and entry.path.relative_to(service.root)}")
    stored.delete_pipeline(service.store.database, entry.id)
    return Response(status_code=204)


def _keep(service: Service, entry: Entry, columns: Mapping[str, Any]) -> None:
    """A row for a file."""
    now = timestamp(datetime.now(UTC))
    row = {
        "id": entry.id, "alias": entry.alias, "has_alias": 1, "name": entry.name, "paused": 0, "created_at": entry.created_at,
        "updated_at": now,
    } | dict(columns)  # fmt: skip
    if not stored.put_pipeline(service.store.database, row):
        stored.change_pipeline(service.store.database, entry.id, **columns)


def _find(catalog: Catalog, id_or_alias: str) -> Entry:
    entry = catalog.find(id_or_alias)
    if entry is None:
        raise ApiError(404, "Pipeline not found")
    return entry


def _loaded(entry: Entry) -> None:
    if entry.error is not None:
        raise ApiError(400, f"{entry.alias} is not valid: {_first(entry.error)}")


def _text(service: Service, selector: Selector, version: int | None) -> str:
    catalog = service.catalog()
    entry = selector.find(catalog)
    try:
        return catalog.loaded(entry, version).text
    except InvalidPipeline as e:
        raise ApiError(400, f"{entry.alias} is not valid: {_first(e)}") from e


def _first(error: RehearseError) -> str:
    return "; ".join(map(str, error.problems[:3])) if isinstance(error, InvalidPipeline) else str(error)


def _checked_text(value: Any, loc: list[str | int]) -> str:
    """The YAML of a definition. Raises ApiError 422 with every problem, at its place below `loc`."""
    if not isinstance(value, dict):
        raise invalid(loc, "Input should be a valid dictionary", "dict_type")
    text = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1000)
    document = parse_document(text, "pipeline.yml")
    _, problems = check(document)
    wrong = [problem for problem in problems if problem.severity == "error"]
    if wrong:
        found = [
            {
                "loc": [*loc, *_written(value, problem.loc)],
                "msg": _message(problem),
                "type": problem.type or problem.code,
            }
            for problem in wrong
        ]
        raise ApiError(422, found)
    return text


def _message(problem: Any) -> str:
    return str(problem.message if not problem.hint else f"{problem.message}: {problem.hint}")


def _written(value: Any, loc: Iterable[str | int]) -> list[str | int]:
    """A place with the keys as they were sent: the model's are in snake_case."""
    found: list[str | int] = []
    for part in loc:
        if isinstance(value, dict) and isinstance(part, str) and part not in value:
            first, *rest = part.split("_")
            camel = first + "".join(word.title() for word in rest)
            part = camel if camel in value else part
        found.append(part)
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            value = None
    return found


def _parsed(text: str) -> dict[str, Any]:
    value = parse_document(text, "pipeline.yml").value
    return value if isinstance(value, dict) else {}


def _with_data(service: Service, alias: str) -> dict[str, Any]:
    entry = _find(service.catalog(), alias)
    text = entry.row["definition"] if entry.is_stored and entry.row else entry.loaded.text if entry.loaded else ""
    latest = entry.row["latest_version"] if entry.row else None
    return _row(entry, listing.newest_runs(service.store.database, [alias]).get(alias)) | {
        "data": canonical_form(text) or {}, "latestFileSha": None, "newCommitSha": None, "currentVersionNumber": latest,
    }  # fmt: skip


def _row(entry: Entry, newest: Row | None) -> dict[str, Any]:
    row, run = entry.row or {}, newest or {}
    found = canonical_form(entry.loaded.text) or {} if entry.loaded else {}
    groups = entry.loaded.pipeline.groups().values() if entry.loaded else ()
    storage = row.get("storage")
    return {
        "id": entry.id, "name": entry.name, "numTasks": sum(len(group.tasks) for group in groups),
        "yamlPath": row.get("yaml_path") or (f"orchestra/{entry.path.name}" if entry.path else ""),
        "createdAt": moment(entry.created_at), "updatedAt": moment(entry.updated_at), "paused": entry.paused,
        # These are JSON in a text, on the platform, too.
        "triggerEvents": json.dumps(found.get("triggerEvents") or []),
        "webhook": json.dumps(found.get("webhook") or {"enabled": False}),
        "schedule": json.dumps(found.get("schedule") or []), "sensors": json.dumps(found.get("sensors") or {}),
        "inputs": found.get("inputs"), "productId": None, "productName": None,
        "latestVersionNumber": row.get("latest_version"), "publishedVersionNumber": row.get("published_version"),
        "storageProvider": "GITHUB" if storage in (None, stored.FILE) else storage, "repository": row.get("repository"),
        "defaultBranch": row.get("default_branch"), "alias": entry.alias if row.get("has_alias", 1) else None,
        "latestRunId": run.get("id"), "latestRunStatus": run.get("status"), "latestRunMessage": run.get("message"),
        "latestRunCreatedAt": moment(run.get("created_at")), "latestRunStartedAt": moment(run.get("started_at")),
        "latestRunCompletedAt": moment(run.get("ended_at")),
    }  # fmt: skip
