"""Operations out of dlt's load packages, as dlt 1.x keeps them:

<pipelines>[/<folder>]/<pipeline>/state.json                             dataset and destination
                                 /load/loaded/<load id>/schema.json      tables and the resources they come from
                                                       /load_package_state.json   what was loaded when
                                                       /completed_jobs, failed_jobs   the loaded files
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rehearse.jobs.lineage import ingestion

_TYPE_MARKS = "".join(map(chr, range(0xF000, 0xF100)))
COUNTED_BYTES = 200_000_000
"""Files of a table that are larger in sum are not read for their number of rows; Parquet files have it in their footer."""


def operations_of_dlt(pipelines: Path, started: str | None = None, ended: str | None = None) -> list[dict[str, Any]]:
    """An INGESTION for each table of each package below `pipelines`; dlt's own tables and nested ones are left out.

    `started`, `ended` (UTC texts): only packages that were completed between them.
    """
    first = _moment(started).timestamp() - 1 if started else 0.0
    last = _moment(ended).timestamp() + 1 if ended else float("inf")
    operations = []
    for pattern in ("*/load/loaded/*", "*/*/load/loaded/*"):
        for package in sorted(pipelines.glob(pattern)):
            state = _read(package / "load_package_state.json")
            if state and first <= (package / "load_package_state.json").stat().st_mtime <= last:
                operations += _operations(package, state)
    return operations


def _operations(package: Path, package_state: Mapping[str, Any]) -> list[dict[str, Any]]:
    pipeline = _read(package.parents[2] / "state.json")
    schema = _read(package / "schema.json")
    name, dataset = str(schema.get("name", package.parents[2].name)), pipeline.get("dataset_name")
    destination = str(pipeline.get("destination_type") or "unknown").rsplit(".", 1)[-1]
    if destination == "destination":  # a function of the script's own
        destination = str(pipeline.get("destination_name") or destination)
    metrics: dict[str, list[Mapping[str, Any]]] = {}
    for metric in (package_state.get("load_metrics") or {}).values():
        metrics.setdefault(str(metric.get("table_name")), []).append(metric)
    found = []
    for table, jobs in sorted(metrics.items()):
        description = (schema.get("tables") or {}).get(table, {})
        if table.startswith("_dlt") or description.get("parent"):
            continue
        failed = _files(package / "failed_jobs", table)
        starts = [moment for job in jobs if (moment := _text(job.get("started_at")))]
        ends = [moment for job in jobs if (moment := _text(job.get("finished_at")))]
        found.append(
            ingestion(
                name=f"{name}.{table}", table=f"{dataset}.{table}" if dataset else table, destination=destination,
                status="FAILED" if failed else "SUCCEEDED", rows=count_rows(_files(package / "completed_jobs", table)),
                message=_reason(failed) if failed else description.get("write_disposition"),
                started=min(starts, default=None), ended=max(ends, default=None),
                upstream=[f"{name}.{description.get('resource') or table}"],
            )
        )  # fmt: skip
    return found


def _files(folder: Path, table: str) -> list[Path]:
    """The jobs of a table: `<table>.<file id>.<retries>.<format>[.gz]`; the .sql of a merge and .exception are no data."""
    if not folder.is_dir():
        return []
    pattern = re.compile(rf"{re.escape(table)}\.[0-9a-f]+\.\d+\.(?!sql|reference|exception)[\w-]+(\.gz)?")
    return sorted(path for path in folder.iterdir() if pattern.fullmatch(path.name))


def count_rows(files: list[Path]) -> int | None:
    """Rows in the files of one table; None when that cannot be told, or only by reading very much."""
    if not files:
        return None  # dlt was told to delete them
    parquet = [path for path in files if path.suffix == ".parquet"]
    others = [path for path in files if path.suffix != ".parquet"]
    if sum(path.stat().st_size for path in others) > COUNTED_BYTES:
        return None
    counts = [_lines(path) for path in others]
    if parquet:
        counts.append(_in_footers(parquet))
    return None if None in counts else sum(count for count in counts if count is not None)


def _lines(path: Path) -> int | None:
    """jsonl has a row per line; insert_values too, after the two lines of an INSERT. Others cannot be told by their lines."""
    kind = path.name.removesuffix(".gz").rsplit(".", 1)[-1]
    if kind not in ("jsonl", "insert_values"):
        return None  # a field of a CSV file may hold line breaks
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if is_gzip else path.open("rb") as file:
        if kind == "jsonl":
            return sum(1 for line in file if line.strip())
        file.readline()
        if file.readline() != b"VALUES\n":
            return None  # rows as SELECT ... UNION ALL, whose texts may hold line breaks
        return sum(1 for line in file if line.startswith(b"("))


def _in_footers(files: list[Path]) -> int | None:
    try:
        import duckdb
    except ImportError:
        return None
    try:
        with duckdb.connect() as database:
            sql = "select sum(num_rows) from parquet_file_metadata(?)"
            row = database.execute(sql, [[str(path) for path in files]]).fetchone()
    except duckdb.Error:
        return None
    return int(row[0]) if row and row[0] is not None else None


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _text(value: Any) -> str | None:
    """A moment as UTC text. In its JSON, dlt puts a character of Unicode's private use before texts that are no plain texts."""
    try:
        return f"{_moment(str(value).lstrip(_TYPE_MARKS)).astimezone(UTC).replace(tzinfo=None).isoformat()}Z"
    except ValueError:
        return None


def _reason(failed: list[Path]) -> str:
    """The last line of what the destination said of the first job that failed."""
    for path in failed:
        said = _read_text(path.with_name(f"{path.name}.exception")).strip().splitlines()
        if said:
            return said[-1][:500]
    return "a load job failed"


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
