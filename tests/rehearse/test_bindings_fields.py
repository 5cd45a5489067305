"""What may stand in a connection's table, where a mistake is, and what of it is masked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearse.bindings.config import Connection, load_bindings
from rehearse.bindings.fields import COMMON, FIELDS, SECRET
from rehearse.bindings.places import Places
from rehearse.engine.masking import Masker, secret_values
from rehearse.errors import BindingError
from rehearse.language.integrations import INTEGRATIONS

WORD = "correct-horse-battery"


def bind(folder: Path, text: str) -> Connection:
    (folder / "rehearse.toml").write_text(f"# first line\n[connections.c]\n{text}\n")
    return load_bindings(folder).connections["c"]


def seen(connection: Connection, text: str) -> str:
    """What becomes of a text that a task of this connection prints."""
    return Masker(secret_values(connection.known_values())).text(text)


def test_the_table_of_fields() -> None:
    assert set(FIELDS) <= set(INTEGRATIONS)
    assert {"password", "token", "secret_access_key", "private_key", "credentials_json"} <= set(SECRET)
    for fields in FIELDS.values():
        assert set(fields).isdisjoint(COMMON)
    assert FIELDS["HTTP"] == {
        "base_url": False, "auth_type": False, "user": False, "password": True, "token": True, "header_name": False,
        "header_value": True,
    }  # fmt: skip


@pytest.mark.parametrize("integration", FIELDS)
def test_every_field_of_the_table_can_be_written_and_every_secret_is_masked(
    tmp_path: Path, integration: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All fields name variables with names that tell nothing."""
    switches = ("encrypt", "secure", "trust_certificate", "enable_drive_scope")
    lines = [f"{name} = " + ("true" if name in switches else f'"${{V_{n}}}"')
             for n, name in enumerate(FIELDS[integration])]  # fmt: skip
    for number, name in enumerate(FIELDS[integration]):
        monkeypatch.setenv(f"V_{number}", f"value-of-{number}-{'{' if name == 'credentials_json' else ''}")
        if name in ("private_key", "credentials_json"):
            monkeypatch.setenv(f"V_{number}", {"private_key": "-----BEGIN X", "credentials_json": "{"}[name] + WORD)
    connection = bind(tmp_path, f'integration = "{integration}"\n' + "\n".join(lines))
    for name, is_secret in FIELDS[integration].items():
        value = connection.get(name)
        assert value
        if name not in switches:
            assert (value not in seen(connection, f"it is {value}!")) is is_secret, name


@pytest.mark.parametrize(
    ("text", "line", "said", "hint"),
    [
        ('integration = "HTTP"\nusername = "amy"', 4, "unknown key 'username'", "did you mean 'user'?"),
        ('integration = "HTTP"\nurl = "http://x"', 4, "unknown key 'url'", "HTTP has: base_url, auth_type,"),
        ('integration = "SLACK"\nhost = "x"', 4, "unknown key 'host'", "SLACK has: url, token, base_url"),
        ('integration = "PYTHON"\nzzz = "x"', 4, "unknown key 'zzz'", "PYTHON has: no fields of its own"),
        ('integration = "FIVETRAN"\ngroup_id = "x"', 4, "unknown key 'group_id'", 'fields = { group_id = "..." }'),
        ('integration = "HTP"', 3, "unknown integration 'HTP'", "did you mean 'HTTP'?"),
        ('\n\nintegration = "HTTP"\nmode = "wild"', 6, "mode 'wild' is not known", "one of local, remote"),
        ('integration = "HTTP"\nfailures = 1.5', 4, "'failures' must be a whole number", None),
        ('integration = "HTTP"\nport = true', 4, "unknown key 'port'", None),
        ('integration = "SFTP"\nport = true', 4, "'port' must be a number", None),
        ('integration = "FIVETRAN"\n[connections.c.jobs.FIVETRAN_SYNC]\nstatus = "FAILED"', 4,
         "FIVETRAN has no such job", "did you mean 'FIVETRAN_SYNC_ALL'?"),
        ('integration = "FIVETRAN"\n[connections.c.jobs.FIVETRAN_SYNC_ALL]\nstate = "FAILED"', 5,
         "unknown key 'state'", "did you mean 'status'?"),
        ('integration = "FIVETRAN"\n[connections.c.tasks."a b"]\nseconds = -1', 5, "'seconds' must be a number from 0 on", None),
        ('integration = "FIVETRAN"\ntasks.x = 3', 4, "must be a table", "with some of status"),
        ('mode = "stub"', 2, "'integration' is missing", None),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_line(tmp_path: Path, text: str, line: int, said: str, hint: str | None) -> None:
    with pytest.raises(BindingError) as caught:
        bind(tmp_path, text)
    assert f"rehearse.toml:{line}: [connections.c" in str(caught.value) and said in str(caught.value)
    assert hint is None or hint in str(caught.value.hint)


@pytest.mark.parametrize(
    "line",
    [
        f'integration = "POSTGRES"\nurl = "postgresql://app:{WORD}@h/db"',
        f'integration = "POSTGRES"\nurl = "${{URL:-postgresql://app:{WORD}@h/db}}"',
        f'integration = "POSTGRES"\nurl = "postgresql://app:${{PW:-{WORD}}}@h/db"',
        f'integration = "HTTP"\nheader_value = "{WORD}"',
        f'integration = "AWS_S3"\naccess_key_id = "{WORD}"',
        f'integration = "SLACK"\nurl = "https://hooks.slack.com/services/T0/B0/{WORD}"',
        f'integration = "GCP_BIG_QUERY"\ncredentials_json = \'{{"private_key": "{WORD}"}}\'',
        f'integration = "SFTP"\nprivate_key = """-----BEGIN PRIVATE KEY-----\n{WORD}"""',
        f'integration = "SALESFORCE"\nfields = {{ client_secret = "{WORD}" }}',
        'integration = "SFTP"\npassword = ""\nprivate_key_passphrase = "x"',
    ],
)
def test_no_secret_stands_in_the_file(tmp_path: Path, line: str) -> None:
    with pytest.raises(BindingError, match="a secret, which must not stand in the file") as caught:
        bind(tmp_path, line)
    assert WORD not in str(caught.value) and "${NAME}" in str(caught.value.hint)


@pytest.mark.parametrize(
    "line",
    [
        'integration = "POSTGRES"\nurl = "postgresql://${U:-app}:${PW}@h/${D:-db}"',
        'integration = "POSTGRES"\nurl = "${URL:-}"\npassword = "${PW:-}"',
        'integration = "SFTP"\nprivate_key = "~/.ssh/id_ed25519"',
        'integration = "GCP_BIG_QUERY"\ncredentials_json = "keys/account.json"',
        'integration = "SLACK"\nurl = "https://hooks.slack.com/services/${PATH_OF_HOOK}"',
        'integration = "SALESFORCE"\nfields = { client_secret = "${S}", instance = "https://x.example" }',
    ],
)
def test_what_names_variables_is_no_secret(tmp_path: Path, line: str) -> None:
    assert bind(tmp_path, line).id == "c"


def test_a_secret_that_is_only_a_part_of_a_field_is_masked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", WORD)
    connection = bind(
        tmp_path, 'integration = "HTTP"\nbase_url = "http://x.example/${API_KEY}/v1"\nuser = "${WHO:-amy-amy-amy}"'
    )
    assert (
        seen(connection, f"GET http://x.example/{WORD}/v1 as amy-amy-amy")
        == "GET http://x.example/********/v1 as amy-amy-amy"
    )


def test_an_id_that_sounds_secret_makes_nothing_secret(tmp_path: Path) -> None:
    (tmp_path / "rehearse.toml").write_text(
        '[connections.auth_token_api]\nintegration = "HTTP"\nbase_url = "http://x.example"\n'
    )
    connection = load_bindings(tmp_path).connections["auth_token_api"]
    assert seen(connection, "http://x.example") == "http://x.example"


def test_further_fields_are_for_linked_tasks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THE_VALUE", WORD)
    connection = bind(
        tmp_path,
        'integration = "SALESFORCE"\nuser = "amy"\n[connections.c.fields]\nclient_secret = "${THE_VALUE}"\n'
        'scopes = ["a", "${THE_VALUE}"]\nsandbox = true\nlogin = { host = "h", api_key = "${THE_VALUE}" }',
    )
    assert connection.exported() == {
        "SALESFORCE__C__USER": "amy", "SALESFORCE__C__CLIENT_SECRET": WORD,
        "SALESFORCE__C__SCOPES": json.dumps(["a", WORD]), "SALESFORCE__C__SANDBOX": "true",
        "SALESFORCE__C__LOGIN": json.dumps({"host": "h", "api_key": WORD}),
    }  # fmt: skip
    assert WORD not in seen(connection, json.dumps(connection.exported()))
    with pytest.raises(BindingError, match="needs GONE, which is not in"):
        bind(tmp_path, 'integration = "SALESFORCE"\nfields = { a = { b = ["${GONE}"] } }').exported()


# Where things stand


def test_lines_of_tables_and_keys() -> None:
    text = (
        "# [connections.a]\n"  # 1
        "[connections.a]\n"  # 2
        'url = """\n[connections.b]\nx = 1\n"""\n'  # 3-6
        '"odd = key" = 1   # = \n'  # 7
        "jobs.J.status = 1\n"  # 8
        '[connections."b.c"]  # comment\n'  # 9
        "x = { y = 1 }\n"  # 10
    )
    places = Places(Path("f"), text)
    found = {
        "f:2": ("connections", "a"), "f:3": ("connections", "a", "url"), "f:7": ("connections", "b", "odd = key"),
        "f:9": ("connections", "b.c"), "f:10": ("connections", "b.c", "x", "y"), "f": ("environments",),
    }  # fmt: skip
    for place, keys in found.items():
        assert places.at(*keys) == place
    assert places.at("connections", "b", "jobs", "J", "status") == "f:8"


@given(st.text(max_size=200))
def test_any_text_has_places(text: str) -> None:
    assert Places(Path("f"), text).at("connections", "x").startswith("f")
