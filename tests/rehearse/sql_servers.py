"""The parts of BigQuery's REST API and of ClickHouse's HTTP interface that their clients use for queries, over DuckDB.

Each takes SQL in its warehouse's dialect. `Servers` counts what it was asked, and can hold a query until it is cancelled.
"""

from __future__ import annotations

import json
import struct
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb

from rehearse.jobs.sql_dialects import translate


class Warehouse:
    """`asked`: (method, path, query or JSON body). A statement with the word `slowly` runs until it is cancelled."""

    def __init__(self, dialect: str):
        self.dialect = dialect
        self.database = duckdb.connect()
        self.lock = threading.Lock()
        self.asked: list[tuple[str, str, Any]] = []
        self.cancelled = threading.Event()

    def run(self, sql: str) -> tuple[list[str], list[str], list[tuple[Any, ...]], int | None, str]:
        """(names, DuckDB types, rows, changed rows, kind of the last statement). Raises duckdb.Error."""
        if "slowly" in sql:
            self.cancelled.wait(30)
            raise duckdb.InterruptException("cancelled")
        with self.lock:
            cursor = self.database.cursor()
            kind = ""
            for statement in translate(sql, self.dialect, "duckdb", [], ["main"]):
                assert statement.sql is not None
                kind = statement.sql.split()[0].upper()
                cursor.execute(statement.sql)
            names = [column[0] for column in cursor.description or ()]
            types = [str(column[1]) for column in cursor.description or ()]
            rows = cursor.fetchall() if names else []
        changed = rows[0][0] if kind in ("INSERT", "UPDATE", "DELETE", "MERGE") and rows else None
        return names, types, rows, changed, kind


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    warehouse: Warehouse

    def log_message(self, format: str, *arguments: Any) -> None:
        pass

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self, content: bytes, kind: str = "application/json", code: int = 200, **headers: str) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


class BigQueryHandler(Handler):
    """jobs.insert, jobs.get, jobs.getQueryResults, jobs.cancel. A query is run when it is inserted."""

    jobs: dict[str, dict[str, Any]]
    _TYPES = {"INTEGER": "INTEGER", "BIGINT": "INTEGER", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "DATE": "DATE",
              "TIMESTAMP": "DATETIME"}  # fmt: skip

    def do_POST(self) -> None:
        import gzip

        raw = self.body()
        if self.headers.get("Content-Encoding") == "gzip":
            raw = gzip.decompress(raw)
        path = urlsplit(self.path).path
        content = json.loads(raw or b"{}")
        self.warehouse.asked.append(("POST", path, content))
        if path.endswith("/cancel"):
            self.warehouse.cancelled.set()
            return self.answer(json.dumps({"job": {}}).encode())
        return self.answer(_public(self._new_job(path.split("/")[4], content)))

    def _new_job(self, project: str, content: dict[str, Any]) -> dict[str, Any]:
        settings = content["configuration"]["query"]
        name = content.get("jobReference", {}).get("jobId") or str(uuid.uuid4())
        location = content.get("jobReference", {}).get("location", "US")
        job: dict[str, Any] = {
            "kind": "bigquery#job", "id": name, "jobReference": {"projectId": project, "jobId": name, "location": location},
            "configuration": {"jobType": "QUERY", "query": settings}, "status": {"state": "RUNNING"},
            "statistics": {"query": {"statementType": "SELECT"}},
        }  # fmt: skip
        self.jobs[name] = job
        if "slowly" in settings["query"]:
            return job
        job["status"] = {"state": "DONE"}
        try:
            names, types, rows, changed, kind = self.warehouse.run(settings["query"])
        except Exception as e:
            error = {"reason": "invalidQuery", "message": str(e), "location": "query"}
            job["status"] |= {"errorResult": error, "errors": [error]}
            return job
        job["statistics"]["query"]["statementType"] = kind
        if changed is not None:
            job["statistics"]["query"]["numDmlAffectedRows"] = str(changed)
            names, types, rows = [], [], []
        elif kind != "SELECT":
            names, types, rows = [], [], []
        fields = [{"name": n, "type": self._type(t), "mode": "NULLABLE"} for n, t in zip(names, types, strict=True)]
        job["_rows"], job["_fields"] = rows, fields
        return job

    def _type(self, kind: str) -> str:
        return "NUMERIC" if kind.startswith("DECIMAL") else self._TYPES.get(kind, "STRING")

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        self.warehouse.asked.append(("GET", parts.path, parse_qs(parts.query)))
        job = self.jobs[parts.path.split("/")[-1]]
        if job["status"]["state"] == "RUNNING" and self.warehouse.cancelled.wait(1):
            error = {"reason": "stopped", "message": "Job execution was cancelled"}
            job["status"] = {"state": "DONE", "errorResult": error, "errors": [error]}
        if "/queries/" not in parts.path:
            return self.answer(_public(job))
        content: dict[str, Any] = {"jobReference": job["jobReference"], "jobComplete": job["status"]["state"] == "DONE"}
        if "errorResult" in job["status"]:
            error = job["status"]["errorResult"]
            content = {"error": {"code": 400, "message": error["message"], "errors": [error]}}
            return self.answer(json.dumps(content).encode(), code=400)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        size = min(int(query.get("maxResults", 600)), 600)
        rows = job.get("_rows", [])
        content |= {"schema": {"fields": job.get("_fields", [])}, "totalRows": str(len(rows))}
        if size:  # the client asks for no row at first, to wait for the end
            content["rows"] = [{"f": [{"v": _text(cell)} for cell in row]} for row in rows[start : start + size]]
        if start + size < len(rows) and size:
            content["pageToken"] = str(start + size)
        return self.answer(json.dumps(content).encode())


def _public(job: dict[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in job.items() if name[0] != "_"}).encode()


def _text(cell: Any) -> str | None:
    if cell is None:
        return None
    if isinstance(cell, bool):
        return str(cell).lower()
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)


class ClickHouseHandler(Handler):
    """Queries by POST; rows in the Native format, integers as Int64 and everything else as Nullable(String)."""

    def do_GET(self) -> None:
        self.answer(b"Ok.\n", "text/plain")

    def do_POST(self) -> None:
        query = {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}
        sql = self.body().decode() or query.get("query", "")
        self.warehouse.asked.append(("POST", sql, query))
        sql = sql.rstrip().removesuffix("FORMAT Native").rstrip()
        headers = {"X_ClickHouse_Summary": "{}", "X_ClickHouse_Query_Id": query.get("query_id", "")}
        if sql.lower().startswith("kill query"):
            self.warehouse.cancelled.set()
            return self.answer(b"", "text/plain")
        if "version()" in sql:
            return self.answer(b"25.8.1.1\tUTC\n", "text/plain", **headers)
        if "system.settings" in sql:
            return self.answer(_native(["name", "value", "readonly"], []), "application/octet-stream", **headers)
        try:
            names, _, rows, _, kind = self.warehouse.run(sql)
        except Exception as e:
            return self.answer(
                f"Code: 62. DB::Exception: {e}".encode(), "text/plain", 500, X_ClickHouse_Exception_Code="62"
            )
        if kind != "SELECT":
            return self.answer(b"", "text/plain", **headers)
        blocks = b"".join(_native(names, rows[start : start + 700]) for start in range(0, max(len(rows), 1), 700))
        return self.answer(blocks, "application/octet-stream", **headers)


def _native(names: list[str], rows: list[tuple[Any, ...]]) -> bytes:
    """One block."""
    block = _number(len(names)) + _number(len(rows))
    for position, name in enumerate(names):
        cells = [row[position] for row in rows]
        if cells and all(isinstance(cell, int) for cell in cells):
            block += _string(name) + _string("Int64") + struct.pack(f"<{len(cells)}q", *cells)
        else:
            nulls = bytes(cell is None for cell in cells)
            texts = b"".join(_string("" if cell is None else str(cell)) for cell in cells)
            block += _string(name) + _string("Nullable(String)") + nulls + texts
    return block


def _number(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found += bytes([value & 0x7F | 0x80])
        value >>= 7
    return found + bytes([value])


def _string(text: str) -> bytes:
    return _number(len(text.encode())) + text.encode()


@contextmanager
def serving(kind: type[Handler], dialect: str) -> Iterator[tuple[Warehouse, int]]:
    """A warehouse and the port that it listens on, on 127.0.0.1."""
    warehouse = Warehouse(dialect)
    handler = type(kind.__name__, (kind,), {"warehouse": warehouse, "jobs": {}})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield warehouse, server.server_address[1]
        warehouse.cancelled.set()
        server.shutdown()
