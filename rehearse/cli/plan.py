"""`rehearse plan`"""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.common import (
    At,
    ContinueDownstream,
    Environment,
    File,
    FromFailed,
    Inputs,
    Selection,
    SetEnv,
    Tasks,
    parse_time,
    prepare,
    wants_json,
)

if TYPE_CHECKING:
    from rich.tree import Tree

    from rehearse.planning.plan import Plan


class Format(StrEnum):
    tree = "tree"
    json = "json"
    mermaid = "mermaid"


def plan(
    file: File,
    inputs: Inputs = None,
    environment: Environment = None,
    set_env: SetEnv = None,
    tasks: Tasks = None,
    continue_downstream: ContinueDownstream = False,
    from_failed: FromFailed = None,
    at: At = None,
    format: Annotated[
        Format | None, typer.Option(help="mermaid: a flowchart for Markdown.", show_default="tree")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="The same as --format json.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also the parameters, with all values filled in that are known.")
    ] = False,
) -> None:
    """Show what a run would do, without doing anything.

    Which tasks, in which order, with which inputs; what a matrix comes to; and what this machine would only simulate or
    could not run. Values of variables with PASS, PWD, SECRET, TOKEN, KEY, CREDENTIAL, PRIVATE, AUTH or SIGNATURE in their
    name, or PAT or DSN as a word of it, URLs with a password and webhook URLs of Slack, Discord and Teams are shown as
    ********.
    """
    from rehearse.cli.problems import print_json, printable, show_problem

    in_json = wants_json(as_json, format)
    selection = Selection(tasks or (), continue_downstream, from_failed)
    prepared = prepare(file, inputs, environment, selection, parse_time(at), set_env)
    made = prepared.plan
    for warning in prepared.warnings:
        show_problem(warning)
    if in_json:
        from rehearse.planning.json_form import to_json

        print_json(to_json(made))
    elif format is Format.mermaid:
        from rehearse.planning.mermaid import to_mermaid

        sys.stdout.write(printable(to_mermaid(made), keep="\n"))
    else:
        _print_tree(made, verbose)


def _print_tree(plan: Plan, verbose: bool) -> None:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from rehearse.cli.problems import printable
    from rehearse.planning.tree import Branch, summary, to_tree

    def grow(branch: Branch, parent: Tree | None = None) -> Tree:
        text = Text.assemble(*((printable(part, keep="\n"), style) for part, style in branch.spans))
        tree = Tree(text, guide_style="dim") if parent is None else parent.add(text)
        for below in branch.below:
            grow(below, tree)
        return tree

    console = Console(highlight=False)
    wrapped = console.is_terminal
    if not wrapped:
        console.width = 10_000  # a pipe has no edge to wrap at
    console.print(grow(to_tree(plan, verbose)), soft_wrap=not wrapped)
    for line, style in summary(plan):
        console.print(Text(printable(line), style), soft_wrap=not wrapped)
