from __future__ import annotations

import base64
import json
import shlex
from urllib.parse import quote, quote_plus

from hypothesis import given
from hypothesis import strategies as st

from rehearse.engine.masking import Masker, secret_values

SECRET = 'p@ss "w0rd"/x'


def _through(masker: Masker, data: bytes, size: int) -> bytes:
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(masker.feed(chunk) for chunk in chunks) + masker.flush()


@given(st.binary(max_size=50), st.binary(max_size=50), st.integers(1, 30))
def test_a_secret_is_masked_wherever_the_chunks_are_cut(before: bytes, after: bytes, size: int) -> None:
    seen = _through(Masker([SECRET]), before + SECRET.encode() + after, size)
    assert SECRET.encode() not in seen
    assert len(seen) >= len(before) + len(after)


@given(st.binary(max_size=200), st.integers(1, 50))
def test_other_bytes_pass_unchanged(data: bytes, size: int) -> None:
    assert _through(Masker(["a secret that is not in there \x00"]), data, size) == data


def test_escaped_and_encoded_forms_are_masked() -> None:
    masker = Masker([SECRET])
    forms = [
        quote(SECRET, safe=""),
        quote(SECRET),
        quote_plus(SECRET),
        json.dumps(SECRET),
        repr(SECRET),
        shlex.quote(SECRET),
    ]
    forms += [base64.b64encode(SECRET.encode()).decode(), SECRET.encode().hex()]
    for form in forms:
        assert SECRET not in masker.text(form) and "****" in masker.text(f"x {form} y")
    shifted = base64.b64encode(b"user:" + SECRET.encode() + b"\n").decode()
    assert "****" in masker.text(shifted)


def test_which_values_are_secret() -> None:
    found = secret_values(
        {
            "A_PASSWORD": "longenough",
            "HOST": "db.example.com",
            "URL": "postgresql://u:hidden-pw@h/db",
            "API_KEY": "short",
            "GITHUB_PAT": "ghp_1234",
            "PATH": "/usr/local/bin",
            "HOOK": "https://hooks.slack.com/services/T0/B0/x",
        }
    )
    hook = ["https://hooks.slack.com/services/T0/B0/x", "services/T0/B0/x"]
    assert found == ["ghp_1234", "hidden-pw", hook[0], "longenough", "postgresql://u:hidden-pw@h/db", hook[1]]
    assert "B0" not in Masker(found).text(f"POST {hook[0]} 'POST /{hook[1]} HTTP/1.1'")


def test_parts_of_a_secret_are_masked_apart_from_it() -> None:
    """A program prints a key line by line, or reads it out of the JSON that holds it."""
    lines = [
        "-----BEGIN PRIVATE KEY-----",
        "MIIEvQIBADANBgkqhkiG9w0BAQEF",
        "AASCBKcwggSjAgEAAoIBAQC7VJTU",
        "-----END PRIVATE KEY-----",
    ]
    pem = "\n".join(lines) + "\n"
    account = {
        "type": "service_account",
        "client_email": "x@y.example",
        "private_key": pem,
        "nested": {"token": "to-ken-to-ken"},
    }
    for variables in (
        {"MY_KEY": pem},
        {"MY_KEY": pem.replace("\n", "\\n")},
        {"CREDENTIALS": json.dumps(account)},
        {"CREDENTIALS": json.dumps(account, indent=2)},
    ):
        masker = Masker(secret_values(variables))
        shown = masker.text("> " + "\n> ".join(lines))
        assert "MIIE" not in shown and "AASC" not in shown and "BEGIN PRIVATE KEY" in shown
    assert (
        masker.text("token to-ken-to-ken of service_account x@y.example")
        == "token ******** of service_account x@y.example"
    )


def test_values_keep_their_shape() -> None:
    masker = Masker(["20240101", "hunter2hunter2"])
    value = {"a": [20240101, 7, None, True, 1.5], "hunter2hunter2": "x hunter2hunter2"}
    assert masker.value(value) == {"a": ["********", 7, None, True, 1.5], "********": "x ********"}
