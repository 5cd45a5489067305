"""Snowflake and BigQuery through their own clients."""

from __future__ import annotations

import itertools
import json
import logging
import time
from io import StringIO
from pathlib import Path
from typing import Any

from rehearse.jobs.sql_clients import Cursors
from rehearse.jobs.sql_session import MAX_ROWS, Result, Session, Unreachable, last_only, patiently, scrub, speaking
from rehearse.jobs.sql_targets import Target, is_path


def connect(target: Target) -> Session:
    return Snowflake(target) if target["engine"] == "snowflake" else BigQuery(target)


class Snowflake(Cursors):
    """snowflake-connector-python, which splits the statements; each is committed by itself."""

    def __init__(self, target: Target):
        import snowflake.connector

        super().__init__(target)
        logging.getLogger("snowflake.connector").setLevel(logging.ERROR)
        names = ("account", "user", "password", "token", "role", "warehouse", "database", "schema", "host", "protocol")
        given = {name: self.options[name] for name in names if name in self.options} | self._key()
        if "port" in self.options:
            given["port"] = int(self.options["port"])
        if "authentication" in self.options:
            given["authenticator"] = self.options["authentication"]
        elif "token" in given:
            given["authenticator"] = "PROGRAMMATIC_ACCESS_TOKEN"
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

    def _key(self) -> dict[str, Any]:
        """The private key, which the connection gives as the path of a file, or as PEM text."""
        key, passphrase = self.options.get("private_key"), self.options.get("private_key_passphrase")
        if key is None:
            return {}
        if is_path("private_key", key):
            path = {"private_key_file": str(Path(key).expanduser())}
            return path | ({"private_key_file_pwd": passphrase} if passphrase else {})
        from cryptography.hazmat.primitives import serialization

        with speaking(self.target):
            read = serialization.load_pem_private_key(key.encode(), passphrase.encode() if passphrase else None)
        plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return {"private_key": read.private_bytes(serialization.Encoding.DER, *plain)}

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
        address: dict[str, Any] = (
            {"client_options": {"api_endpoint": options["api_endpoint"]}} if "api_endpoint" in options else {}
        )
        return bigquery.Client(
            project=options["project"], credentials=self._credentials(), location=options.get("location"), **address
        )

    def _credentials(self) -> Any:
        scopes = ["https://www.googleapis.com/auth/cloud-platform"]
        if str(self.options.get("enable_drive_scope", "")).lower() == "true":
            scopes.append("https://www.googleapis.com/auth/drive")
        given = self.options.get("credentials_json")
        if given is not None:
            from google.oauth2 import service_account

            key: Any = service_account.Credentials  # it has no types
            if is_path("credentials_json", given):
                return key.from_service_account_file(str(Path(given).expanduser()), scopes=scopes)
            return key.from_service_account_info(json.loads(given), scopes=scopes)
        if "api_endpoint" in self.options:
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
