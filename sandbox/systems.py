"""Start, stop and move the example company's systems: what the command line and `make demo` call.

    up(), down(), reset(), status(), environment(), change()

Every function takes the `Home` (default: `.sandbox/` or SANDBOX_HOME) and raises sandbox.errors.SandboxError.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError, UsageError
from sandbox.home import Home
from sandbox.postgres import Postgres
from sandbox.processes import LOOPBACK, is_running, listen, start_time, stop, tail, uninterrupted
from sandbox.timeline import LAST_HISTORY_DAY, date_of

SYSTEMS = ("postgres", "salesforce", "sap")
SEED, SCALE = 7, 1
DOMAIN = "lumengoods.my"
SAP_PATH = "/sap/opu/odata/sap/API_OUTBOUND_DELIVERY_SRV"
Talk = Callable[[str], None]


def _silent(_: str) -> None: ...


def _names(names: Sequence[str]) -> list[str]:
    for name in names:
        if name not in SYSTEMS:
            raise UsageError(f"there is no system {name!r}", f"choose from: {', '.join(SYSTEMS)}")
    return [name for name in SYSTEMS if name in names or not names]


def is_up(home: Home, name: str) -> bool:
    state = home.read(name)
    return is_running(state.get("pid"), state.get("started"))


def has_data(home: Home, name: str) -> bool:
    """Whether the system was filled once, completely, and its data is still there."""
    state = home.read(name)
    if name != "postgres":
        return bool(state) and (home.path / f"{name}.db").exists()
    return bool(state.get("loaded")) and (Path(state["folder"]) / "data" / "PG_VERSION").exists()


# up


def up(
    names: Sequence[str] = (),
    *,
    seed: int | None = None,
    scale: int | None = None,
    home: Home | None = None,
    talk: Talk = _silent,
) -> list[str]:
    """Start the named systems (all by default) and return those that were not up before.

    The first call makes the data (seed 7, scale 1 unless given). Raises UsageError if another seed or scale is stored.
    If anything goes wrong, or on Ctrl-C, whatever this call started is stopped and half-made data is removed.
    """
    home, wanted = home or Home(), _names(names)
    if scale is not None and scale < 1:
        raise UsageError("the scale is a whole number from 1 on")
    fresh = not home.path.exists()
    with home.lock():
        company = home.read("company")
        for key, value in (("seed", seed), ("scale", scale)):
            if company and value is not None and company[key] != value:
                raise UsageError(
                    f"{home.path} holds the company with {key} {company[key]}, not {value}",
                    "to make another one (this deletes the stored data): python -m sandbox reset",
                )
        missing = [name for name in wanted if not (is_up(home, name) and has_data(home, name))]
        if not missing:
            return []
        made_home = not company
        if made_home:
            home.write("company", {"seed": SEED if seed is None else seed, "scale": scale or SCALE, "day": 0})
        filled = {name for name in missing if has_data(home, name)}
        try:
            _start(home, missing, talk)
        except BaseException:
            with uninterrupted():
                for name in missing:
                    stop_one(home, name)
                    if name not in filled:
                        _remove_data(home, name)
                if made_home:
                    home.remove() if fresh else (home.path / "company.json").unlink()
                else:
                    _write_env(home)
            raise
        _write_env(home)
        return missing


def _start(home: Home, names: list[str], talk: Talk) -> None:
    """The stand-ins fill themselves in their own processes while this one fills PostgreSQL."""
    ready: dict[str, int] = {}
    try:
        for name in names:
            if name != "postgres":
                ready[name] = _start_stand_in(home, name, talk)
        if "postgres" in names:
            _start_postgres(home, talk)
        for name, pipe in ready.items():
            select.select([pipe], [], [])  # readable when it says `ready`, or when the process ended
            if not os.read(pipe, 64):
                raise SandboxError(
                    f"{name} did not start:\n{tail(home.path / f'{name}.log')}", "python -m sandbox reset"
                )
            talk(f"{name} is up on port {home.read(name)['port']}")
    finally:
        for pipe in ready.values():
            os.close(pipe)


def _start_stand_in(home: Home, name: str, talk: Talk) -> int:
    """Start the process and return the pipe on which it will say `ready`."""
    state = home.read(name) or _credentials(name)
    if not has_data(home, name):
        stop_one(home, name)
        talk(f"filling {name}")
    reader, writer = os.pipe()
    try:
        with listen(state.get("port")) as sock:
            command = [sys.executable, "-m", "sandbox.serve", name, str(home.path), str(sock.fileno()), str(writer)]
            with home.new_file(f"{name}.log") as log:
                home.write(name, {**state, "port": sock.getsockname()[1], "pid": None})
                with uninterrupted():
                    process = subprocess.Popen(
                        command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                        pass_fds=(sock.fileno(), writer), cwd=Path(__file__).parent.parent,
                    )  # fmt: skip
                    home.update(name, pid=process.pid, started=start_time(process.pid))
                    process.returncode = 0  # it outlives us on purpose: no warning about a running child
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(writer)
    return reader


def _credentials(name: str) -> dict[str, Any]:
    if name == "salesforce":
        return {
            "consumer_key": "3MVG9" + secrets.token_urlsafe(30),
            "consumer_secret": secrets.token_hex(32).upper(),
            "username": "integration@lumengoods.example",
            "password": secrets.token_urlsafe(18),
        }
    return {"username": "LUMEN_ETL", "password": secrets.token_urlsafe(18)}


def _start_postgres(home: Home, talk: Talk) -> None:
    server = Postgres(home)
    if has_data(home, "postgres"):
        server.start()
    else:
        port = server.state.get("port")
        server.stop()
        server.remove()
        talk("filling postgres")
        server.create()
        if port:
            home.update("postgres", port=port)
        server.start()
        server.create_database()
        _fill_postgres(home, server)
    talk(f"postgres is up on port {server.state['port']}")


def _fill_postgres(home: Home, server: Postgres) -> None:
    from sandbox import webshop
    from sandbox.change import tables
    from sandbox.company import Company

    company = home.read("company")
    with server.connect() as connection:
        webshop.load(connection, tables(Company(company["seed"], company["scale"]))["postgres"], company["day"])
    home.update("postgres", loaded=True)


# down


def stop_one(home: Home, name: str) -> bool:
    if name == "postgres":
        return Postgres(home).stop()
    state = home.read(name)
    return stop(state.get("pid"), state.get("started"), signal.SIGTERM)


def down(names: Sequence[str] = (), *, home: Home | None = None, talk: Talk = _silent) -> list[str]:
    """Stop the named systems (all by default), wait until they have ended, return those that were up. Data stays."""
    home, wanted = home or Home(), _names(names)
    if not home.path.exists():
        return []
    with home.lock():
        stopped = []
        for name in wanted:
            if stop_one(home, name):
                stopped.append(name)
                talk(f"{name} is down")
        _write_env(home)
        return stopped


def reset(*, home: Home | None = None, talk: Talk = _silent) -> bool:
    """Stop everything and delete the state folder with all data; False if there was none."""
    home = home or Home()
    if not home.path.exists():
        return False
    with home.lock():
        for name in SYSTEMS:
            if stop_one(home, name):
                talk(f"{name} is down")
        Postgres(home).remove()
        home.remove()
    talk(f"removed {home.path}")
    return True


def _remove_data(home: Home, name: str) -> None:
    if name == "postgres":
        Postgres(home).remove()
    for path in home.path.glob(f"{name}.*"):
        path.unlink(missing_ok=True)


# look


def environment(*, home: Home | None = None) -> dict[str, str]:
    """The variables under which dlt and the workers look for these systems; of every system that was up once."""
    home = home or Home()
    known = {name: home.read(name) for name in SYSTEMS if has_data(home, name)}
    variables = {}
    if "postgres" in known:
        server = Postgres(home)
        variables["SOURCES__POSTGRES__CREDENTIALS"] = server.url()
        if server.state.get("warehouse"):  # homes that were made before it have none
            variables["DESTINATION__POSTGRES__CREDENTIALS"] = server.warehouse_url()
            variables["POSTGRES_PORT"] = str(server.state["port"])  # of dbt/postgres
    if state := known.get("salesforce"):
        variables |= {
            "SOURCES__SALESFORCE__ENDPOINT": f"http://{LOOPBACK}:{state['port']}",
            "SOURCES__SALESFORCE__DOMAIN": DOMAIN,
            "SOURCES__SALESFORCE__CONSUMER_KEY": state["consumer_key"],
            "SOURCES__SALESFORCE__CONSUMER_SECRET": state["consumer_secret"],
        }
    if state := known.get("sap"):
        variables |= {
            "SOURCES__SAP__URL": f"http://{LOOPBACK}:{state['port']}{SAP_PATH}",
            "SOURCES__SAP__USERNAME": state["username"],
            "SOURCES__SAP__PASSWORD": state["password"],
        }
    return variables


def exports(variables: dict[str, str]) -> str:
    """Lines for `eval` in any POSIX shell."""
    quoted = {name: value.replace("'", "'\\''") for name, value in variables.items()}
    return "\n".join(f"export {name}='{value}'" for name, value in quoted.items())


def _write_env(home: Home) -> None:
    """`.sandbox/env` exists while anything is up. It names stopped systems too: a worker then says which one is down."""
    if any(is_up(home, name) for name in SYSTEMS):
        variables = environment(home=home)
        home.write_text("env", "".join(f"{name}={value}\n" for name, value in variables.items()))
    else:
        (home.path / "env").unlink(missing_ok=True)


def status(*, home: Home | None = None) -> dict[str, Any]:
    """{"home", "seed", "scale", "day", "date", "systems": {name: {"up", "port", "pid", "data"}}}; null if not known."""
    home = home or Home()
    company = home.read("company")
    systems = {}
    for name in SYSTEMS:
        state, running = home.read(name), is_up(home, name)
        pid = state.get("pid") if running else None
        systems[name] = {"up": running, "port": state.get("port"), "pid": pid, "data": has_data(home, name)}
    return {
        "home": str(home.path),
        "seed": company.get("seed"),
        "scale": company.get("scale"),
        "day": company.get("day"),
        "date": str(date_of(LAST_HISTORY_DAY + company["day"])) if company else None,
        "systems": systems,
    }


# change


def change(days: int = 1, *, home: Home | None = None, talk: Talk = _silent) -> dict[str, Any]:
    """Let `days` days of business happen in every system that has data.

    Returns {"day", "date", "systems": {system: {table: {"inserted", "updated", "deleted"}}}}, the counts being sums
    over the days. Each system takes a day in one transaction and remembers it; the common day counter moves last. So
    after a crash the same command completes the day, and no row is written twice. PostgreSQL is started if it is down,
    and stopped again.
    """
    home = home or Home()
    if days < 1:
        raise UsageError("the number of days is a whole number from 1 on")
    if not home.exists:
        raise UsageError("there is no company yet", "python -m sandbox up")
    with home.lock():
        present = [name for name in SYSTEMS if has_data(home, name)]
        borrowed = "postgres" in present and not is_up(home, "postgres")
        try:
            if borrowed:
                Postgres(home).start()
            return _change(home, present, days, talk)
        finally:
            if borrowed:
                with uninterrupted():
                    Postgres(home).stop()


def _change(home: Home, present: list[str], days: int, talk: Talk) -> dict[str, Any]:
    from sandbox import layouts, store, webshop
    from sandbox.change import tables
    from sandbox.company import Company

    state = home.read("company")
    descriptions = tables(Company(state["seed"], state["scale"]))
    totals: dict[str, dict[str, dict[str, int]]] = {}
    day = state["day"]
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(Postgres(home).connect()) if "postgres" in present else None
        for day in range(state["day"] + 1, state["day"] + days + 1):
            for name in present:
                if name == "postgres":
                    counts = webshop.apply(connection, descriptions[name], day)
                else:
                    layout = layouts.SALESFORCE if name == "salesforce" else layouts.SAP
                    counts = store.apply(home.path / f"{name}.db", layout, descriptions[name], day)
                _add(totals.setdefault(name, {}), counts)
                _day_done(name, day)
            home.update("company", day=day)
            talk(f"day {day}: {date_of(LAST_HISTORY_DAY + day)}")
    return {"day": day, "date": str(date_of(LAST_HISTORY_DAY + day)), "systems": totals}


def _day_done(name: str, day: int) -> None:
    """Called when one system has a day; the tests break off here."""


def _add(totals: dict[str, dict[str, int]], counts: dict[str, dict[str, int]]) -> None:
    for table, kinds in counts.items():
        sums = totals.setdefault(table, dict.fromkeys(kinds, 0))
        for kind, number in kinds.items():
            sums[kind] += number
