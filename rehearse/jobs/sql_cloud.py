"""Snowflake and BigQuery through their own clients."""

from __future__ import annotations

import itertools
import logging
import time
from io import StringIO
from typing import Any

from rehearse.jobs.sql_clients import Cursors
from rehearse.jobs.sql_session import MAX_ROWS, Result, Session, Unreachable, last_only, patiently, scrub, speaking
from rehearse.jobs.sql_targets import Target


def connect(target: Target) -> Session:
    return Snowflake(target) if target["engine"] == "snowflake" else BigQuery(target)


class Snowflake(Cursors):
    """snowflake-connector-python, which splits the statements; each is committed by itself."""

    def __init__(self, target: Target):
        import snowflake.connector

        super().__init__(target)
        logging.getLogger("snowflake.connector").setLevel(logging.ERROR)
        options = dict(self.options)
        renamed = {"private_key_path": "private_key_file", "private_key_passphrase": "private_key_file_pwd"}
        given = {renamed.get(name, name): value for name, value in options.items() if name != "location"}
        if "port" in given:
            given["port"] = int(given["port"])
        if "token" in given:
            given.setdefault("authenticator", "PROGRAMMATIC_ACCESS_TOKEN")
        seconds = max(1, int(target["connect_seconds"]))
        self.connection = patiently(
            target,
            lambda: snowflake.connector.connect(
                **given, login_timeout=seconds, network_timeout=max(60, seconds), application="rehearse",
                session_parameters={"CLIENT_TELEMETRY_ENABLED": False},
            ),
            lambda e: False,  # it tries again by itself until login_timeout
        )  # fmt: skip
        # The connector ignores what it cannot use.
        self._check("schema", self.connection.schema)
        self._check("warehouse", self.connection.warehouse)

    def _check(self, name: str, now: str | None) -> None:
        """Say it when the session is not where it was asked to be, such as without rights on the warehouse."""
        wanted = self.options.get(name)
        if wanted and (now or "").lower() != str(wanted).strip('"').lower():
            print(f"the session has no {name} {wanted} (it does not exist, or the role may not use it)", flush=True)

    def run(self, sql: str) -> list[Result]:
        results: list[Result] = []
        statements = self.connection.execute_stream(StringIO(sql))
        while True:
            started = time.monotonic()
            with speaking(self.target):
                cursor = next(statements, None)
                if cursor is None:
                    return results
                results.append(self.result_of(cursor, started))
                last_only(results)

    def result_of(self, cursor: Any, started: float) -> Result:
        rows = [tuple(row) for row in cursor.fetchmany(MAX_ROWS)]
        count = cursor.rowcount
        if not isinstance(count, int) or count < len(rows):
            count = len(rows)
        names = tuple(column[0].lower() for column in cursor.description or ())
        return Result(rows, count, True, time.monotonic() - started, names)

    def cancel(self) -> None:
        self.connection.cursor().execute(
            f"select system$cancel_all_queries({int(self.connection.session_id)})", timeout=1
        )

    def defaults(self) -> tuple[str | None, str | None]:
        return self.connection.database, self.connection.schema


class BigQuery(Session):
    """google-cloud-bigquery. Several statements are one script, which BigQuery splits itself."""

    def __init__(self, target: Target):
        super().__init__(target)
        self.dialect = target["dialect"]
        self._job: Any = None
        self.client = patiently(target, self._open, lambda e: False)

    def _open(self) -> Any:
        from google.cloud import bigquery

        options = self.options
        address: dict[str, Any] = {"client_options": {"api_endpoint": options["url"]}} if "url" in options else {}
        return bigquery.Client(
            project=options["project"], credentials=self._credentials(), location=options.get("location"), **address
        )

    def _credentials(self) -> Any:
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        if str(self.options.get("enable_drive_scope", "")).lower() == "true":
            scopes.append("https://www.googleapis.com/auth/drive")
        if "credentials_file" in self.options:
            from google.oauth2 import service_account

            read: Any = service_account.Credentials.from_service_account_file  # it has no types
            return read(self.options["credentials_file"], scopes=scopes)
        if "url" in self.options:
            from google.auth.credentials import AnonymousCredentials

            return AnonymousCredentials()  # type: ignore[no-untyped-call]
        import google.auth

        return google.auth.default(scopes=scopes)[0]

    def run(self, sql: str) -> list[Result]:
        from google.api_core.exceptions import GoogleAPICallError, RetryError
        from google.cloud import bigquery
        from google.cloud.bigquery import DEFAULT_RETRY

        started = time.monotonic()
        settings = bigquery.QueryJobConfig()
        schema = self.options.get("schema")
        if schema:
            project = self.options.get("database") or self.options["project"]
            settings.default_dataset = bigquery.DatasetReference(project, schema)
        begin = DEFAULT_RETRY.with_timeout(self.target["connect_seconds"])
        try:
            self._job = self.client.query(sql, job_config=settings, retry=begin, job_retry=None, timeout=60)
            rows = self._job.result(retry=DEFAULT_RETRY.with_timeout(60), job_retry=None)
        except GoogleAPICallError:
            with speaking(self.target):
                raise
        except (RetryError, OSError) as e:
            raise Unreachable(f"cannot reach {self.target['where']}: {scrub(self.target, str(e))}") from None
        with speaking(self.target):
            return [self._result(rows, started)]

    def _result(self, rows: Any, started: float) -> Result:
        if not getattr(rows, "schema", None):
            return Result(count=self._job.num_dml_affected_rows, seconds=time.monotonic() - started)
        kept = [tuple(row.values()) for row in itertools.islice(rows, MAX_ROWS)]
        count = rows.total_rows if rows.total_rows is not None else len(kept)
        return Result(kept, count, True, time.monotonic() - started, tuple(field.name.lower() for field in rows.schema))

    def cancel(self) -> None:
        if self._job is not None:
            self._job.cancel(timeout=1)

    def close(self) -> None:
        self.client.close()

    def defaults(self) -> tuple[str | None, str | None]:
        return self.options.get("database") or self.options["project"], self.options.get("schema")
