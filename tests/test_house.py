"""The rules of the house that a reviewer would otherwise have to remember."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOOL_FOLDERS = ("python", "dlt", "bauplan", "sensors", "metadata_api", "analytics", "rehearse", "sandbox")
LAYERS = ("cli", "checks", "api", "triggers", "engine", "jobs", "store", "bindings", "planning", "language")
WAREHOUSES = ("duckdb", "postgres", "snowflake", "fabric", "bigquery", "databricks")
FOLDER_GROUPS = {
    **{f"{folder}/requirements.txt": folder for folder in ("rehearse", "sandbox", "python")},
    **{f"dbt/{warehouse}/requirements.txt": f"dbt-{warehouse}" for warehouse in WAREHOUSES},
}


def tracked(root: Path, *patterns: str) -> list[Path]:
    command = ["git", "ls-files", "-co", "--exclude-standard", "--", *patterns]
    names = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout.splitlines()
    return [root / name for name in names if (root / name).is_file()]


def imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module


def test_a_tool_folder_imports_no_other(root: Path) -> None:
    # The names under which a folder's code could be imported: itself, and the packages inside it.
    names = {
        folder: {folder, *(p.parent.name for p in tracked(root, f"{folder}/*/__init__.py"))} for folder in TOOL_FOLDERS
    }
    names["dlt"], names["bauplan"] = (
        set(),
        set(),
    )  # those names are the libraries: nothing of ours can be imported there
    names["rehearse"] = {"rehearse"}
    wrong = [
        f"{path.relative_to(root)} imports {module}"
        for folder in TOOL_FOLDERS
        for path in tracked(root, f"{folder}/*.py")
        for module in imports(path)
        for other in TOOL_FOLDERS
        if other != folder and module.split(".")[0] in names[other]
    ]
    assert wrong == []


def test_the_layers_of_rehearse_import_downwards_only(root: Path) -> None:
    wrong = []
    for path in tracked(root, "rehearse/*.py"):
        layer = path.relative_to(root / "rehearse").parts[0]
        if layer not in LAYERS:
            continue
        above = {f"rehearse.{name}" for name in LAYERS[: LAYERS.index(layer)]}
        wrong += [f"{path.relative_to(root)} imports {m}" for m in imports(path) if ".".join(m.split(".")[:2]) in above]
    assert wrong == []


def test_folders_named_like_libraries_do_not_shadow_them(root: Path) -> None:
    for folder in ("dbt", "dlt", "bauplan"):
        assert not list((root / folder).rglob("__init__.py"))
    code = "import dlt, dbt.cli.main; assert hasattr(dlt, 'pipeline')"
    subprocess.run([sys.executable, "-c", code], cwd=root, check=True)


def test_no_registry_is_named(root: Path) -> None:
    # Put together here, so that this file does not name one either.
    hosts = re.compile(
        "|".join(re.escape(f"{a}.{b}") for a, b in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org")))
    )
    named = [path for path in tracked(root) if hosts.search(path.read_text(encoding="utf-8", errors="ignore"))]
    assert named == []
    locks = [path.name for path in tracked(root) if path.name in ("uv.lock", "package-lock.json", "pylock.toml")]
    assert locks == []
    assert not re.search(r"https?://|--index-url|--find-links", (root / "requirements.lock").read_text())


def test_modules_stay_small(root: Path) -> None:
    long = [
        f"{path.relative_to(root)}: {n}"
        for path in tracked(root, "*.py")
        if (n := len(path.read_text().splitlines())) > 500
    ]
    assert long == []


def pins(path: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """name -> (version, hashes); every requirement must have both."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", path.read_text().replace("\\\n", " ")):
        match = re.match(r"([a-z0-9][\w.-]*)(?:\[[\w,]+\])?==([^\s;]+)", block)
        if match:
            found[canonicalize_name(match[1])] = (match[2], frozenset(re.findall(r"--hash=(\S+)", block)))
    return found


def members(root: Path, group: str) -> list[str]:
    """The requirements of a group, those of groups that it includes too."""
    groups = tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]
    return [
        text
        for entry in groups[group]
        for text in (members(root, entry["include-group"]) if isinstance(entry, dict) else [entry])
    ]


@pytest.mark.parametrize("file", FOLDER_GROUPS)
def test_requirements_agree_with_the_lock_and_with_pyproject(root: Path, file: str) -> None:
    lock, folder = pins(root / "requirements.lock"), pins(root / file)
    assert folder and all(hashes for _, hashes in folder.values())
    assert {name: lock.get(name) for name in folder} == folder, "run: make lock"
    for text in members(root, FOLDER_GROUPS[file]):
        wanted = Requirement(text)
        version = folder[canonicalize_name(wanted.name)][0]
        assert wanted.specifier.contains(version), f"{file}: {wanted} but {version}; run: make lock"


def test_the_lock_covers_every_group(root: Path) -> None:
    lock = pins(root / "requirements.lock")
    for group in tomllib.loads((root / "pyproject.toml").read_text())["dependency-groups"]:
        for text in members(root, group):
            assert canonicalize_name(Requirement(text).name) in lock, f"{text}; run: make lock"


def test_ci_runs_the_documented_command(root: Path) -> None:
    assert (root / ".ci" / "run").read_text().rstrip().endswith("\nmake test")
    assert "make test" in (root / "README.md").read_text()


def test_every_make_target_and_verb_is_documented(root: Path) -> None:
    readmes = {name: (root / name / "README.md").read_text() for name in ("", "rehearse", "sandbox", "python")}
    targets = re.findall(r"^([a-z]+):.*## ", (root / "Makefile").read_text(), re.MULTILINE)
    assert [t for t in targets if f"make {t}" not in readmes[""] and t != "help"] == []
    for package, folder in (("rehearse", "rehearse"), ("sandbox", "sandbox")):
        listed = subprocess.run(
            [sys.executable, "-m", package, "--help"], cwd=root, capture_output=True, text=True, check=True
        )
        verbs = re.findall(r"^[\s│]+([a-z]+)\s{2,}", listed.stdout.split("Commands")[1], re.MULTILINE)
        assert verbs and [verb for verb in verbs if not re.search(rf"[ `]{verb}\b", readmes[folder])] == []


def test_what_docs_take_from_the_code_is_up_to_date(root: Path) -> None:
    """Run `make docs`. Each check, key, value, function, operator and job of the language names what tests it."""
    from rehearse.language.problems import CODES

    module = runpy.run_path(str(root / "docs" / "generate.py"))
    pages = module["generate"]()
    assert [path.name for path, text in pages.items() if path.read_text(encoding="utf-8") != text] == []
    assert sorted(" ".join(module["CHECKS"].values()).split()) == sorted(CODES)
    rows = [line for line in pages[root / "docs" / "language.md"].splitlines() if line.startswith("|")]
    assert len(rows) > 300
    assert [row for row in rows if re.search(r"\| *\|$", row)] == []


def test_environment_variables_are_documented(root: Path) -> None:
    """Every variable of our own that the code reads stands in a README."""
    pattern = re.compile(r"""environ(?:\.get\(|\[)["']((?:REHEARSE|SANDBOX|DUCKDB)_[A-Z_]+)""")
    texts = "".join(path.read_text() for path in tracked(root, "*.md"))
    used = {
        name
        for path in tracked(root, "rehearse/*.py", "sandbox/*.py", "python/*.py")
        for name in pattern.findall(path.read_text())
    }
    assert {name for name in used if name not in texts} == set()
