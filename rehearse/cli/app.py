"""The `rehearse` command. Verbs import what they need when they run, so that --help stays quick."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterable
from importlib import import_module
from typing import Annotated

# A start makes 200,000 objects, none of them garbage, and to look at them takes 50 ms. Who stays calls `settle`.
gc.set_threshold(500_000)

import typer  # noqa: E402

from rehearse import __version__  # noqa: E402
from rehearse.errors import RehearseError  # noqa: E402


def _version(wanted: bool) -> None:
    if wanted:
        print(f"rehearse {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


VERBS = {
    "validate": "validate", "plan": "plan", "run": "run", "runs": "runs", "show": "show", "logs": "logs", "cancel": "requests",
    "approve": "requests", "retry": "retry", "resume": "resume", "serve": "serve", "schedule": "schedule", "doctor": "doctor",
    "secret": "secret", "explain": "explain", "schema": "schema",
}  # fmt: skip
"""Verb -> the module of `rehearse.cli` that has it, in the order of --help."""


def make_app(verbs: Iterable[str] = VERBS) -> typer.Typer:
    """The command with these verbs. To take in all of them costs 40 ms: a run needs one."""
    app = typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        help="Run Orchestra pipelines on this machine: the same YAML, offline.\n\n"
        "Exit codes: 0 ok, 1 the run failed, 2 bad usage or invalid file, 3 internal error, 130 interrupted.",
    )
    app.callback()(_root)
    for verb in verbs:
        found = getattr(import_module(f"rehearse.cli.{VERBS[verb]}"), verb)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=verb)
        else:
            app.command()(found)
    return app


def settle() -> None:
    """The start is over, and this process stays: what it has made is no garbage, what it makes from now on may be."""
    gc.freeze()
    gc.set_threshold(50_000)


def main() -> None:
    """Entry point: turns errors that we raise on purpose into messages and exit codes."""
    wanted = sys.argv[1:2]
    try:
        make_app(wanted if set(wanted) & VERBS.keys() else VERBS)()
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
    finally:
        gc.freeze()  # else the interpreter looks through everything before it ends, which takes 50 ms
