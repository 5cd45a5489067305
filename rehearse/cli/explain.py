"""`rehearse explain`"""

from __future__ import annotations

import shutil
import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from rehearse.cli.common import Json

if TYPE_CHECKING:
    from rehearse.language.reference import Topic


def explain(
    topic: Annotated[
        str | None,
        typer.Argument(
            metavar="[TOPIC]", help="A key, job, parameter, integration, sensor, function, variable or code."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Print the reference of a key, a job, a function or a problem's code: retries, DBT_CORE_EXECUTE, raw-splice.

    Without a topic: the list of them.
    """
    from rehearse.cli.problems import print_json
    from rehearse.errors import UsageError
    from rehearse.language.reference import find, topics

    if topic is None:
        found, near = list(topics()), None
    else:
        found, near = find(topic)
    if not found:
        hint = f"did you mean '{near}'?" if near else "rehearse explain lists the topics"
        raise UsageError(f"there is nothing to explain about '{topic}'", hint)
    if as_json:
        print_json({"schema_version": 1, "topics": [_as_dict(each) for each in found]})
    elif topic is None:
        _print_index(found)
    else:
        for number, each in enumerate(found):
            if number:
                typer.echo("")
            _print_topic(each)


def _as_dict(topic: Topic) -> dict[str, object]:
    return {**topic._asdict(), "entries": [entry._asdict() for entry in topic.entries]}


def _print_topic(topic: Topic) -> None:
    typer.echo(typer.style(topic.name, bold=True) + typer.style(f"  {topic.kind}, section {topic.section}", dim=True))
    for line in topic.text.splitlines():
        typer.echo(textwrap.fill(line, _width(), initial_indent="  ", subsequent_indent="  "))
    width = max((len(entry.name) for entry in topic.entries), default=0)
    for entry in topic.entries:
        head = f"  {typer.style(entry.name.ljust(width), fg=typer.colors.CYAN)}  "
        note = f"{entry.type}{', required' if entry.required else ''}"
        text = f"{entry.text} " if entry.text else ""
        body = textwrap.wrap(f"{text}({note})", max(30, _width() - 4 - width)) or [""]
        typer.echo(head + ("\n" + " " * (width + 4)).join(body))


def _print_index(found: list[Topic]) -> None:
    kinds: dict[str, list[str]] = {}
    for topic in found:
        if topic.kind != "key":
            kinds.setdefault(topic.kind, []).append(topic.name)
    for kind, names in kinds.items():
        typer.echo(typer.style(f"{kind} ({len(names)})", bold=True))
        typer.echo(
            textwrap.fill(
                ", ".join(names), _width(), initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False
            )
        )
    typer.echo(textwrap.fill("Keys are named with or without what they are in: schedule.cron, cron; their lists stand under "
                             "the models. Parameters are named as they are.", _width()))  # fmt: skip


def _width() -> int:
    """Columns of the terminal, or what reads well without one."""
    return min(110, shutil.get_terminal_size((100, 24)).columns)
