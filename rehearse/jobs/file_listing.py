"""Files of S3, SFTP and Azure storage that have changed since a moment: what file sensors look for (section 8.2)."""

from __future__ import annotations

import contextlib
import fnmatch
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.aws_client import SECRET_FIELDS, answered, client, failure
from rehearse.jobs.aws_client import access as aws_access
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.calls import CallFailed, Outcome, launch, need_client, no_nul
from rehearse.jobs.egress import Egress
from rehearse.jobs.http_request import checked_url
from rehearse.jobs.ssh_client import access as ssh_access
from rehearse.jobs.ssh_client import connect

MOST = 1000
"""Objects under a prefix that are looked at."""


def prepare(
    sensor: str, parameters: Mapping[str, Any], connection: Connection, attempt: Attempt, since: datetime
) -> Launch:
    """`sensor`: AWS_S3_FILE, ADLS_FILE or SFTP_FILE. Raises JobError, BindingError."""
    request: dict[str, Any] = {"sensor": sensor, "since": since.astimezone(UTC).isoformat()}
    if sensor == "SFTP_FILE":
        how, egress, hidden = ssh_access(connection, attempt.root)
        request |= {
            "ssh": how, "folder": no_nul("folder_path", parameters.get("folder_path") or "."),
            "pattern": no_nul("file_pattern", parameters.get("file_pattern") or "*"),
        }  # fmt: skip
        return launch("file_listing", request, egress, connection, attempt, *hidden)
    container = parameters.get("bucket_name" if sensor == "AWS_S3_FILE" else "container_name")
    if not container:
        raise JobError(
            f"{sensor} needs the parameter '{'bucket_name' if sensor == 'AWS_S3_FILE' else 'container_name'}'"
        )
    request |= {"container": no_nul("name", container), "prefix": no_nul("prefix", parameters.get("prefix") or "")}
    if sensor == "AWS_S3_FILE":
        aws, egress = aws_access(connection)
        return launch(
            "file_listing", request | {"aws": aws}, egress, connection, attempt, *(aws[name] for name in SECRET_FIELDS)
        )
    need_client("azure-storage-blob", "azure.storage.blob")
    url = checked_url(connection, "url")
    key, token = connection.get("account_key"), connection.get("sas_token")
    egress = Egress.of(connection, url.split("//", 1)[1].split("/")[0].rsplit(":", 1)[0])
    return launch(
        "file_listing", request | {"url": url, "key": key, "sas": token}, egress, connection, attempt, key, token
    )


def perform(request: dict[str, Any]) -> Outcome:
    since = datetime.fromisoformat(request["since"])
    found = _FIND[request["sensor"]](request, since)
    return Outcome(message=f"{len(found)} file(s) since {since:%Y-%m-%d %H:%M:%SZ}", outputs={"files": found})


def _s3(request: dict[str, Any], since: datetime) -> list[str]:
    what = f"s3://{request['container']}/{request['prefix']}"
    try:
        page = client("s3", request["aws"]).list_objects_v2(
            Bucket=request["container"], Prefix=request["prefix"], MaxKeys=MOST
        )
    except Exception as e:  # of botocore, urllib3 and sockets
        raise failure(what, e) from e
    answered(what, page, "Name")
    return [item["Key"] for item in page.get("Contents", ()) if _is_new(item["LastModified"], since)]


def _azure(request: dict[str, Any], since: datetime) -> list[str]:
    from azure.core.exceptions import AzureError
    from azure.storage.blob import ContainerClient

    credential = request["sas"] or request["key"]
    # Its own first wait is 15 s: longer than who looks every minute has.
    patience: dict[str, Any] = {"retry_total": 2, "initial_backoff": 1, "increment_base": 2}
    container = ContainerClient(request["url"], request["container"], credential=credential, **patience)
    try:
        with container:
            pages = container.list_blobs(name_starts_with=request["prefix"] or None, results_per_page=MOST).by_page()
            page = list(next(pages, ()))
    except AzureError as e:
        said = " ".join(str(getattr(e, "message", e)).split())[:300]
        raise CallFailed(f"{request['container']}/{request['prefix']}: {said}") from e
    return [blob.name for blob in page if _is_new(blob.last_modified, since)]


def _sftp(request: dict[str, Any], since: datetime) -> list[str]:
    """Names in that folder, not below it."""
    import paramiko  # type: ignore[import-untyped]

    what = f"sftp://{request['ssh']['host']}/{request['folder'].lstrip('/')}"
    with contextlib.closing(connect(request["ssh"])) as ssh:
        try:
            with ssh.open_sftp() as sftp:
                entries = sftp.listdir_attr(request["folder"])
        except (OSError, EOFError, paramiko.SSHException) as e:
            raise CallFailed(f"{what}: {' '.join(str(e).split()) or type(e).__name__}") from e
    return sorted(
        entry.filename
        for entry in entries
        if stat.S_ISREG(entry.st_mode or 0)
        and fnmatch.fnmatchcase(entry.filename, request["pattern"])
        and _is_new(datetime.fromtimestamp(entry.st_mtime or 0, UTC), since)
    )


def _is_new(moment: datetime, since: datetime) -> bool:
    """These systems tell whole seconds."""
    return moment >= since.replace(microsecond=0)


_FIND = {"AWS_S3_FILE": _s3, "ADLS_FILE": _azure, "SFTP_FILE": _sftp}
