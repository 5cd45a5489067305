"""`rehearse validate`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def validate(
    paths: Annotated[
        list[Path] | None, typer.Argument(help="Pipeline files or folders.", show_default="orchestra/")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the problems as JSON on stdout.")] = False,
) -> None:
    """Check pipeline files: every problem at its line and column, offline."""
    from rehearse.cli.output import print_json, show_problem, talk
    from rehearse.errors import UsageError
    from rehearse.language.document import read_document
    from rehearse.language.validation import check

    files: list[Path] = []
    for path in paths or [Path("orchestra")]:
        found = [path] if path.is_file() else sorted(p for p in path.rglob("*") if _is_pipeline(p))
        if not found:
            raise UsageError(f"there is no pipeline at {path}", "name a .yml file or a folder that has some")
        files += found
    problems = [problem for file in files for problem in check(read_document(file))[1]]
    errors = sum(problem.severity == "error" for problem in problems)
    if as_json:
        print_json({"schema_version": 1, "files": [str(f) for f in files], "problems": [p.as_dict() for p in problems]})
    else:
        for problem in problems:
            show_problem(problem)
        verdict = f"{errors} error(s)" if errors else "valid"
        talk.print(f"{len(files)} file(s): {verdict}, {len(problems) - errors} warning(s)")
    raise typer.Exit(2 if errors else 0)


def _is_pipeline(path: Path) -> bool:
    hidden = any(part.startswith(".") and part not in (".", "..") for part in path.parts)
    return path.suffix in (".yml", ".yaml", ".oml") and not hidden and path.is_file()
