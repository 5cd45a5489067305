"""Faults of the contract that concern a whole run: parameters, places, sizes. Others are beside what they concern."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

TASK = "integration: PYTHON, integration_job: PYTHON_EXECUTE_SCRIPT"
WAIT = "integration: ORCHESTRA, integration_job: WAIT, parameters: {seconds: 0}"
NASTY = {
    "QUOTES": "'\" \\' \\\" `", "SHELL": "; rm -rf / $(touch pwned) `touch pwned` | touch pwned && touch pwned",
    "LINES": "a\nb\r\nc",
    "EMOJI": "\N{PILE OF POO} \N{RIGHT-TO-LEFT OVERRIDE}abc", "EXPRESSION": "${{ inputs.x }} ${{", "PATH": "../../etc/passwd",
    "PERCENT": "%s %(x)s {x} {{ x }}", "EMPTY": "",
}  # fmt: skip


def run(
    bin_dir: Path, folder: Path, text: str, *arguments: str, code: int = 0, **more: Any
) -> tuple[dict[str, Any], str]:
    (folder / "p.yml").write_text(text, encoding="utf-8")
    (folder / "rehearse.toml").touch()
    command = [bin_dir / "rehearse", "run", "p.yml", "--json", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, env=os.environ | more)
    assert done.returncode == code and "Traceback" not in done.stderr, done.stderr[-2000:]
    return json.loads(done.stdout) if done.stdout else {}, done.stderr


def one_task(**parameters: Any) -> str:
    tasks = f"      t: {{name: t, {TASK}, parameters: {json.dumps(parameters)}}}"
    return f"version: v1\nname: one\npipeline:\n  g:\n    tasks:\n{tasks}\n"


def test_fault_29_values_of_variables_arrive_as_they_are(bin_dir: Path, tmp_path: Path) -> None:
    """Run inputs too, through an expression; what an expression gives is not expanded again."""
    (tmp_path / "check.py").write_text(
        f"import os\nfor n, value in {NASTY!r}.items():\n    assert os.environ[n] == value, n\n"
    )
    text = one_task(command="python check.py", environment_variables="${{ inputs.variables }}")
    text = text.replace("version: v1\n", "version: v1\ninputs: {variables: {type: dict}}\n")
    run(bin_dir, tmp_path, text, "-i", f"variables={json.dumps(NASTY)}")
    assert not (tmp_path / "pwned").exists()


def test_fault_29_a_nul_is_refused_in_words(bin_dir: Path, tmp_path: Path) -> None:
    _, said = run(bin_dir, tmp_path, one_task(command="python -V", environment_variables='{"A": "x\\u0000y"}'), code=1)
    assert "null byte" in said.lower() or "NUL" in said


def test_fault_29_items_never_leave_the_folder_of_the_run(bin_dir: Path, tmp_path: Path) -> None:
    items = json.dumps(["../../escape", "..", "/etc/passwd", "a\nb", "x" * 300, "\N{PILE OF POO}"], ensure_ascii=False)
    text = one_task(command="python -V").replace("    tasks:", f"    matrix: {{inputs: {{n: {items}}}}}\n    tasks:")
    found, _ = run(bin_dir, tmp_path, text)
    assert [task["status"] for task in found["tasks"]] == ["SUCCEEDED"] * 6
    assert len(list(Path(found["folder"]).glob("*/1/log"))) == 6
    assert sorted(path.name for path in tmp_path.iterdir()) == [".rehearse", "p.yml", "rehearse.toml"]


@pytest.mark.parametrize("name", ["with space", "ünïcødé-\N{PILE OF POO}", "quote'\"s", "$(touch pwned)"])
def test_fault_31_any_folder_will_do(bin_dir: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    folder.mkdir()
    run(bin_dir, folder, one_task(source="INLINE", code="import os; print(os.getcwd())"))
    assert (folder / ".rehearse" / "latest" / "t" / "1" / "log").read_text() == f"{folder}\n"


def test_fault_31_a_root_behind_a_link_is_the_same_root(bin_dir: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    run(bin_dir, link, one_task(command="python -V", project_dir="."))
    assert (real / ".rehearse" / "latest" / "t").is_dir()


def test_fault_31_a_folder_that_takes_no_state_says_so_in_a_sentence(bin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / ".rehearse").symlink_to(
        "/proc/self/no-such-place"
    )  # root may write to a read-only folder, but not there
    _, said = run(bin_dir, tmp_path, one_task(command="python -V"), code=2)
    complaint = said[said.index("error:") :]
    assert ".rehearse" in complaint and complaint.count("\n") == 2


def test_fault_36_ten_thousand_iterations(bin_dir: Path, tmp_path: Path) -> None:
    items = json.dumps(list(range(10_000)))
    matrix = f"    matrix: {{inputs: {{n: {items}}}}}\n    tasks:\n      t: {{name: t, {WAIT}}}\n"
    found, _ = run(bin_dir, tmp_path, f"version: v1\nname: wide\npipeline:\n  g:\n{matrix}")
    assert found["status"] == "SUCCEEDED" and len(found["tasks"]) == 10_000


def test_fault_36_five_thousand_tasks_in_a_graph(bin_dir: Path, tmp_path: Path) -> None:
    lines = ["version: v1", "name: deep", "pipeline:"]
    for group in range(50):
        lines.append(f"  g{group}:\n    depends_on: [{f'g{group - 1}' if group else ''}]\n    tasks:")
        for number in range(100):
            before = f"t{group}_{number - 1}" if number % 10 else ""
            lines.append(f"      t{group}_{number}: {{name: t, {WAIT}, depends_on: [{before}]}}")
    found, _ = run(bin_dir, tmp_path, "\n".join(lines) + "\n")
    assert found["status"] == "SUCCEEDED" and len(found["tasks"]) == 5_000


def test_fault_36_a_limit_of_workers_is_kept(bin_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(
        "import os, pathlib, time\n"
        "mark = pathlib.Path('running', str(os.getpid()))\n"
        "mark.parent.mkdir(exist_ok=True)\n"
        "mark.touch()\n"
        "assert len(list(mark.parent.iterdir())) <= 3\n"
        "time.sleep(0.1)\n"
        "mark.unlink()\n"
    )
    items = json.dumps(list(range(20)))
    text = one_task(command="python work.py").replace(
        "    tasks:", f"    matrix: {{inputs: {{n: {items}}}}}\n    tasks:"
    )
    run(bin_dir, tmp_path, text, "--workers", "3")


def test_fault_28_outputs_of_a_run_are_limited_together(bin_dir: Path, tmp_path: Path) -> None:
    sdk = "from orchestra_sdk.orchestra import OrchestraSDK as S; import os; put = S(os.environ['ORCHESTRA_API_KEY']).set_output"
    tasks = "".join(
        f"      t{n}: {{name: t, depends_on: [{f't{n - 1}' if n else ''}], {TASK}, parameters: "
        f"{json.dumps({'source': 'INLINE', 'set_outputs': True, 'code': sdk + chr(10) + code})}}}\n"
        for n, code in enumerate(
            ["put('a', 'x' * 3_000_000)", "import time; time.sleep = lambda s: 0; put('b', 'x' * 3_000_000)"]
        )
    )
    found, said = run(bin_dir, tmp_path, f"version: v1\nname: much\npipeline:\n  g:\n    tasks:\n{tasks}")
    assert [len(json.dumps(task["outputs"])) > 1_000_000 for task in found["tasks"]] == [True, False]
    assert "pass its path" in said
