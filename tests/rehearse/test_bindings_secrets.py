"""Secrets: files of them, `rehearse secret`, and `secrets.NAME` in expressions, which nobody sees."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from rehearse.bindings import secrets
from rehearse.bindings.secrets import SecretVariables, hide, read_env_file, values_read, write_env_file
from rehearse.errors import BindingError, ExpressionError
from rehearse.language.evaluation import Scope
from rehearse.language.templates import resolve

WORD = "correct-horse-battery"


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def rehearse(
    bin_dir: Path, folder: Path, *arguments: str, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    command = [bin_dir / "rehearse", *arguments]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=60, env=os.environ | env, input=stdin
    )
    assert "Traceback" not in done.stderr
    return done


# Files


def test_lines_of_a_file(tmp_path: Path) -> None:
    path = write(
        tmp_path / ".env",
        '# comment\n\nA=1\nexport B = two words \nC=\'it\'\'s\'\nD="a\\nb"\nE="odd"x"\nF="\nno line of ours\nG=a=b#c\nH=\n',
    )
    assert read_env_file(path) == {
        "A": "1", "B": "two words", "C": "it''s", "D": "a\nb", "E": 'odd"x', "F": '"', "G": "a=b#c", "H": "",
    }  # fmt: skip
    path.write_bytes(b"A=\xff\xfe")
    with pytest.raises(BindingError, match="it is no text in UTF-8"):
        read_env_file(path)


@pytest.mark.parametrize(
    "value", ["simple", " blanks ", "line\nbreak", '"quoted"', "'", "é$`\\ =#", "tab\there", "\\n"]
)
def test_what_is_written_is_read(tmp_path: Path, value: str) -> None:
    path = write(tmp_path / ".env.local", "# mine\nOLD=1\nexport NAME=before\n")
    write_env_file(path, "NAME", value)
    assert read_env_file(path) == {"OLD": "1", "NAME": value}
    assert path.read_text().startswith("# mine\nOLD=1\nNAME=") and path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [".env.local"]


# rehearse secret


def test_a_secret_is_kept_in_a_private_file(bin_dir: Path, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    (tmp_path / "rehearse.toml").write_text(
        '[connections.c]\nintegration = "HTTP"\ntoken = "${API_TOKEN}"\nbase_url = "http://${HOST:-x}"\n'
    )
    done = rehearse(bin_dir, tmp_path, "secret", "set", "API_TOKEN", "--file", stdin=f"{WORD}\n")
    assert done.returncode == 0 and WORD not in done.stdout + done.stderr
    assert "git does not ignore it" in done.stderr
    assert read_env_file(tmp_path / ".env.local") == {"API_TOKEN": WORD}
    shown = rehearse(bin_dir, tmp_path, "secret", "list")
    assert shown.stdout == "API_TOKEN  .env.local\nHOST       nowhere\n"
    found = json.loads(rehearse(bin_dir, tmp_path, "secret", "list", "--json", API_TOKEN="another").stdout)
    assert found["secrets"][0] == {"name": "API_TOKEN", "found_in": "the environment"}
    warned = rehearse(bin_dir, tmp_path, "secret", "set", "API_TOKEN", "--file", stdin="third-value", API_TOKEN=WORD)
    assert "the environment has another value, which wins" in warned.stderr
    (tmp_path / ".env.local").chmod(0o644)
    refused = rehearse(bin_dir, tmp_path, "secret", "set", "API_TOKEN", "--file", stdin="x")
    assert refused.returncode == 2 and "can be read by others" in refused.stderr


def test_what_cannot_be_a_secret(bin_dir: Path, tmp_path: Path) -> None:
    for name, value, said in (
        ("1A", "x", "cannot be the name"),
        ("A B", "x", "cannot be the name"),
        ("A", "", "no value"),
    ):
        done = rehearse(bin_dir, tmp_path, "secret", "set", name, "--file", stdin=value)
        assert done.returncode == 2 and said in done.stderr and not (tmp_path / ".env.local").exists()


def test_the_keyring_is_used_where_there_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keyring = pytest.importorskip("keyring")
    from keyring.backend import KeyringBackend

    class Backend(KeyringBackend):
        priority = 1  # type: ignore[assignment]
        kept: dict[str, str] = {}
        asked = 0

        def get_password(self, service: str, username: str) -> str | None:
            Backend.asked += 1
            return self.kept.get(f"{service}/{username}")

        def set_password(self, service: str, username: str, password: str) -> None:
            self.kept[f"{service}/{username}"] = password

        def delete_password(self, service: str, username: str) -> None: ...

    class EncryptedKeyring(Backend):  # the name of one that asks for a password on the terminal
        pass

    before = keyring.get_keyring()
    try:
        keyring.set_keyring(Backend())
        secrets.keep_in_keyring("NAME", WORD)
        assert Backend.kept == {"rehearse/NAME": WORD}
        assert secrets.locate("NAME", tmp_path) == ("the keyring", WORD)
        asked = Backend.asked
        assert secrets.substitute("${NAME:-default}", {}.get, secrets.from_keyring) == "default"
        assert Backend.asked == asked, "a default that says something is enough"
        assert secrets.substitute("${NAME:-}", {}.get, secrets.from_keyring) == WORD
        keyring.set_keyring(EncryptedKeyring())
        assert secrets.locate("NAME", tmp_path) is None
        with pytest.raises(BindingError, match="no keyring that can be used without a question"):
            secrets.keep_in_keyring("NAME", WORD)
    finally:
        keyring.set_keyring(before)


# secrets.NAME


def test_a_secret_is_looked_up_when_it_is_read(tmp_path: Path) -> None:
    write(tmp_path / ".env", f"API_TOKEN={WORD}\nOTHER=not-read-at-all\n")
    variables = SecretVariables(tmp_path)
    assert values_read(variables) == ()
    value = resolve(
        {"a": "Bearer ${{ secrets.API_TOKEN }}", "b": "${{ SECRETS['api_token'] }}"}, Scope(secrets=variables)
    )
    assert value == {"a": f"Bearer {WORD}", "b": WORD}
    assert set(values_read(variables)) == {WORD} and hide(f"x {WORD}", variables) == "x ********"
    with pytest.raises(
        ExpressionError, match=r"secrets\.GONE is not in the environment, \.env\.local, \.env or the keyring"
    ) as e:
        resolve("ab ${{ secrets.GONE }}", Scope(secrets=variables))
    assert e.value.offset > 0 and "rehearse secret set GONE" in str(e.value.hint)
    (tmp_path / ".env").chmod(0o640)
    with pytest.raises(ExpressionError, match="can be read by others"):
        resolve("${{ secrets.OTHER }}", Scope(secrets=variables))


def pipeline(folder: Path, name: str = "t") -> None:
    (folder / "rehearse.toml").touch()
    (folder / "p.yml").write_text(f"""
version: v1
name: p
pipeline:
  t:
    name: {name}
    integration: PYTHON
    integration_job: PYTHON_EXECUTE_SCRIPT
    depends_on: []
    condition: ${{{{ secrets.SHORT == 'abc' }}}}
    parameters:
      source: INLINE
      set_outputs: true
      environment_variables: '{{"A": "Bearer ${{{{ secrets.API_TOKEN }}}}", "B": "${{{{ secrets.SHORT }}}}"}}'
      code: |
        import os
        from orchestra_sdk.orchestra import OrchestraSDK
        print("token", os.environ["A"], len(os.environ["A"]), len(os.environ["B"]))
        OrchestraSDK(os.environ["ORCHESTRA_API_KEY"]).set_output("said", os.environ["A"])
""")


def test_secrets_reach_the_task_and_nothing_else(bin_dir: Path, tmp_path: Path) -> None:
    pipeline(tmp_path)
    write(tmp_path / ".env.local", f"API_TOKEN={WORD}\nSHORT=abc\n")
    plan = rehearse(bin_dir, tmp_path, "plan", "p.yml", "-v")
    assert "${{ secrets.API_TOKEN }}" in plan.stdout and WORD not in plan.stdout
    done = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
    assert done.returncode == 0, done.stderr
    assert WORD not in done.stdout + done.stderr
    assert json.loads(done.stdout)["tasks"][0]["outputs"] == {"said": "Bearer ********"}
    log = (tmp_path / ".rehearse" / "latest" / "t" / "1" / "log").read_text()
    assert log == f"token Bearer ******** {len(WORD) + 7} 3\n"
    shown = json.loads(rehearse(bin_dir, tmp_path, "show", "latest", "--json").stdout)
    assert shown["tasks"][0]["parameters"]["environment_variables"] == "********", (
        "also where a secret is too short to mask"
    )
    for path in (tmp_path / ".rehearse").rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path


def test_a_secret_that_is_not_there_fails_the_task(bin_dir: Path, tmp_path: Path) -> None:
    pipeline(tmp_path)
    write(tmp_path / ".env.local", "SHORT=abc\n")
    done = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
    assert done.returncode == 1
    message = json.loads(done.stdout)["tasks"][0]["message"]
    assert message.startswith(
        "parameters: secrets.API_TOKEN is not in the environment, .env.local, .env or the keyring"
    )
    write(tmp_path / ".env.local", f"SHORT={WORD}\n")
    other = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
    assert json.loads(other.stdout)["status"] == "SKIPPED", "the condition is false"


def test_no_error_quotes_a_secret(bin_dir: Path, tmp_path: Path) -> None:
    write(tmp_path / ".env.local", f"SHORT=abc\nAPI_TOKEN={WORD}\n")
    task = "{name: t, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, depends_on: [], parameters: {command: '%s'}}"
    for command in ("python x.py ${{ int(secrets.API_TOKEN) }}", "${{ secrets.API_TOKEN }} x.py"):
        (tmp_path / "rehearse.toml").touch()
        text = task.replace("'%s'", json.dumps(command))
        (tmp_path / "p.yml").write_text(f"version: v1\nname: p\npipeline:\n  t: {text}\n")
        done = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
        assert done.returncode == 1, done.stderr
        assert WORD not in done.stdout + done.stderr and "********" in done.stdout


def test_names_are_recorded_and_so_cannot_hold_secrets(bin_dir: Path, tmp_path: Path) -> None:
    pipeline(tmp_path, name="${{ secrets.API_TOKEN }}")
    write(tmp_path / ".env.local", f"API_TOKEN={WORD}\nSHORT=abc\n")
    done = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
    assert done.returncode == 1
    assert (
        "secrets cannot be read here (read secrets.NAME in parameters" in json.loads(done.stdout)["tasks"][0]["message"]
    )


def test_a_secret_is_not_passed_on_to_another_pipeline(bin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "orchestra").mkdir()
    write(tmp_path / ".env.local", f"API_TOKEN={WORD}\n")
    (tmp_path / "rehearse.toml").touch()
    task = (
        "{name: t, integration: ORCHESTRA, integration_job: TRIGGER_PIPELINE, depends_on: [], "
        "parameters: {pipeline_id: child, run_inputs: {given: '${{ secrets.API_TOKEN }}'}}}"
    )
    (tmp_path / "p.yml").write_text(f"version: v1\nname: p\npipeline:\n  t: {task}\n")
    own = "{name: t, integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT, parameters: {command: python -V}}"
    (tmp_path / "orchestra" / "child.yml").write_text(
        f"version: v1\nname: c\ninputs: {{given: {{type: string}}}}\npipeline:\n  t: {own}\n"
    )
    done = rehearse(bin_dir, tmp_path, "run", "p.yml", "--json")
    assert done.returncode == 1 and "cannot be passed on to another pipeline" in done.stdout
    for path in (tmp_path / ".rehearse").rglob("*"):
        assert not path.is_file() or WORD.encode() not in path.read_bytes(), path
    shown = rehearse(bin_dir, tmp_path, "secret", "list")
    assert shown.stdout == "", "only pipelines of orchestra/ are looked at"
    (tmp_path / "p.yml").rename(tmp_path / "orchestra" / "p.yml")
    assert rehearse(bin_dir, tmp_path, "secret", "list").stdout == "API_TOKEN  .env.local\n"
