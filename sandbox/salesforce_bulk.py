"""Bulk API 2.0 of the Salesforce stand-in, for queries: a job, its state, its rows as CSV by pages, and its end."""

from __future__ import annotations

import csv
import io
import json
import secrets
from array import array
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.soql import Query, SoqlError

if TYPE_CHECKING:
    from sandbox.salesforce import Salesforce

MAX_JOBS, MAX_RECORDS = 100, 50_000
_OPERATIONS = ("query", "queryAll")


class Bulk:
    """Jobs live in memory. A job is InProgress when it is first looked at, as they are."""

    def __init__(self, api: Salesforce, refuse: Callable[[int, str, str], Response]):
        self._api, self._refuse = api, refuse
        self._jobs: OrderedDict[str, tuple[dict[str, Any], Query, array[int]]] = OrderedDict()

    def routes(self, root: str) -> list[Route]:
        jobs = f"{root}/jobs/query"
        return [
            Route(jobs, self.create, methods=["POST"]), Route(f"{jobs}/{{job}}", self.look, methods=["GET"]),
            Route(f"{jobs}/{{job}}", self.delete, methods=["DELETE"]), Route(f"{jobs}/{{job}}/results", self.results),
        ]  # fmt: skip

    async def create(self, request: Request) -> Response:
        if denied := self._api.denied(request):
            return denied
        try:
            asked = json.loads(await request.body())
            operation, text = str(asked["operation"]), str(asked["query"])
        except (ValueError, KeyError, TypeError):
            return self._refuse(400, "API_ERROR", "operation and query are needed")
        if operation not in _OPERATIONS:
            return self._refuse(400, "API_ERROR", f"operation {operation} is none of {', '.join(_OPERATIONS)}")
        try:
            query, numbers = self._api.matching(text, deleted=operation == "queryAll")
        except SoqlError as error:
            return self._refuse(400, error.code, str(error))
        if not query.fields:
            return self._refuse(400, "API_ERROR", "Aggregate queries are not supported by Bulk API 2.0")
        name = "7505g" + secrets.token_hex(7)[:13].upper()
        job = {
            "id": name, "operation": operation, "object": query.object, "state": "UploadComplete", "concurrencyMode": "Parallel",
            "contentType": "CSV", "apiVersion": 67.0, "lineEnding": "LF", "columnDelimiter": "COMMA",
        }  # fmt: skip
        self._jobs[name] = (job, query, numbers)
        while len(self._jobs) > MAX_JOBS:
            self._jobs.popitem(last=False)
        return JSONResponse(job)

    def look(self, request: Request) -> Response:
        if denied := self._api.denied(request):
            return denied
        found = self._jobs.get(request.path_params["job"])
        if found is None:
            return self._refuse(404, "NOT_FOUND", "The requested resource does not exist")
        job, _, numbers = found
        job["state"] = "InProgress" if job["state"] == "UploadComplete" else "JobComplete"
        return JSONResponse(job | {"numberRecordsProcessed": len(numbers), "retries": 0, "totalProcessingTime": 1})

    def results(self, request: Request) -> Response:
        if denied := self._api.denied(request):
            return denied
        found = self._jobs.get(request.path_params["job"])
        if found is None or found[0]["state"] != "JobComplete":
            return self._refuse(404, "NOT_FOUND", "The job has no results yet, or does not exist")
        locator, most = (
            request.query_params.get("locator", ""),
            request.query_params.get("maxRecords", str(MAX_RECORDS)),
        )
        if (locator and not locator.isdecimal()) or not most.isdecimal() or not int(most):
            return self._refuse(400, "API_ERROR", "invalid locator or maxRecords")
        _, query, numbers = found
        start = int(locator or 0)
        end = start + min(int(most), MAX_RECORDS)
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(query.fields)
        for _, values in self._api.rows(query, numbers[start:end]):
            writer.writerow(
                "" if value is None else str(value).lower() if isinstance(value, bool) else value for value in values
            )
        headers = {
            "Sforce-Locator": str(end) if end < len(numbers) else "null",
            "Sforce-NumberOfRecords": str(len(numbers[start:end])),
        }
        return Response(text.getvalue(), media_type="text/csv", headers=headers)

    def delete(self, request: Request) -> Response:
        if denied := self._api.denied(request):
            return denied
        self._jobs.pop(request.path_params["job"], None)
        return Response(status_code=204)
