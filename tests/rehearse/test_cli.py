"""The verbs that only look: validate and plan."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

PIPELINE = "orchestra/commerce_daily.yml"


def call(bin_dir: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bin_dir / "rehearse", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


def test_our_pipelines_and_cases_are_valid(bin_dir: Path, root: Path) -> None:
    done = call(bin_dir, root, "validate", "orchestra", "tests/cases")
    assert done.returncode == 0, done.stderr
    assert ": valid, 0 warning(s)" in done.stderr


def test_a_syntax_error_names_file_line_column_and_a_suggestion(bin_dir: Path, root: Path, tmp_path: Path) -> None:
    text = (root / PIPELINE).read_text().replace("  ingest:\n", "  ingest\n", 1)
    (tmp_path / "broken.yml").write_text(text)
    (tmp_path / "good.yml").write_text((root / PIPELINE).read_text())
    done = call(bin_dir, tmp_path, "validate", ".")
    line = text.splitlines().index("  ingest") + 2
    assert done.returncode == 2
    assert (
        f"broken.yml:{line}:" in done.stderr and f"is a ':' missing after 'ingest' on line {line - 1}?" in done.stderr
    )
    assert "2 file(s): 1 error(s)" in done.stderr


def test_validate_json_is_versioned(bin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text("version: v1\nnme: x\npipeline: {}\n")
    content = json.loads(call(bin_dir, tmp_path, "validate", "p.yml", "--json").stdout)
    assert content["schema_version"] == 1
    assert [(p["line"], p["column"], p["type"]) for p in content["problems"]] == [
        (1, 1, "missing"),
        (2, 1, "extra_forbidden"),
    ]


def test_plan_shows_the_matrix_and_names_what_is_simulated(bin_dir: Path, root: Path) -> None:
    content = json.loads(call(bin_dir, root, "plan", PIPELINE, "--json", "--input", "full_refresh=true").stdout)
    groups = {group["id"]: group for group in content["groups"]}
    assert content["inputs"] == {"destination": "duckdb", "full_refresh": True}
    assert len(groups["ingest"]["matrix"]["items"]) == 7
    assert groups["transform"]["depends_on"] == ["source_checks", "ingest"]
    assert {task["runs"] for group in groups.values() for task in group["tasks"]} == {"local"}
    stub = call(bin_dir, root, "plan", "tests/cases/declared_stub_is_named/pipeline.yml")
    assert "simulated (stub)" in stub.stdout


def test_plan_names_an_unknown_connection_and_a_value_that_is_no_option(
    bin_dir: Path, root: Path, tmp_path: Path
) -> None:
    text = (
        (root / PIPELINE)
        .read_text()
        .replace("integration_job: POSTGRES_RUN_TEST", "integration_job: POSTGRES_RUN_TEST\n        connection: nosuch")
    )
    (tmp_path / "p.yml").write_text(text)
    (tmp_path / "rehearse.toml").touch()
    done = call(bin_dir, tmp_path, "plan", "p.yml", "--input", "destination=oracle")
    assert done.returncode == 0 and "unknown connection" in done.stdout
    assert "input 'destination' is 'oracle', which is none of its options: duckdb, postgres" in done.stderr


def test_every_verb_has_help(bin_dir: Path, root: Path) -> None:
    listed = call(bin_dir, root, "--help").stdout
    for verb in ("validate", "plan", "run"):
        assert verb in listed
        assert call(bin_dir, root, verb, "--help").returncode == 0
