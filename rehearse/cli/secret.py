"""`rehearse secret`: values that rehearse.toml and pipelines only name. They are never printed."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.common import Json

if TYPE_CHECKING:
    from rehearse.bindings.config import Bindings

secret = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Keep secrets where rehearse finds them: the keyring, or .env.local.",
)


@secret.command("set")
def set_secret(
    name: Annotated[str, typer.Argument(metavar="NAME")],
    file: Annotated[bool, typer.Option("--file", help="In .env.local (mode 0600) instead of the keyring.")] = False,
) -> None:
    """Keep a secret. Its value is asked for without showing it, or is what stdin holds; it is no argument, which others see."""
    from rehearse.bindings import secrets
    from rehearse.bindings.config import find_root
    from rehearse.cli.output import tell
    from rehearse.errors import UsageError

    if not secrets.NAME.fullmatch(name):
        raise UsageError(f"'{name}' cannot be the name of a variable", "letters, digits and _, such as API_TOKEN")
    root = find_root(Path.cwd())
    value = _ask(name)
    if file:
        path = root / secrets.FILES[0]
        secrets.write_env_file(path, name, value)
        tell(f"{name} is in {path}")
        _warn_of_git(path)
    else:
        secrets.keep_in_keyring(name, value)
        tell(f"{name} is in the keyring")
    if (found := secrets.locate_written(name, root)) is not None and found[1] != value:
        tell(f"warning: {found[0]} has another value, which wins", style="yellow")


@secret.command("list")
def list_secrets(as_json: Json = False) -> None:
    """Where each variable comes from that rehearse.toml names, or a pipeline reads as secrets.NAME. No values."""
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.bindings.secrets import locate
    from rehearse.cli.problems import print_json, printable

    root = find_root(Path.cwd())
    files = _named(load_bindings(root))
    found = {}
    for name, env_file in sorted(files.items()):
        located = locate(name, root, env_file)
        found[name] = located[0] if located else None
    if as_json:
        print_json({"schema_version": 1, "secrets": [{"name": n, "found_in": place} for n, place in found.items()]})
        return
    width = max(map(len, found), default=0)
    for name, place in found.items():
        typer.echo(printable(f"{name:<{width}}  {place or 'nowhere'}"))


def _named(bindings: Bindings) -> dict[str, Path | None]:
    """Variable -> the file that its connection names beside the usual places."""
    from rehearse.bindings.secrets import names_in

    found: dict[str, Path | None] = dict.fromkeys(_read_by_pipelines(bindings.root))
    for connection in bindings.connections.values():
        for _, text in connection.written():
            found |= dict.fromkeys(names_in(text), connection.env_file)
    return found


def _read_by_pipelines(root: Path) -> set[str]:
    from rehearse.engine.plans import PIPELINES
    from rehearse.errors import RehearseError
    from rehearse.language.templates import parse_condition
    from rehearse.language.validation import load_pipeline
    from rehearse.planning.preview import secret_names

    found: set[str] = set()
    for path in sorted((root / PIPELINES).glob("*.y*ml")):
        try:
            pipeline = load_pipeline(path).pipeline
        except RehearseError:
            continue  # `validate` says why
        groups = pipeline.groups().values()
        tasks = [task for group in groups for task in group.tasks.values()]
        conditions = [*(group.condition for group in groups), *(task.condition for task in tasks)]
        nodes = [node for condition in conditions if condition for _, node in parse_condition(condition).nodes]
        found |= secret_names([nodes, [task.parameters for task in tasks]])
    return found


def _ask(name: str) -> str:
    from rehearse.errors import UsageError

    if sys.stdin.isatty():
        from getpass import getpass

        value = getpass(f"{name}: ", stream=sys.stderr)
    else:
        value = sys.stdin.read().removesuffix("\n").removesuffix("\r")
    if not value:
        raise UsageError(f"no value was given for {name}", f"printf %s VALUE | rehearse secret set {name}")
    return value


def _warn_of_git(path: Path) -> None:
    import subprocess

    from rehearse.cli.output import tell

    try:
        done = subprocess.run(["git", "check-ignore", "-q", path.name], cwd=path.parent, capture_output=True)
    except OSError:
        return
    if done.returncode == 1:
        tell(f"warning: git does not ignore it: echo {os.path.basename(path)} >> .gitignore", style="yellow")
