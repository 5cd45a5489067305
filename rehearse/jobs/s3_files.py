"""AWS_S3_GET_FILE and AWS_S3_PUT_FILE (section 9.11). Connection: see `aws_client`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from rehearse.bindings.config import Connection
from rehearse.jobs.aws_client import SECRET_FIELDS, access, answered, client, failure
from rehearse.jobs.base import Attempt, JobError, Launch
from rehearse.jobs.calls import (
    OUTPUT_LIMIT,
    CallFailed,
    Outcome,
    file_written,
    first,
    fitting,
    launch,
    no_nul,
    required,
)
from rehearse.jobs.file_contents import refuse_size, to_bytes, to_text

_ENCODINGS = ("utf-8", "latin-1", "utf-16", "base64")


def prepare(job: str, parameters: Mapping[str, Any], connection: Connection | None, attempt: Attempt) -> Launch:
    connection = required(connection, job)
    how, egress = access(connection)
    request: dict[str, Any] = {
        "aws": how,
        "put": job == "AWS_S3_PUT_FILE",
        "set_outputs": bool(parameters.get("set_outputs")),
    }
    for name in ("bucket_name", "object_key"):
        request[name] = no_nul(name, parameters.get(name) or "")
        if not request[name]:
            raise JobError(f"{job} needs the parameter '{name}'")
    request["encoding"] = parameters.get("file_encoding") or "utf-8"
    if request["encoding"] not in _ENCODINGS:
        raise JobError(f"file_encoding {request['encoding']!r} is none of {', '.join(_ENCODINGS)}")
    if request["put"]:
        contents = first(parameters, "contents", "content")
        if contents is None:
            raise JobError(f"{job} needs the parameter 'contents'")
        to_bytes(contents, request["encoding"], "contents")
        request["contents"] = contents
    return launch("s3_files", request, egress, connection, attempt, *(how[name] for name in SECRET_FIELDS))


def perform(request: dict[str, Any]) -> Outcome:
    place = {"Bucket": request["bucket_name"], "Key": request["object_key"]}
    name = f"{place['Bucket']}/{place['Key']}"
    started = datetime.now(UTC)
    try:
        s3 = client("s3", request["aws"])
        if request["put"]:
            data = to_bytes(request["contents"], request["encoding"], "contents")
            answered(f"s3://{name}", s3.put_object(**place, Body=data), "ETag")
            message = f"{len(data):,} bytes written to s3://{name}"
            return Outcome(message=message, operations=[file_written("AWS_S3", name, started)])
        found = s3.get_object(**place)
        answered(f"s3://{name}", found, "ETag")
        size = int(found["ContentLength"])
        if size > OUTPUT_LIMIT and not request["set_outputs"]:
            return Outcome(message=f"s3://{name} has {size:,} bytes; not read, because set_outputs is not true")
        refuse_size(f"s3://{name}", size)
        data = found["Body"].read()
    except CallFailed:
        raise
    except Exception as e:  # of botocore, urllib3 and sockets
        raise failure(f"s3://{name}", e) from e
    text = to_text(data, request["encoding"], f"s3://{name}", "file_encoding: base64, or latin-1")
    outputs = fitting("content", text, f"s3://{name}") if request["set_outputs"] else {}
    return Outcome(message=f"{size:,} bytes read from s3://{name}", outputs=outputs)
