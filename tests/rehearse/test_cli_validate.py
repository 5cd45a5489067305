"""`rehearse validate`, `schema` and `explain` from outside."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from rehearse.cli.app import make_app
from rehearse.errors import BindingError, UsageError

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = "orchestra/commerce_daily.yml"
WARNS = """\
version: v1
name: warns
pipeline:
  one:
    tasks:
      t:
        name: T
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        parameters: {command: 'python load.py ${{ inputs.day }}'}
"""


def call(bin_dir: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bin_dir / "rehearse", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


def invoke(*arguments: str) -> Result:
    done = CliRunner().invoke(make_app(), list(arguments))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


def test_our_pipelines_are_valid_without_a_warning(bin_dir: Path, root: Path) -> None:
    done = call(bin_dir, root, "validate", "--strict")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "7 files: valid\n")


def test_a_syntax_error_names_file_line_column_and_a_suggestion(bin_dir: Path, root: Path, tmp_path: Path) -> None:
    text = (root / PIPELINE).read_text().replace("  ingest:\n", "  ingest\n", 1)
    (tmp_path / "broken.yml").write_text(text)
    (tmp_path / "good.yml").write_text((root / PIPELINE).read_text())
    done = call(bin_dir, tmp_path, "validate", ".")
    line = text.splitlines().index("  ingest") + 2
    assert done.returncode == 2
    assert re.search(rf"^broken\.yml:{line}:\d+: error: ", done.stdout, re.MULTILINE)
    assert f"is a ':' missing after 'ingest' on line {line - 1}?" in done.stdout
    assert done.stderr.endswith("2 files: 1 error, 0 warnings\n")


def test_json_is_versioned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yml").write_text("version: v1\ncolor: x\npipeline: {}\n")
    content = json.loads(invoke("validate", "p.yml", "--json").stdout)
    assert content["schema_version"] == 1 and content["files"] == ["p.yml"]
    assert [(p["line"], p["column"], p["type"], p["loc"]) for p in content["problems"]] == [
        (1, 1, "missing", ["name"]),
        (2, 1, "extra_forbidden", ["color"]),
    ]
    assert json.loads(invoke("validate", "p.yml", "--format", "json").stdout) == content


def test_annotations_for_github(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a,b.yml").write_text(WARNS.replace("name: warns", "nme: 100%"))
    lines = invoke("validate", "a,b.yml", "--format", "github").stdout.splitlines()
    assert lines == [
        "::error file=a%2Cb.yml,line=2,col=1,title=unknown-key::unknown key 'nme' (did you mean 'name'?)",
        "::warning file=a%2Cb.yml,line=10,col=58,title=undeclared-input::the input 'day' is not declared "
        "(declare it under 'inputs')",
    ]


def test_strict_and_ignore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yml").write_text(WARNS)
    assert invoke("validate", "p.yml").exit_code == 0
    assert invoke("validate", "p.yml", "--strict").exit_code == 2
    assert "valid" in invoke("validate", "p.yml", "--strict", "--ignore", "undeclared-input").stderr
    Path("rehearse.toml").write_text('[validate]\nignore = ["undeclared-input"]\n')
    assert invoke("validate", "p.yml", "--strict").exit_code == 0
    for code, why in {"undeclared-inputs": "did you mean 'undeclared-input'?", "cycle": "is an error"}.items():
        with pytest.raises(UsageError) as caught:
            invoke("validate", "p.yml", "--ignore", code)
        assert why in f"{caught.value} {caught.value.hint}"
    Path("rehearse.toml").write_text('[validate]\nignore = ["undeclared"]\n')
    with pytest.raises(BindingError, match=r"rehearse.toml: .validate. ignore: 'undeclared' is no code"):
        invoke("validate", "p.yml")
    Path("rehearse.toml").write_text("[validate]\nignore = 3\n")
    with pytest.raises(BindingError, match="a list of codes"):
        invoke("validate", "p.yml")


def test_files_folders_and_patterns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in (
        "orchestra/a.yml",
        "orchestra/deep/b.yaml",
        "orchestra/c.oml",
        "orchestra/.hidden/d.yml",
        "orchestra/e.txt",
    ):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(WARNS)

    def files(*arguments: str) -> list[str]:
        found: list[str] = json.loads(invoke("validate", "--json", *arguments).stdout)["files"]
        return found

    everything = ["orchestra/a.yml", "orchestra/c.oml", "orchestra/deep/b.yaml"]
    assert files() == files("orchestra") == files("orchestra", "orchestra/a.yml") == everything
    assert files("orchestra/*.yml") == ["orchestra/a.yml"]
    assert files("orchestra/**/*.y*ml") == ["orchestra/a.yml", "orchestra/deep/b.yaml"]
    Path("empty").mkdir()
    for nothing, why in {
        "*.yml": "no pipeline at",
        "empty": "no pipeline at",
        "orchestra/b.yml": "does not exist",
    }.items():
        with pytest.raises(UsageError, match=why):
            files(nothing)


def test_what_a_file_holds_does_not_steer_the_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yml").write_text(WARNS.replace("integration: PYTHON", 'integration: "\\e]0;owned\\a\\u202e"'))
    shown = invoke("validate", "p.yml").output
    assert "\x1b" not in shown and "\a" not in shown and "\u202e" not in shown


def test_validate_needs_only_what_the_hook_installs() -> None:
    """`.pre-commit-hooks.yaml` makes an environment of its own, with these packages."""
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    names = {re.split(r"[>=<]", each)[0].lower() for each in hook["additional_dependencies"]}
    needed = {"yaml", "_yaml", "typer", "rich", "click", "shellingham", "pygments", "markdown_it", "mdurl", "annotated_doc",
              "typing_extensions"}  # fmt: skip
    code = (
        "import sys, runpy; sys.argv = ['rehearse', 'validate', sys.argv[1]]\n"
        "try: runpy.run_module('rehearse', run_name='__main__')\nexcept SystemExit: pass\n"
        "print(*{n.partition('.')[0] for n, m in sys.modules.items() if 'site-packages' in str(getattr(m, '__file__', ''))})"
    )
    done = subprocess.run([sys.executable, "-c", code, PIPELINE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) - needed - {"_virtualenv", "_distutils_hack", "rehearse"} == set()
    assert {"pyyaml", "typer", "rich", "tzdata"} == names
    assert re.search(hook["files"], PIPELINE) and hook["entry"] == "rehearse validate"


def test_the_schema_agrees_with_validate() -> None:
    schema = json.loads(invoke("schema").stdout)
    jsonschema.Draft7Validator.check_schema(schema)
    validator = jsonschema.Draft7Validator(schema)
    loader = yaml.CSafeLoader
    for case in sorted((ROOT / "tests" / "cases").glob("*/expected.json")):
        content = json.loads(case.read_text()).get("validate", {"files": []})
        if "files" in content or case.parent.name.startswith("document_"):  # not one YAML document, perhaps
            continue
        expected = content["problems"]
        text = case.with_name("pipeline.yml").read_bytes()
        if case.parent.name.startswith("valid_") and not any(
            "yaml-surprise" in each or "sensors-list" in each for each in expected
        ):
            found = [
                f"{'/'.join(map(str, e.absolute_path))}: {e.message[:200]}"
                for e in validator.iter_errors(yaml.load(text, loader))
            ]
            assert found == [], case.parent.name
        elif any(
            " unknown-key: " in each or " missing: " in each or " unknown-parameter: " in each for each in expected
        ):
            assert not validator.is_valid(yaml.load(text, loader)), case.parent.name


def test_our_yaml_names_the_schema() -> None:
    for path in [*ROOT.glob("orchestra/*.yml"), *ROOT.glob("tests/cases/*/pipeline.yml")]:
        text = path.read_bytes().removeprefix(b"\xef\xbb\xbf").decode("utf-8", "replace")
        match = re.search(r"^# yaml-language-server: \$schema=(\S+)$", text.replace("\r\n", "\n"), re.MULTILINE)
        assert match or "document_" in path.parent.name, path
        assert not match or (path.parent / match[1]).resolve() == ROOT / "docs" / "pipeline.schema.json"


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ("retries", "configuration.retries"),
        ("schedule.cron", "Six fields"),
        ("task", "treat_failure_as_warning"),
        ("dbt_core_execute", "commands"),
        ("DBT_CORE", "DBT_CORE_EXECUTE"),
        ("SFTP_FILE", "file_pattern"),
        ("format_date()", "strftime"),
        ("orchestra.current_time", "UTC"),
        ("raw-splice", "--ignore"),
        ("cycle", "wait for each other"),
        ("WAIT", "not public"),
        ("SLACK_SEND_MESSAGE", "SEND_SLACK_MESSAGE"),
        ("shallow_clone_dirs", "PYTHON_EXECUTE_SCRIPT"),
        ("integration", "The system that does the work"),
    ],
)
def test_explain(topic: str, said: str) -> None:
    assert said in invoke("explain", topic).stdout
    content = json.loads(invoke("explain", topic, "--json").stdout)
    assert content["schema_version"] == 1 and content["topics"][0]["section"]


def test_explain_lists_its_topics_and_suggests() -> None:
    listed = invoke("explain").stdout
    assert all(word in listed for word in ("DBT_CORE_EXECUTE", "format_date", "raw-splice", "SFTP_FILE", "matrix"))
    with pytest.raises(UsageError, match="two formats"):
        invoke("validate", "--json", "--format", "github")
    with pytest.raises(UsageError) as caught:
        invoke("explain", "DBT_CORE_EXECUT")
    assert caught.value.hint == "did you mean 'DBT_CORE_EXECUTE'?"


def test_every_verb_has_help(bin_dir: Path, root: Path) -> None:
    listed = call(bin_dir, root, "--help").stdout
    for verb in ("validate", "plan", "run", "schema", "explain"):
        assert verb in listed
        assert call(bin_dir, root, verb, "--help").returncode == 0
