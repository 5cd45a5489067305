"""`rehearse serve`"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.driving import Executor, Workers

if TYPE_CHECKING:
    from rehearse.api.service import Service
    from rehearse.engine.lease import Lease
    from rehearse.triggers.loop import Loop

HEARTBEAT_SECONDS = 5.0


def serve(
    host: Annotated[
        str, typer.Option(help="The address to listen at; any but this machine's own needs --expose.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="0 takes any free one.", show_default="8642 or the next free one"),
    ] = None,
    expose: Annotated[
        bool, typer.Option("--expose", help="Let other machines reach it; they need the token, too.")
    ] = False,
    workers: Workers = None,
    executor: Executor = None,
    no_triggers: Annotated[
        bool,
        typer.Option("--no-triggers", help="Start nothing by itself: no schedules, sensors and events, no alerts."),
    ] = False,
    no_edits: Annotated[
        bool, typer.Option("--no-edits", help="Refuse to create, change or delete pipelines over the API.")
    ] = False,
    window_hours: Annotated[int, typer.Option(min=1, max=168, help="How far back lists go that name no time.")] = 24,
    rate: Annotated[int, typer.Option(min=0, help="Test switch: requests per minute and key; 0 is no limit.")] = 0,
    latency: Annotated[float, typer.Option(min=0, help="Test switch: seconds that are added to each answer.")] = 0.0,
    force: Annotated[
        list[str] | None,
        typer.Option(
            "--force", metavar="'METHOD PATH STATUS'", help="Test switch: answer so, such as '* */start 503'."
        ),
    ] = None,
) -> None:
    """Be an Orchestra workspace: its API, webhook and triggers, for the pipelines of orchestra/.

    Clients of the platform need BASE_URL and ORCHESTRA_API_KEY, which are printed. Ctrl-C stops the server; tasks that run
    go on, and the next `rehearse serve` takes them up.
    """
    from socket import gethostname

    from rehearse.api.app import create_app
    from rehearse.api.keys import load_keys
    from rehearse.api.server import LOOPBACK, Server, open_socket
    from rehearse.api.service import Service, Switches
    from rehearse.bindings.config import find_root
    from rehearse.bindings.current import CurrentBindings
    from rehearse.cli.app import settle
    from rehearse.cli.output import tell
    from rehearse.cli.progress import ServedLines, make_progress
    from rehearse.engine.attempts import Workshop
    from rehearse.engine.lease import Lease
    from rehearse.engine.pools import make_pool
    from rehearse.engine.service import serve_runs
    from rehearse.errors import BindingError, UsageError
    from rehearse.store.records import open_store

    if host not in LOOPBACK and not expose:
        raise UsageError(
            f"--host {host} lets other machines in, and whoever has the token runs code here",
            "add --expose if that is meant",
        )
    root = find_root(Path.cwd())
    bindings = CurrentBindings(root)
    switches = Switches(rate, tuple(_forced(text) for text in force or ()), latency, window_hours)
    service = Service(root, load_keys(root), bindings, switches, allow_edits=not no_edits)
    service.hosts |= {host, gethostname().lower()}
    service.exposed = expose
    workshop = Workshop(root, bindings())
    workshop.warm_up()
    store = open_store(root)
    listener, note = open_socket(host, port)
    server = Server(create_app(service), listener)
    try:
        lease = Lease(store, server.url)
    except UsageError:
        listener.close()
        workshop.close()
        raise
    pool = make_pool(executor, workshop, workers or max(4, 2 * (os.cpu_count() or 1)))
    settle()
    with make_progress(Path.cwd(), ServedLines) as progress:
        loop = _loop(service, lease, progress.note, not no_triggers)
        try:
            service.wake = loop.wake
            server.start()
            loop.start()
            if note:
                progress.note(note)
            tell(
                ("rehearse serves ", ""),
                (service.account_name, "bold"),
                f" at {server.url}/?token={service.keys.read_write}",
            )
            tell(
                f"  BASE_URL={server.url} ORCHESTRA_API_KEY=$(cat {_shown(root / '.rehearse' / 'token')})", style="dim"
            )

            def over() -> bool:
                with suppress(BindingError):  # triggers and routes say so; tasks go on with what was right
                    workshop.bindings = bindings()
                return lease.lost

            serve_runs(workshop, lambda: open_store(root), pool, progress, over)
            progress.note("Stopped. Tasks that run go on; the next rehearse serve takes their runs up.")
        finally:
            server.stop()
            loop.stop()
            lease.leave(store)
            store.close()
            pool.close()
            workshop.close()


def _loop(service: Service, lease: Lease, tell: Callable[[str], None], with_triggers: bool) -> Loop:
    """What comes due by itself. It has its own store: the loop is a thread."""
    from rehearse.store.records import open_store
    from rehearse.triggers.alerting import Alerting
    from rehearse.triggers.events import Events
    from rehearse.triggers.loop import Loop, Tick, every, when_leading
    from rehearse.triggers.runner import Schedules
    from rehearse.triggers.sensors import Sensors

    def make() -> dict[str, Tick]:
        store = open_store(service.root)
        ticks: dict[str, Tick] = {"lease": every(HEARTBEAT_SECONDS, lambda: lease.beat(store))}
        if with_triggers:
            root, files, bindings = service.root, service.files, service.bindings
            alerting = Alerting(root, store, bindings, tell)
            sensors = Sensors(root, store, files, bindings, tell, alerting.of_sensor)
            ticks |= {
                "schedules": Schedules(root, store, files, bindings, tell).tick, "sensors": sensors.tick,
                "events": Events(root, store, files, bindings, tell).tick, "alerts": alerting.tick,
            }  # fmt: skip
        return {name: tick if name == "lease" else when_leading(store, tick) for name, tick in ticks.items()}

    return Loop(make, tell)


def _forced(text: str) -> tuple[str, str, int]:
    from rehearse.errors import UsageError

    words = text.split()
    if len(words) != 3 or not words[2].isdigit() or not 400 <= int(words[2]) <= 599:
        raise UsageError(f"--force {text!r} is not METHOD PATH STATUS", "for example: --force 'POST */start 503'")
    return words[0].upper(), words[1], int(words[2])


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
