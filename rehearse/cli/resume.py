"""`rehearse resume`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rehearse.cli.common import Json
from rehearse.cli.driving import Approvals, Executor, Options, Workers, drive


def resume(
    run: Annotated[str | None, typer.Argument(metavar="RUN", help="Only this one: an id or its beginning.")] = None,
    workers: Workers = None,
    executor: Executor = None,
    approvals: Approvals = None,
    as_json: Json = False,
) -> None:
    """Go on with the runs whose rehearse died: nothing that has run already runs again.

    `rehearse run` does the same on the side. Exit code 1 when one of them failed.
    """
    from rehearse.bindings.config import find_root, load_bindings

    bindings = load_bindings(find_root(Path.cwd()))
    options = Options(workers, executor, approvals, as_json=as_json)
    raise typer.Exit(drive(bindings, options, here=Path.cwd(), only=run))
