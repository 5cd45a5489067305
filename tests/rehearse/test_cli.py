"""`rehearse plan` from outside."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

PIPELINE = "orchestra/commerce_daily.yml"


def call(bin_dir: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([bin_dir / "rehearse", *arguments], cwd=cwd, capture_output=True, text=True, timeout=30)


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
