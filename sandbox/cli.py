"""The command line: `python -m sandbox up|down|status|env|change|reset`. stdout is data, stderr is talk.

Exit codes: 0 done, 2 bad usage, 3 something failed, 130 interrupted.
"""

from __future__ import annotations

import json
import signal
import sys
import traceback
from typing import Annotated, Any

import typer

from sandbox import systems
from sandbox.errors import SandboxError
from sandbox.home import Home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The systems of Lumen Goods on this machine: a PostgreSQL webshop, and stand-ins for Salesforce and SAP. "
    "Everything listens on 127.0.0.1 only; the state is in .sandbox/ (or SANDBOX_HOME).",
)
Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME", help="postgres, salesforce, sap; all of them if none is named."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout.")]


def _talk(text: str) -> None:
    typer.echo(f"sandbox: {text}", err=True)


def _print_json(content: dict[str, Any]) -> None:
    typer.echo(json.dumps({"schema_version": 1, **content}))


@app.command()
def up(
    names: Names = None,
    seed: Annotated[
        int | None, typer.Option(help="Another seed, other rows. Only for the first `up`. [default: 7]")
    ] = None,
    scale: Annotated[
        int | None,
        typer.Option(min=1, help="1 is about 3,000 orders, 10 ten times that. Only for the first `up`. [default: 1]"),
    ] = None,
    load: Annotated[
        bool,
        typer.Option(
            "--load/--no-load", help="Load raw tables that the warehouses miss. [default: load]", show_default=False
        ),
    ] = True,
) -> None:
    """Start the systems; the first time, make their data and load it into the warehouses. What is up stays as it is.

    With names, or a SANDBOX_HOME of its own, nothing is loaded.
    """
    started = systems.up(names or (), seed=seed, scale=scale, talk=_talk)
    home = Home()
    if load and not names and home.is_default:
        from sandbox.warehouse import load as first_load

        first_load(home, _talk)
    if started:
        _talk('to use them from this shell: eval "$(python -m sandbox env)"')


@app.command()
def down(names: Names = None) -> None:
    """Stop the systems and wait until they have ended. Data, ports and credentials are kept for the next `up`."""
    systems.down(names or (), talk=_talk)


@app.command()
def reset() -> None:
    """Stop everything and delete the data. The next `up` starts from nothing, with any seed and scale."""
    if not systems.reset(talk=_talk):
        _talk("there was nothing to remove")


@app.command()
def status(as_json: Json = False) -> None:
    """Show what is up, on which port, and the company's date."""
    content = systems.status()
    if as_json:
        return _print_json(content)
    if content["seed"] is None:
        return _talk("no company yet; make one with: python -m sandbox up")
    company = "seed {seed}, scale {scale}, day {day} ({date}), in {home}".format(**content)
    _talk(company)
    for name, system in content["systems"].items():
        state = "up" if system["up"] else "down" if system["data"] else "not made yet"
        where = f"127.0.0.1:{system['port']}  pid {system['pid']}" if system["up"] else ""
        typer.echo(f"{name:<11} {state:<5} {where}".rstrip())
    return None


@app.command()
def env(as_json: Json = False) -> None:
    """Print the connection variables as `export` lines, for: eval "$(python -m sandbox env)"."""
    variables = systems.environment()
    if not variables:
        _talk("nothing to connect to yet; first: python -m sandbox up")
        raise typer.Exit(2)
    if as_json:
        return _print_json({"environment": variables})
    return typer.echo(systems.exports(variables))


@app.command()
def change(
    days: Annotated[int, typer.Option(min=1, help="How many days of business.")] = 1,
    as_json: Json = False,
) -> None:
    """Let days of business happen everywhere: new, changed and deleted rows. The systems may be up or down."""
    result = systems.change(days)
    if as_json:
        return _print_json(result)
    return _change_table(result)


@app.command()
def demo(
    stay_up: Annotated[bool, typer.Option("--stay-up", help="Leave the systems running afterwards.")] = False,
) -> None:
    """Start the company, run its pipeline, show the tables, stop what was started."""
    from sandbox.demo import demo as run_demo

    raise typer.Exit(run_demo(stay_up=stay_up, talk=_talk))


def _change_table(result: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Lumen Goods on {result['date']} (day {result['day']})", title_justify="left")
    table.add_column("system")
    table.add_column("table")
    for kind in ("inserted", "updated", "deleted"):
        table.add_column(kind, justify="right")
    for system, tables in result["systems"].items():
        for name, counts in tables.items():
            table.add_row(system, name, *(str(counts[kind]) for kind in ("inserted", "updated", "deleted")))
    Console(stderr=True).print(table)


def main() -> None:
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(
            number, signal.default_int_handler
        )  # being terminated, or losing the terminal, tidies up like Ctrl-C
    try:
        app()
    except SandboxError as error:
        typer.echo(f"sandbox: {error}", err=True)
        if error.hint:
            typer.echo(f"         {error.hint}", err=True)
        sys.exit(error.exit_code)
    except Exception:
        traceback.print_exc()
        typer.echo("sandbox: internal error, see above", err=True)
        sys.exit(3)
