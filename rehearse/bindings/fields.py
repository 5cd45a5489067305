"""What may stand in a connection's table: the fields of each integration, which of them are secret, and their types.

Source: section 7.3 of the language reference, and what the clients of `jobs` read. A secret field must be `${NAME}`, and its
value is masked wherever we write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rehearse.bindings import secrets
from rehearse.bindings.places import Places
from rehearse.errors import BindingError
from rehearse.language.integrations import JOBS_BY_INTEGRATION
from rehearse.language.words import did_you_mean
from rehearse.planning.secrets import is_secret_name, parts_to_hide

MODES = ("local", "remote", "recorded", "stub")
STATUSES = ("SUCCEEDED", "WARNING", "FAILED", "CANCELLED")
STUB = ("status", "outputs", "message", "seconds", "failures")
"""How a stub ends: of the connection, of its `jobs.JOB`, or of its `tasks.TASK`, which win in this order."""
COMMON = (
    "integration", "mode", "default", "env", "env_file", "hint", "paths", "links", "record", "allow_private", "fields",
    "jobs", "tasks", *STUB,
)  # fmt: skip
MORE = "fields"
"""Fields that we do not know, for tasks that the connection is linked to. What has a telling name is a secret."""

# `*` marks a secret. SQL: `path` and `url` bind it to DuckDB or PostgreSQL, whatever it is.
_SQL = "path url schema"
_SERVER = f"{_SQL} host port user password* database"
_FIELDS = f"""
HTTP               base_url auth_type user password* token* header_name header_value*
SFTP               host port auth_type user password* private_key* private_key_passphrase* host_key known_hosts
LINUX_SSH          host port auth_type user password* private_key* private_key_passphrase* host_key known_hosts
WINDOWS_SSH        host port auth_type user password* private_key* private_key_passphrase* host_key known_hosts
AWS_S3             endpoint_url region access_key_id* secret_access_key* session_token*
AZURE_DATA_LAKE_STORAGE  url account_key* sas_token*
AWS_SES            endpoint_url region access_key_id* secret_access_key* session_token* host port user password* security sender
EMAIL              endpoint_url region access_key_id* secret_access_key* session_token* host port user password* security sender
PAGER_DUTY         token* base_url
DATADOG            token* base_url
WEBHOOK            base_url auth_type user password* token* header_name header_value*
SLACK              url token* base_url
MICROSOFT_TEAMS    url
SNOWFLAKE          {_SERVER} account token* private_key* private_key_passphrase* authentication role warehouse protocol
POSTGRES           {_SERVER}
AWS_REDSHIFT       {_SERVER}
MYSQL              {_SERVER} secure
CLICKHOUSE         {_SERVER} secure
SQL_SERVER         {_SERVER} authentication encrypt trust_certificate
FABRIC_SYNAPSE     {_SERVER} authentication encrypt trust_certificate
AZURE_SYNAPSE_ANALYTICS  {_SERVER} authentication encrypt trust_certificate
GCP_BIG_QUERY      {_SQL} project dataset location credentials_json* api_endpoint enable_drive_scope
DATABRICKS         {_SQL} host http_path token* warehouse_id catalog
MOTHERDUCK         {_SQL} token* database
DUCKDB             {_SQL}
PYTHON
DBT_CORE           profiles profiles_dir
"""


def _read() -> dict[str, dict[str, bool]]:
    rows = (line.split() for line in _FIELDS.strip().splitlines())
    return {integration: {n.rstrip("*"): n.endswith("*") for n in names} for integration, *names in rows}


FIELDS: dict[str, dict[str, bool]] = _read()
"""Integration -> field -> whether it is secret."""
_ANY = {name: is_secret for fields in FIELDS.values() for name, is_secret in fields.items()}
SECRET = tuple(name for name, is_secret in _ANY.items() if is_secret)
# A path of a file may stand here instead of the text itself; this is how the text begins.
_TEXTS = {"private_key": "-----BEGIN", "credentials_json": "{"}
_SWITCHES = ("default", "allow_private", "record", "encrypt", "secure", "trust_certificate", "enable_drive_scope")
_LISTS = ("env", "paths", "links")
_TABLES = ("outputs", "jobs", "tasks", MORE)


def fields_of(integration: str) -> Mapping[str, bool]:
    """Field -> whether it is secret. What we have no client for may have all that others have."""
    return FIELDS.get(integration, _ANY)


def is_secret_field(integration: str, name: str) -> bool:
    return fields_of(integration).get(name, False)


def is_path(name: str, value: str) -> bool:
    """Whether a key or credentials are given as the path of a file, instead of as the text itself."""
    return name in _TEXTS and not value.lstrip().startswith(_TEXTS[name])


def check_entry(places: Places, connection_id: str, entry: Mapping[str, Any]) -> None:
    """Raises BindingError for the first thing in a connection's table that cannot be right."""
    keys = ("connections", connection_id)
    where = f"[connections.{connection_id}]"
    integration = entry.get("integration")
    if integration is None:
        raise BindingError(
            f"{places.at(*keys)}: {where}: 'integration' is missing", 'for example: integration = "POSTGRES"'
        )
    _check(f"{places.at(*keys, 'integration')}: {where}", "integration", integration)
    if integration not in JOBS_BY_INTEGRATION:
        hint = did_you_mean(integration, JOBS_BY_INTEGRATION) or "rehearse explain lists them"
        raise BindingError(f"{places.at(*keys, 'integration')}: {where}: unknown integration '{integration}'", hint)
    known = fields_of(integration)
    for key, value in entry.items():
        place = f"{places.at(*keys, key)}: {where}"
        if key not in COMMON and key not in known:
            raise BindingError(f"{place}: unknown key '{key}'", _hint(key, integration, known))
        _check(place, key, value)
        if isinstance(value, str):
            _refuse_secret(place, key, value, known.get(key, False))
    for key, value in entry.get(MORE, {}).items():
        _refuse_secret(f"{places.at(*keys, MORE, key)}: {where} {MORE}", key, value, is_secret_name(key))
    for table, names in (("jobs", JOBS_BY_INTEGRATION[integration]), ("tasks", None)):
        for name, ending in entry.get(table, {}).items():
            place = f"{places.at(*keys, table, name)}: [connections.{connection_id}.{table}.{name}]"
            if names is not None and name not in names:
                hint = did_you_mean(name, names) or f"its jobs: {', '.join(names) or 'none'}"
                raise BindingError(f"{place}: {integration} has no such job", hint)
            if not isinstance(ending, dict):
                raise BindingError(f"{place} must be a table", f"with some of {', '.join(STUB)}")
            for key, value in ending.items():
                inside = f"{places.at(*keys, table, name, key)}: [connections.{connection_id}.{table}.{name}]"
                check_key(inside, key, STUB)
                _check(inside, key, value)
    if (mode := entry.get("mode", "local")) not in MODES:
        raise BindingError(
            f"{places.at(*keys, 'mode')}: {where}: mode '{mode}' is not known", f"one of {', '.join(MODES)}"
        )


def check_key(where: str, key: str, known: Iterable[str]) -> None:
    """Raises BindingError for a key that is not known, with a suggestion."""
    names = list(known)
    if key not in names:
        raise BindingError(f"{where}: unknown key '{key}'", did_you_mean(key, names) or f"it has: {', '.join(names)}")


def _hint(key: str, integration: str, known: Mapping[str, bool]) -> str:
    near = did_you_mean(key, [*known, *COMMON])
    if integration not in FIELDS:
        more = f'what only linked tasks know stands in: fields = {{ {key} = "..." }}'
        return f"{near} {more}" if near else more
    return near or f"{integration} has: {', '.join(known) or 'no fields of its own'}"


def _check(where: str, key: str, value: Any) -> None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if key in _LISTS:
        fits, wanted = isinstance(value, list) and all(isinstance(v, str) for v in value), "a list of texts"
    elif key in _TABLES:
        fits, wanted = isinstance(value, dict), "a table"
    elif key in _SWITCHES:
        fits, wanted = isinstance(value, bool), "true or false"
    elif key == "seconds":
        fits, wanted = is_number and value >= 0, "a number from 0 on"
    elif key == "failures":
        fits, wanted = is_number and isinstance(value, int) and value >= 0, "a whole number from 0 on"
    elif key == "port":
        fits = isinstance(value, (int, str)) and not isinstance(value, bool)
        wanted = "a number, or the name of a variable with one"
    elif key == "status":
        fits, wanted = value in STATUSES, f"one of {', '.join(STATUSES)}"
    else:
        fits, wanted = isinstance(value, str), "text"
    if not fits:
        shown = type(value).__name__ if key in SECRET else repr(value)  # a password of digits without quotes is no text
        raise BindingError(f"{where}: '{key}' must be {wanted}, not {shown}")


def _refuse_secret(where: str, key: str, value: Any, is_secret: bool) -> None:
    """What is secret must not stand in the file: neither as a field, nor inside a URL. The message does not repeat it."""
    hint = 'write "${NAME}" and keep the value in the environment, .env.local or the keyring'
    if is_secret:
        if not isinstance(value, str) or not (is_path(key, value) or secrets.is_reference(value)):
            raise BindingError(f"{where}: '{key}' is a secret, which must not stand in the file", hint)
    elif isinstance(value, str) and parts_to_hide(secrets.written(value)):
        raise BindingError(f"{where}: '{key}' holds a secret, which must not stand in the file", hint)
