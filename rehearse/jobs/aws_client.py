"""Clients of AWS, or of a stand-in for it.

Connection: `region`; `access_key_id`, `secret_access_key` and `session_token`, else the AWS_* variables that its `env` or
`env_file` gives, else (remote only) what boto3 finds in ~/.aws; `endpoint_url` for a stand-in, needed when the mode is local.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from rehearse.bindings.config import Connection
from rehearse.errors import BindingError
from rehearse.jobs.calls import CallFailed, need_client
from rehearse.jobs.egress import Egress
from rehearse.jobs.http_request import checked_url

SECRET_FIELDS = ("access_key_id", "secret_access_key", "session_token")


def access(connection: Connection) -> tuple[dict[str, Any], Egress]:
    """What `client` needs to know, and where it may connect. Raises BindingError, and JobError without boto3."""
    need_client("boto3")
    endpoint = checked_url(connection, "endpoint_url") if connection.get("endpoint_url") else None
    if endpoint is None and connection.mode == "local":
        raise BindingError(
            f"connection '{connection.id}' is local and has no 'endpoint_url' of a stand-in",
            'for AWS itself: mode = "remote"',
        )
    fields = {name: connection.get(name) for name in (*SECRET_FIELDS, "region")}
    if bool(fields["access_key_id"]) != bool(fields["secret_access_key"]):
        raise BindingError(f"connection '{connection.id}' has only one of access_key_id and secret_access_key")
    host = urlsplit(endpoint).hostname if endpoint else None
    return fields | {"endpoint_url": endpoint, "is_local": connection.mode == "local"}, Egress.of(
        connection, host or ""
    )


def client(service: str, how: dict[str, Any], attempts: int = 3) -> Any:
    """A client of boto3, in the task's process. `attempts`: 1 for what must not be done twice."""
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"  # it is never reached; this saves the attempts
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    key, secret, token = (how[name] for name in SECRET_FIELDS)
    region = how["region"] or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if how["is_local"]:
        region = region or "us-east-1"
        if not key and "AWS_ACCESS_KEY_ID" not in os.environ:
            key = secret = "stand-in"  # and not the keys of ~/.aws
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        retries={"mode": "standard", "total_max_attempts": attempts},
        s3={"addressing_style": "path"} if how["endpoint_url"] else None,
    )
    return boto3.client(
        service, region_name=region, endpoint_url=how["endpoint_url"], aws_access_key_id=key, aws_secret_access_key=secret,
        aws_session_token=token, config=config,
    )  # fmt: skip


def answered(what: str, answer: Mapping[str, Any], field: str) -> None:
    """Raises CallFailed for a success without the field that S3 always sends: a proxy's page, which boto3 takes for nothing."""
    if field not in answer:
        raise CallFailed(f"{what}: the answer has no {field}: that was not S3", "look at endpoint_url and at proxies")


def failure(what: str, error: Exception) -> CallFailed:
    """What the service said."""
    from botocore.exceptions import ClientError, NoCredentialsError  # type: ignore[import-untyped]

    if isinstance(error, ClientError):
        said = error.response.get("Error", {})
        return CallFailed(f"{what}: {said.get('Code')}: {said.get('Message')}")
    if isinstance(error, NoCredentialsError):
        return CallFailed(
            f"{what}: there are no credentials", "give the connection access_key_id and secret_access_key"
        )
    return CallFailed(f"{what}: {type(error).__name__}: {' '.join(str(error).split())}")
