"""Files of a folder: CSV, JSON Lines, Parquet and Excel, here or in S3, Azure, Google Cloud Storage or over SFTP, by fsspec.

entity is a pattern of names below the source's `url`, such as `orders/*.csv`. Every row gets `_file`, `_row` (from 1) and
`_modified`, which is the cursor: an invocation reads the files that have changed since.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

import fsspec
import pyarrow as pa

from ingestion import settings
from ingestion.catalogue import Entry, SourceSettings
from ingestion.errors import ConfigError, SourceError, UsageError, did_you_mean, first_line, place
from ingestion.sources import Span, WholeRows
from ingestion.sources.rows import RowTables

FILE, ROW, MODIFIED = "_file", "_row", "_modified"
UTC_TIME = pa.timestamp("us", tz="UTC")
OPTIONS = ("format", "delimiter", "encoding", "sheet", "skip_rows")
CREDENTIALS = (
    "key", "secret", "token", "endpoint", "region", "account_name", "account_key", "username", "password", "private_key_file",
)  # fmt: skip
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")


class Files(WholeRows):
    def __init__(self, source: SourceSettings) -> None:
        self.config = settings.read(source.name, ("url",), CREDENTIALS)
        self.url = str(self.config["url"])
        self.name = source.name
        try:
            self.fs, root = _filesystem(self.url, self.config)
        except (ImportError, ValueError, OSError, pa.ArrowException) as error:
            raise ConfigError(
                f"{source.name} cannot be opened", where=place(self.url), why=first_line(error)
            ) from error
        self.root = root.rstrip("/")

    def batches(self, entry: Entry, span: Span) -> Iterator[pa.Table]:
        reader, options = _reader(entry)
        found = self._files(entry)
        if not found:
            raise SourceError(f"no file of {self.name} is like {entry.entity}", where=place(self.url),
                              hint="entity is a pattern below the url, such as orders/*.csv")  # fmt: skip
        for path, modified in found:
            if (span.lower is not None and modified < span.lower) or (
                span.upper is not None and modified >= span.upper
            ):
                continue
            number = 0
            try:
                for table in reader(self.fs, path, options):
                    yield _marked(table, path.removeprefix(self.root + "/"), number, modified, entry.columns)
                    number += len(table)
            except Exception as error:  # of Arrow, json, zipfile, openpyxl, and of the file system
                raise SourceError(
                    f"{PurePosixPath(path).name} cannot be read", where=f"{place(self.url)}: {path}, after row {number:,}",
                    why=first_line(error), hint="nothing was loaded; mend or remove the file and run again",
                ) from error  # fmt: skip

    def _files(self, entry: Entry) -> list[tuple[str, datetime]]:
        """The oldest first, so that a load that breaks off has not gone past anything."""
        try:
            self.fs.invalidate_cache()
            found = self.fs.glob(f"{self.root}/{entry.entity}", detail=True)
            files = [(path, self.fs.modified(path)) for path, info in found.items() if info.get("type") == "file"]
        except (OSError, ValueError, pa.ArrowException) as error:
            raise SourceError(f"{self.name} does not answer", where=place(self.url), why=first_line(error)) from error
        aware = [(path, at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)) for path, at in files]
        return sorted(aware, key=lambda found: (found[1], found[0]))


def _filesystem(url: str, config: dict[str, str | None]) -> tuple[Any, str]:
    """By Arrow's own clients for S3, Azure and Google, which need no further package; by fsspec's for everything else."""
    protocol, _, rest = url.partition("://") if "://" in url else ("file", "", url)
    if protocol in ("s3", "gs", "gcs", "abfs", "abfss", "az"):
        from fsspec.implementations.arrow import ArrowFSWrapper
        from pyarrow import fs as arrow

        if protocol == "s3":
            scheme, _, host = (config["endpoint"] or "").rpartition("://")
            given = {
                "access_key": config["key"], "secret_key": config["secret"], "session_token": config["token"],
                "region": config["region"], "endpoint_override": host, "scheme": scheme,
            }  # fmt: skip
            patience = {
                "retry_strategy": arrow.AwsStandardS3RetryStrategy(max_attempts=4), "connect_timeout": 10, "request_timeout": 60,
            }  # fmt: skip
            own: Any = arrow.S3FileSystem(**{name: value for name, value in given.items() if value}, **patience)
        elif protocol in ("gs", "gcs"):
            own = arrow.GcsFileSystem(access_token=config["token"]) if config["token"] else arrow.GcsFileSystem()
        else:
            own = arrow.AzureFileSystem(str(config["account_name"]), account_key=config["account_key"])
        return ArrowFSWrapper(own), rest
    options: dict[str, Any] = {}
    if protocol == "sftp":
        options = {
            "username": config["username"],
            "password": config["password"],
            "key_filename": config["private_key_file"],
        }
    found, root = fsspec.core.url_to_fs(url, **{name: value for name, value in options.items() if value})
    return found, root


def _reader(entry: Entry) -> tuple[Callable[..., Iterator[pa.Table]], dict[str, Any]]:
    for name in entry.read:
        if name not in OPTIONS:
            raise UsageError(f"{entry.source}.{entry.name} has an unknown option read.{name}.{did_you_mean(name, OPTIONS)}",
                             hint=f"known: {', '.join(OPTIONS)}")  # fmt: skip
    name = PurePosixPath(entry.entity).name
    for suffix in _COMPRESSED:
        name = name.removesuffix(suffix)
    kind = str(entry.read.get("format") or PurePosixPath(name).suffix.lstrip(".")).lower()
    if kind not in READERS:
        raise UsageError(
            f"of which format is {entry.entity}?",
            why=f"{kind!r} is none of {', '.join(READERS)}",
            hint="read: {format: csv}",
        )
    return READERS[kind], dict(entry.read)


def _csv(fs: Any, path: str, options: dict[str, Any]) -> Iterator[pa.Table]:
    """Every column as text: a type that is guessed from some rows is wrong for others. `types` in the catalogue says more."""
    from pyarrow import csv as arrow_csv

    encoding, delimiter = options.get("encoding", "utf8"), options.get("delimiter", ",")
    skipped = int(options.get("skip_rows", 0))
    with fs.open(path, "rb", compression="infer") as file:
        text = io.TextIOWrapper(file, encoding=encoding, newline="")
        for _ in range(skipped):
            text.readline()
        names = next(csv.reader(text, delimiter=delimiter), [])
        text.detach()
    if not names:
        return
    names[0] = names[0].removeprefix("\ufeff")
    with fs.open(path, "rb", compression="infer") as file:
        yield from (
            pa.Table.from_batches([batch])
            for batch in arrow_csv.open_csv(
                file,
                read_options=arrow_csv.ReadOptions(column_names=names, skip_rows=skipped + 1, encoding=encoding),
                parse_options=arrow_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
                convert_options=arrow_csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""],
                    quoted_strings_can_be_null=False,
                ),
            )
        )  # fmt: skip


def _json_lines(fs: Any, path: str, options: dict[str, Any]) -> Iterator[pa.Table]:
    import json

    with fs.open(path, "rb", compression="infer") as file:
        lines = (line for line in io.TextIOWrapper(file, encoding=options.get("encoding", "utf8")) if line.strip())
        yield from RowTables().tables(json.loads(line) for line in lines)


def _parquet(fs: Any, path: str, options: dict[str, Any]) -> Iterator[pa.Table]:
    from pyarrow import parquet

    with fs.open(path, "rb") as file:
        for batch in parquet.ParquetFile(file).iter_batches():
            yield pa.Table.from_batches([batch])


def _excel(fs: Any, path: str, options: dict[str, Any]) -> Iterator[pa.Table]:
    """A sheet whose first row has the names; the first sheet, unless `sheet` names one."""
    from openpyxl import load_workbook

    with fs.open(path, "rb") as file:
        book = load_workbook(io.BytesIO(file.read()), read_only=True, data_only=True)
        sheet = book[options["sheet"]] if options.get("sheet") else book.worksheets[0]
        rows = sheet.iter_rows(min_row=int(options.get("skip_rows", 0)) + 1, values_only=True)
        names = [None if name is None else str(name) for name in next(rows, ())]
        filled = (row for row in rows if any(value is not None for value in row))
        yield from RowTables().tables(
            {name: value for name, value in zip(names, row, strict=False) if name is not None} for row in filled
        )
        book.close()


READERS: dict[str, Callable[..., Iterator[pa.Table]]] = {
    "csv": _csv, "tsv": lambda fs, path, options: _csv(fs, path, {"delimiter": "\t", **options}), "jsonl": _json_lines,
    "ndjson": _json_lines, "parquet": _parquet, "xlsx": _excel,
}  # fmt: skip


def _marked(table: pa.Table, file: str, number: int, modified: datetime, columns: tuple[str, ...]) -> pa.Table:
    if columns:
        table = table.select([name for name in columns if name not in (FILE, ROW, MODIFIED)])
    rows = len(table)
    table = table.append_column(FILE, pa.repeat(pa.scalar(file), rows))
    table = table.append_column(ROW, pa.array(range(number + 1, number + rows + 1), pa.int64()))
    return table.append_column(MODIFIED, pa.repeat(pa.scalar(modified, UTC_TIME), rows))
