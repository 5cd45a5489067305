from __future__ import annotations

from pathlib import Path

import pytest

from rehearse.bindings.config import load_bindings
from rehearse.errors import BindingError

TOML = """
[environments.dev]
N = 1
[environments.prod]
[connections.shop]
integration = "POSTGRES"
default = true
env_file = "secrets.env"
hint = "make up"
url = "postgresql://${USER_NAME:-app}:${SHOP_PASSWORD}@h/db"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rehearse.toml").write_text(TOML)
    return tmp_path


def secrets(folder: Path, mode: int = 0o600, text: str = "# comment\nSHOP_PASSWORD=from=file\n") -> None:
    path = folder / "secrets.env"
    path.write_text(text)
    path.chmod(mode)


def test_variables_come_from_the_file_and_the_process_wins(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets(folder)
    shop = load_bindings(folder).connections["shop"]
    assert shop.get("url") == "postgresql://app:from=file@h/db"
    monkeypatch.setenv("SHOP_PASSWORD", "from process")
    assert shop.get("url") == "postgresql://app:from process@h/db"


def test_a_missing_variable_names_itself_and_where_we_looked(folder: Path) -> None:
    shop = load_bindings(folder).connections["shop"]
    with pytest.raises(BindingError, match=r"'shop' reads .*secrets.env, which does not exist") as caught:
        shop.get("url")
    assert caught.value.hint == "make up"
    secrets(folder, text="OTHER=1")
    with pytest.raises(BindingError, match=r"'shop' needs SHOP_PASSWORD, .*secrets.env"):
        shop.get("url")


def test_a_secrets_file_that_others_can_read_is_refused(folder: Path) -> None:
    secrets(folder, 0o644)
    with pytest.raises(BindingError, match="can be read by others"):
        load_bindings(folder).connections["shop"].variables()


def test_environments_and_defaults(folder: Path) -> None:
    bindings = load_bindings(folder)
    assert bindings.environment(None) == ("dev", {"N": 1})
    with pytest.raises(BindingError, match="no environment 'prd'") as caught:
        bindings.environment("prd")
    assert caught.value.hint == "did you mean 'prod'?"
    for name in (None, "default_00000", "shop"):
        found = bindings.connection("POSTGRES", name)
        assert found is not None and found.id == "shop"
    assert bindings.connection("SLACK", None) is None
    with pytest.raises(BindingError, match="no connection 'shp'"):
        bindings.connection("POSTGRES", "shp")


def test_a_relative_path_counts_from_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "rehearse.toml").write_text(
        "[connections.d]\nintegration = 'DBT_CORE'\nenv = ['DUCKDB_PATH']\npaths = ['DUCKDB_PATH']\n"
    )
    connection = load_bindings(tmp_path).connections["d"]
    monkeypatch.setenv("DUCKDB_PATH", "w.duckdb")
    assert connection.variables() == {"DUCKDB_PATH": str(tmp_path / "w.duckdb")}
    monkeypatch.setenv("DUCKDB_PATH", "/abs/w.duckdb")
    assert connection.variables() == {"DUCKDB_PATH": "/abs/w.duckdb"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[connection.x]\n", r"unknown table \[connection\]"),
        ("[connections.x]\nmode = 'stub'\n", "'integration' is missing"),
        ("[connections.x]\nintegration = 'HTTP'\nmod = 'stub'\n", "unknown key 'mod'"),
        ("[connections.x]\nintegration = 'HTTP'\nmode = 'wild'\n", "mode 'wild' is not known"),
        ("[connections\n", "line 1"),
        ("[environments]\nx = 1\n", r"\[environments\] x must be a table"),
        ("[connections.x]\nintegration = 5\n", "'integration' must be text"),
        ("[connections.x]\nintegration = 'HTTP'\nenv = 'DBT_*'\n", "'env' must be a list of texts"),
        (
            "[connections.x]\nintegration = 'HTTP'\nmode = 'stub'\nstatus = 'success'\n",
            "'status' must be one of SUCCEEDED",
        ),
        ("[connections.x]\nintegration = 'HTTP'\nenv_file = '${NOPE}/env'\n", "env_file needs the variable NOPE"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "rehearse.toml").write_text(text)
    with pytest.raises(BindingError, match=said):
        load_bindings(tmp_path)
