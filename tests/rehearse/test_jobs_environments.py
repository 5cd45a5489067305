"""`--isolate`: virtual environments are really made, from wheels that lie in a folder, with neither index nor network."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import threading
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from process_harness import Done, attempt_in, run_steps

from rehearse.jobs import environments, python
from rehearse.jobs.base import JobError, Launch
from rehearse.jobs.environments import Environment, blamed_package, requirement_files

OURS = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.12" if OURS == "3.11" else "3.11"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A repository whose requirements are one package, of which there is a wheel in `wheels`."""
    (tmp_path / "wheels").mkdir()
    with zipfile.ZipFile(tmp_path / "wheels" / "probe-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("probe.py", "NAME = 'probe'")
        wheel.writestr("probe-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: probe\nVersion: 1.0\n")
        wheel.writestr("probe-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("probe-1.0.dist-info/RECORD", "probe.py,,\nprobe-1.0.dist-info/RECORD,,\n")
    (tmp_path / "requirements.txt").write_text("probe==1.0\n")
    return tmp_path


BUILD = "echo build >> built.txt\n  pip install -q --no-index --find-links wheels -r requirements.txt"
COMMAND = "python -c 'import probe, orchestra_sdk, sys; print(probe.NAME, sys.prefix)'"


def prepared(root: Path, folder: str = "attempt", **parameters: Any) -> Launch:
    known = {"command": COMMAND, "python_version": OURS, "package_manager": "PIP", "build_command": BUILD}
    attempt = attempt_in(root, folder, isolate=True)
    return python.prepare("PYTHON_EXECUTE_SCRIPT", known | parameters, None, attempt)


def environment_of(root: Path, cwd: Path | None = None, **parameters: Any) -> Environment:
    return environments.of_python_task(
        {"python_version": OURS} | parameters, cwd or root, attempt_in(root, isolate=True)
    )


def environments_in(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".rehearse" / "envs").iterdir() if path.is_dir())


def test_two_tasks_at_once_build_one_environment_and_fault_33_reuses_it(project: Path) -> None:
    results: list[Done] = []
    threads = [
        threading.Thread(target=lambda name=name: results.append(run_steps(prepared(project, name)))) for name in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    [name] = environments_in(project)
    folder = project / ".rehearse" / "envs" / name
    assert [done.code for done in results] == [0, 0], results
    assert all(done.log.endswith(f"probe {folder}\n") for done in results)
    assert (project / "built.txt").read_text() == "build\n"
    assert sorted("building it with" in done.log for done in results) == [False, True]

    # With the network gone and the wheel away, the same environment serves; a change of what it is made from does not.
    (project / "wheels" / "probe-1.0-py3-none-any.whl").unlink()
    again = run_steps(prepared(project, "c"))
    assert (again.code, again.log) == (0, f"environment {name}: as it was built\nprobe {folder}\n")
    (project / "requirements.txt").write_text("probe==1.0\n# changed\n")
    failed = run_steps(prepared(project, "d", branch="main", shallow_clone_dirs="a, b"))
    assert (failed.code, failed.status) == (1, "FAILED")
    assert failed.message == (
        "build_command failed (exit code 1): package 'probe' could not be installed; the log has all of its output"
    )
    assert failed.log.startswith("branch is ignored: the task runs in this checkout\nshallow_clone_dirs is ignored")
    assert "probe" in failed.log.split("building it with")[1]
    assert environments_in(project) == [name], "half an environment is left"


def test_a_killed_build_leaves_nothing_that_counts(project: Path) -> None:
    launch = prepared(project, build_command="touch $VIRTUAL_ENV/half; sleep 60")
    step = launch.steps[0]
    folder = Path(json.loads(step.env[environments.VARIABLE])["folder"])
    process = subprocess.Popen(
        [sys.executable, *step.argv[1:]], env=step.env, cwd=step.cwd, start_new_session=True, stdout=subprocess.DEVNULL
    )
    while not (folder / "half").exists():
        assert process.poll() is None
        threading.Event().wait(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / "bin" / "python").exists() and not environments._is_ready(folder)

    # The next build of it: made here without the sleep, as the digest covers the command.
    request = json.loads(step.env[environments.VARIABLE])
    request["made_from"]["build"] = ""
    env = step.env | {environments.VARIABLE: json.dumps(request)}
    assert run_steps(Launch([replace(step, env=env)])).code == 0
    assert environments._is_ready(folder) and not (folder / "half").exists()


def test_uv_and_what_a_build_sees(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv works on the same environment; settings of installers come from your shell, the rest of it does not."""
    monkeypatch.setenv("UV_FIND_LINKS", str(project / "wheels"))
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:pa55w0rd-x@127.0.0.1:9/simple")
    monkeypatch.setenv("MINE", "1")
    launch = prepared(
        project,
        package_manager="UV",
        build_command='test -z "$MINE" && uv pip install --offline -q -r requirements.txt',
        command="uv run --no-project --offline python -c 'import probe, sys; print(sys.prefix)'",
    )
    assert launch.secrets == ("pa55w0rd-x",)
    done = run_steps(launch)
    assert done.code == 0, done.log
    assert done.log.splitlines()[-1] == str(project / ".rehearse" / "envs" / environments_in(project)[0])


def test_a_version_that_is_not_here(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "never")
    monkeypatch.setenv("UV_PYTHON_PREFERENCE", "only-managed")
    monkeypatch.setenv("UV_PYTHON_INSTALL_DIR", str(project / "none"))
    done = run_steps(prepared(project, python_version=OTHER))
    assert done.code == 1 and done.message is not None
    assert done.message.startswith(f"Python {OTHER} is not here and could not be had: ")
    assert done.message.endswith(
        f"; install Python {OTHER} (uv python install {OTHER}), or write another python_version"
    )


def test_what_an_environment_is_made_from(project: Path) -> None:
    (project / "sub").mkdir()
    first = environment_of(project, build_command=BUILD)
    assert environment_of(project, build_command=BUILD) == first
    others = [
        environment_of(project, build_command=f"{BUILD} "),
        environment_of(project, build_command=BUILD, python_version=OTHER),
        environment_of(project, build_command=BUILD, package_manager="UV"),
        environment_of(project, project / "sub", build_command=BUILD),
    ]
    (project / "requirements.txt").write_text("probe==1.1\n")
    others.append(environment_of(project, build_command=BUILD))
    assert len({environment.folder for environment in [first, *others]}) == 6


def test_the_files_that_say_what_is_installed(tmp_path: Path) -> None:
    for name in ("requirements-dev.txt", "uv.lock", "x/base.txt", "x/pins.txt", "other.txt", "setup.cfg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a\n")
    (tmp_path / "x" / "base.txt").write_text("-r more.txt\nb\n--constraint=pins.txt\n-r ../../outside.txt\n")
    (tmp_path / "x" / "more.txt").write_text("-r base.txt\n")
    (tmp_path.parent / "outside.txt").write_text("c\n")
    build = f"pip install -rnone --requirement='x/base.txt' && pip install -e . {'y' * 5000} \0"
    found = requirement_files(tmp_path, tmp_path, build)
    names = [path.relative_to(tmp_path).as_posix() for path in found]
    assert names == ["requirements-dev.txt", "uv.lock", "x/base.txt", "x/more.txt", "x/pins.txt"]


@pytest.mark.parametrize(
    ("manager", "files", "build"),
    [
        ("PIP", ["requirements.txt"], "python -m pip install -r requirements.txt"),
        ("UV", ["requirements.txt"], "uv pip install -r requirements.txt"),
        ("UV", ["pyproject.toml"], "uv pip install -r pyproject.toml"),
        ("UV", ["pyproject.toml", "uv.lock"], "uv sync --frozen --active --inexact --no-install-project"),
        ("POETRY", ["pyproject.toml"], "poetry install --no-root"),
        (None, ["requirements.txt"], "python -m pip install -r requirements.txt"),
        ("PIP", ["pyproject.toml"], None),
        ("POETRY", [], None),
    ],
)
def test_a_dbt_task_installs_what_its_project_requires(
    tmp_path: Path, manager: str | None, files: list[str], build: str | None
) -> None:
    for name in files:
        (tmp_path / name).touch()
    parameters = {"package_manager": manager, "python_version": "3.12"}
    if build is None:
        with pytest.raises(JobError, match="nothing says which dbt is to be installed"):
            environments.of_dbt_task(parameters, tmp_path, attempt_in(tmp_path))
    else:
        environment = environments.of_dbt_task(parameters, tmp_path, attempt_in(tmp_path))
        assert environment.request["made_from"]["build"] == build


def test_the_lock_waits_and_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "x.lock"
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        timer = threading.Timer(0.05, lambda: fcntl.flock(file, fcntl.LOCK_UN))
        timer.start()
        with environments._locked(path, "waiting"):
            pass
    assert capsys.readouterr().out == "waiting\n"


@pytest.mark.parametrize(
    ("output", "package"),
    [
        ("ERROR: No matching distribution found for dbt-nothing==1.0\n", "dbt-nothing"),
        ("ERROR: Could not find a version that satisfies the requirement a.b_c (from versions: none)", "a.b_c"),
        ("  cause: Because left-pad was not found in the\n        cache and you require left-pad, we can", "left-pad"),
        ("  × No solution found\n  ╰─▶ Because there is no version of numpy==1.2.3 and you require", "numpy"),
        ("  cause: Failed to fetch: http://127.0.0.1:9/simple/pandas/\n  cause: error sending", "pandas"),
        ("error: Failed to fetch: `https://host/simple/dbt-core/`\n", "dbt-core"),
        ("  × Failed to download `numpy==2.1.0`\n", "numpy"),
        ("  × Failed to build `mysqlclient==2.2`\n", "mysqlclient"),
        ("ERROR: Failed building wheel for psycopg2\n", "psycopg2"),
        ("ERROR: Failed to build installable wheels\nerror: failed-wheel-build\nFailed to build 'lxml'\n", "lxml"),
        ("Unable to find installation candidates for duckdb (9.9)\n", "duckdb"),
        ("Because app depends on foo (^9) which doesn't match any versions, version solving failed.", "foo"),
        ("make: *** [all] Error 2\n", None),
        ("", None),
    ],
)
def test_the_package_to_blame(output: str, package: str | None) -> None:
    assert blamed_package(output) == package
