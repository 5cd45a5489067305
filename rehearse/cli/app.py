"""The `rehearse` command. Verbs import what they need when they run, so that --help stays quick."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from rehearse import __version__
from rehearse.cli.doctor import doctor
from rehearse.cli.explain import explain
from rehearse.cli.logs import logs
from rehearse.cli.plan import plan
from rehearse.cli.requests import approve, cancel
from rehearse.cli.resume import resume
from rehearse.cli.retry import retry
from rehearse.cli.run import run
from rehearse.cli.runs import runs
from rehearse.cli.schedule import schedule
from rehearse.cli.schema import schema
from rehearse.cli.secret import secret
from rehearse.cli.serve import serve
from rehearse.cli.show import show
from rehearse.cli.validate import validate
from rehearse.errors import RehearseError

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Run Orchestra pipelines on this machine: the same YAML, offline.\n\n"
    "Exit codes: 0 ok, 1 the run failed, 2 bad usage or invalid file, 3 internal error, 130 interrupted.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rehearse {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command()(validate)
app.command()(plan)
app.command()(run)
app.command()(runs)
app.command()(show)
app.command()(logs)
app.command()(cancel)
app.command()(approve)
app.command()(retry)
app.command()(resume)
app.command()(serve)
app.command()(schedule)
app.command()(doctor)
app.add_typer(secret, name="secret")
app.command()(explain)
app.command()(schema)


def main() -> None:
    """Entry point: turns errors that we raise on purpose into messages and exit codes."""
    try:
        app()
    except RehearseError as e:
        from rehearse.cli.output import complain

        complain(e)
        sys.exit(e.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as e:
        if os.environ.get("REHEARSE_DEBUG"):
            raise
        from rehearse.cli.problems import printable

        said = printable(str(e).splitlines()[0]) if str(e) else ""
        print(f"error: internal error: {type(e).__name__}: {said}", file=sys.stderr)
        print("  REHEARSE_DEBUG=1 shows the traceback, which we would like to see", file=sys.stderr)
        sys.exit(3)
