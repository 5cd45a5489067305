"""`rehearse run --isolate`: an environment of its own for a task, as the platform makes one, but kept for the next time.

`Environment` is what `prepare` knows of it: where it is, from what it is made. The program below (`main`) makes it, unless
it is there. It is kept in .rehearse/envs/<digest>; the digest covers everything that it is made from, so that a changed
requirements file leads to another one. It is made where it stays, because a virtual environment cannot be moved: its
scripts name their interpreter. It counts from the moment that its `rehearse.json` is there, which is written last and
by rename, and a lock keeps two tasks from making the same one. What a killed build left behind is removed by the next.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rehearse.jobs.base import Attempt, JobError, Step, host_step
from rehearse.jobs.report import report
from rehearse.planning.secrets import parts_to_hide

VARIABLE = "REHEARSE_ENVIRONMENT"
READY = "rehearse.json"
_FORMAT = 1  # of what is in the folder; a higher one makes all of them anew
_DEFAULT_VERSION = "3.12"
_INSTALLERS = ("PIP_", "UV_", "POETRY_")  # settings of yours that a build sees: where packages are, and the cache
_REQUIREMENT_FILES = ("requirements*.txt", "pyproject.toml", "uv.lock", "poetry.lock")
_INCLUDED = re.compile(r"^\s*(?:-r|--requirement|-c|--constraint)[ =]?(\S+)", re.MULTILINE)
_TAIL = 400  # lines of an installer's output in which the package is looked for


@dataclass(frozen=True)
class Environment:
    """`folder`: of the virtual environment. `request`: what `main` needs to make it. `variables`: settings of installers."""

    folder: Path
    request: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    def build_step(self, env: Mapping[str, str]) -> Step:
        """Make it unless it is there. Its output is the beginning of the task's log."""
        settings = {**self.variables, **env, VARIABLE: json.dumps(self.request)}
        return host_step("environments", settings, Path(self.request["cwd"]))

    def step(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> Step:
        """A command inside it: `python` is its interpreter."""
        words = [str(self.python), *argv[1:]] if argv[0] == "python" else argv
        return Step(words, activated({**self.variables, **env}, self.folder), cwd)

    def secrets(self) -> tuple[str, ...]:
        """Passwords of package indexes, which installers like to print."""
        return tuple(part for value in self.variables.values() for part in parts_to_hide(value))


def of_python_task(parameters: Mapping[str, Any], cwd: Path, attempt: Attempt) -> Environment:
    return _environment(parameters, cwd, attempt, str(parameters.get("build_command") or ""))


def of_dbt_task(parameters: Mapping[str, Any], cwd: Path, attempt: Attempt) -> Environment:
    """A dbt task has no build_command: its project's requirements are installed. Raises JobError when it has none."""
    manager = parameters.get("package_manager") or "PIP"
    if manager == "POETRY":
        wanted, build = "pyproject.toml", "poetry install --no-root"
    elif manager == "UV" and (cwd / "pyproject.toml").is_file():
        # Neither writes a lock file, which would make another environment the next time.
        locked = (cwd / "uv.lock").is_file()
        wanted = "pyproject.toml"
        build = (
            "uv sync --frozen --active --inexact --no-install-project" if locked else "uv pip install -r pyproject.toml"
        )
    else:
        wanted = "requirements.txt"
        build = "uv pip install -r requirements.txt" if manager == "UV" else "python -m pip install -r requirements.txt"
    if not (cwd / wanted).is_file():
        raise JobError(
            f"nothing says which dbt is to be installed: there is no {wanted} in {cwd}",
            "write dbt-core and the adapter into it, or run without --isolate",
        )
    return _environment(parameters, cwd, attempt, build)


def _environment(parameters: Mapping[str, Any], cwd: Path, attempt: Attempt, build: str) -> Environment:
    root = attempt.root.resolve()
    python = str(parameters.get("python_version") or _DEFAULT_VERSION)
    made_from = {
        "format": _FORMAT, "python": python, "manager": parameters.get("package_manager") or "PIP", "build": build,
        "folder": cwd.relative_to(root).as_posix(), "sdk": _with_dependencies("orchestra-sdk"),
        "files": {os.path.relpath(path, root): _digest(path.read_bytes()) for path in requirement_files(cwd, root, build)},
    }  # fmt: skip
    digest = _digest(json.dumps(made_from, sort_keys=True).encode())
    ignored = [f"{name} is ignored: the task runs in this checkout" for name in ("branch", "shallow_clone_dirs")
               if parameters.get(name)]  # fmt: skip
    folder = root / ".rehearse" / "envs" / digest[:16]
    request = {"folder": str(folder), "cwd": str(cwd), "made_from": made_from, "notes": ignored}
    settings = {name: value for name, value in os.environ.items() if name.startswith(_INSTALLERS)}
    return Environment(folder, request, settings)


def requirement_files(cwd: Path, root: Path, build: str) -> list[Path]:
    """The files that say what is installed: those with usual names, those named in the command, and what they include."""
    found = {path for pattern in _REQUIREMENT_FILES for path in cwd.glob(pattern)}
    read = re.sub(r">+\s*\S+", " ", build)  # what it writes is not what it is made from
    found |= {cwd / word for word in re.split(r"[\s'\"=;&|()]+", read) if word}
    files: set[Path] = set()
    waiting = [*found]
    while waiting:
        try:
            path = waiting.pop().resolve()
            if path in files or not path.is_relative_to(root) or not path.is_file():
                continue
        except (OSError, ValueError):  # a word that cannot be a name: too long, or with a NUL
            continue
        files.add(path)
        if path.suffix == ".txt":
            included = _INCLUDED.findall(path.read_text(encoding="utf-8", errors="replace"))
            waiting += [path.parent / name for name in included]
    return sorted(files)


def activated(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The same variables inside an environment. The one that rehearse is installed in leaves the PATH."""
    bin_folder = str(folder / "bin")
    left = [
        entry for entry in env.get("PATH", os.defpath).split(os.pathsep) if entry != os.path.dirname(sys.executable)
    ]
    own = {
        "PATH": os.pathsep.join([bin_folder, *left]),
        "VIRTUAL_ENV": str(folder),
        "UV_PROJECT_ENVIRONMENT": str(folder),
    }
    return {**env, **own}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# The program


class BuildError(Exception):
    """The environment could not be made; one sentence that says why."""


def main() -> int:
    request = json.loads(os.environ.pop(VARIABLE))
    folder = Path(request["folder"])
    for note in request["notes"]:
        _say(note)
    try:
        _make(folder, request)
    except BuildError as e:
        _say(f"error: {e}")
        report("FAILED", str(e))
        return 1
    except OSError as e:
        report("FAILED", f"the environment cannot be made: {e}")
        raise
    return 0


def _make(folder: Path, request: Mapping[str, Any]) -> None:
    if _is_ready(folder):
        _say(f"environment {folder.name}: as it was built")
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_suffix(".lock"), f"environment {folder.name}: another task is building it"):
        if _is_ready(folder):
            return
        shutil.rmtree(folder, ignore_errors=True)  # half of one
        made_from = request["made_from"]
        _say(f"environment {folder.name}: building it with Python {made_from['python']}")
        try:
            _build(folder, made_from, request["cwd"])
        except BuildError:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        temporary = folder / f".{READY}"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump(made_from, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(folder / READY)


def _is_ready(folder: Path) -> bool:
    return (folder / READY).is_file()


@contextmanager
def _locked(path: Path, waiting: str) -> Iterator[None]:
    """The kernel takes the lock back from who dies."""
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            _say(waiting)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _build(folder: Path, made_from: Mapping[str, Any], cwd: str) -> None:
    uv = shutil.which("uv")
    interpreter = _make_venv(folder, made_from["python"], uv)
    env = activated(os.environ, folder)
    env.pop("PYTHONPATH", None)
    for name in ("uv", "poetry"):  # on the platform they are there
        if found := shutil.which(name):
            (folder / "bin" / name).symlink_to(found)
    _install(made_from["sdk"], interpreter, uv, env, cwd)
    if made_from["build"].strip():
        # The only place where a shell reads what stands in a pipeline; `validate` allows no expression in it.
        _run(["/bin/sh", "-e", "-c", made_from["build"]], env, cwd, "build_command")


def _make_venv(folder: Path, python: str, uv: str | None) -> str:
    """Returns the path of its interpreter. pip is put in from what Python brings along, without a network."""
    hint = f"install Python {python} (uv python install {python}), or write another python_version"
    interpreter = str(folder / "bin" / "python")
    ours = python == f"{sys.version_info.major}.{sys.version_info.minor}"
    if uv:
        _quietly(
            [uv, "venv", "--quiet", "--no-project", "--python", sys.executable if ours else python, str(folder)],
            f"Python {python} is not here and could not be had", hint,
        )  # fmt: skip
        # uv unpacks the wheel that ensurepip would run in several seconds
        where = "import ensurepip, os; print(os.path.join(os.path.dirname(ensurepip.__file__), '_bundled'))"
        bundled = subprocess.run([interpreter, "-c", where], capture_output=True, text=True).stdout.strip()
        put = [uv, "pip", "install", "--quiet", "--python", interpreter, "pip"]
        if (
            bundled
            and not subprocess.run([*put, "--no-index", "--find-links", bundled], capture_output=True).returncode
        ):
            return interpreter
        _quietly(put, "pip cannot be put into the environment", "is the network up?")
        return interpreter
    base = getattr(sys, "_base_executable", sys.executable) if ours else shutil.which(f"python{python}")
    if base is None:
        raise BuildError(f"Python {python} is not here; {hint}")
    _quietly([base, "-m", "venv", str(folder)], f"Python {python} cannot make an environment", hint)
    return interpreter


def _install(packages: list[str], interpreter: str, uv: str | None, env: dict[str, str], cwd: str) -> None:
    """Exact versions, all that there are: out of uv's cache when it has them, as after `make install`."""
    if uv is None:
        _run([interpreter, "-m", "pip", "install", "--quiet", "--no-deps", *packages], env, cwd, packages[0])
        return
    install = [uv, "pip", "install", "--quiet", "--no-deps", "--python", interpreter, *packages]
    if subprocess.run([*install, "--offline"], env=env, cwd=cwd, capture_output=True).returncode:
        _run(install, env, cwd, packages[0])


def _with_dependencies(name: str) -> list[str]:
    """`name==version` of an installed package and of all that it needs."""
    from importlib.metadata import requires, version  # 10 ms, which only --isolate pays

    found: dict[str, str] = {}
    waiting = [name]
    while waiting:
        name = re.sub(r"[-_.]+", "-", waiting.pop()).lower()
        if name not in found:
            found[name] = version(name)
            needed = [need for need in requires(name) or () if ";" not in need]
            waiting += [match[0] for need in needed if (match := re.match(r"[\w.-]+", need))]
    return [f"{name}=={number}" for name, number in found.items()]


def _quietly(command: list[str], problem: str, hint: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{problem}: {_reason(done.stderr or done.stdout)}; {hint}")


def _run(command: list[str], env: dict[str, str], cwd: str, what: str) -> None:
    """A command of the build, its output passed on. Raises BuildError naming the package that is to blame."""
    lines: deque[str] = deque(maxlen=_TAIL)
    with subprocess.Popen(
        command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line[:2000])
            print(line, end="", flush=True)
    if process.returncode:
        package = blamed_package("".join(lines))
        why = f": package '{package}' could not be installed" if package else ""
        raise BuildError(f"{what} failed (exit code {process.returncode}){why}; the log has all of its output")


_BLAME = (  # compiled when an installer fails
    r"No matching distribution found for ([\w.-]+)",
    r"satisfies the requirement ([\w.-]+)",
    r"[Bb]ecause (?:only )?([\w.-]+)(?:[<>=!~]\S*)? was not found",
    r"there (?:is|are) no versions? of ([\w.-]+)",
    r"[Ff]ailed to (?:download|build|prepare) `([\w.-]+)",
    r"[Ff]ailed to fetch: `?\w+://\S*?([\w.-]+)/?[` ]",
    r"[Ff]ailed (?:building wheel for |to build ')([\w.-]+)",
    r"[Uu]nable to find installation candidates for ([\w.-]+)",
    r"depends on ([\w.-]+) \([^)]*\) which doesn't match any versions",
    r"Invalid requirement: '([\w.-]+)",
)


def blamed_package(output: str) -> str | None:
    """The package that pip, uv or Poetry could not install, out of what they print."""
    text = re.sub(r"\s+", " ", re.sub(r"\x1b\[[0-9;]*m|[│╰─▶├×]", "", output)) + " "
    return next((match.group(1) for pattern in _BLAME if (match := re.search(pattern, text))), None)


def _reason(text: str) -> str:
    """The one line to show of what a tool prints: uv has the cause in the last line of its chain."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    causes = [line.removeprefix("cause:").strip() for line in lines if line.startswith("cause:")]
    return causes[-1] if causes else lines[0] if lines else "it does not say why"


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
