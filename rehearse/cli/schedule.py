"""`rehearse schedule`"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rehearse.cli.common import Json, parse_time

if TYPE_CHECKING:
    from rehearse.triggers.forecast import Forecast

_UNITS = {"h": 1, "d": 24, "w": 168}
_SHOWN = 200


def schedule(
    files: Annotated[list[Path] | None, typer.Argument(help="Pipelines.", show_default="all of orchestra/")] = None,
    next: Annotated[
        str,
        typer.Option("--next", metavar="SPAN", help="How far to look: hours, days or weeks, such as 12h, 30d or 2w."),
    ] = "7d",
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="From then on.", show_default="now")] = None,
    fired: Annotated[
        bool, typer.Option("--fired", help="What schedules, sensors and events came to, the newest first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what schedules would start, without waiting: in their own zones, over changes of the clock.

    Where runs have been recorded, slots that would come while the run before still runs are told.
    """
    from rehearse.bindings.config import find_root, load_bindings
    from rehearse.cli.problems import print_json
    from rehearse.engine.plans import PIPELINES
    from rehearse.errors import RehearseError, UsageError
    from rehearse.language.validation import load_pipeline
    from rehearse.triggers.forecast import forecast

    root = find_root((files[0] if files else Path.cwd()).resolve())
    if fired:
        _show_fired(root, as_json)
        return
    start = parse_time(at) or datetime.now(UTC)
    bindings = load_bindings(root)
    loaded = {}
    for path in files or sorted((root / PIPELINES).glob("*.y*ml")):
        try:
            pipeline = load_pipeline(path)
        except RehearseError as e:
            if files:
                raise
            from rehearse.cli.output import tell

            tell(f"{path.name} is left out: {e} (rehearse validate says more)", style="yellow")
            continue
        loaded[pipeline.alias] = pipeline
    try:
        end = start + _span(next)
    except OverflowError as e:
        raise UsageError(f"--next {next}: that is too far", "for example: --next 30d") from e
    found = forecast(loaded, start, end, _durations(root), bindings.schedules)
    if as_json:
        print_json(
            {"schema_version": 1, "from": _text(start), "to": _text(end), "firings": [_as_dict(f) for f in found]}
        )
        return
    _print(found, next)


def _span(text: str) -> timedelta:
    from rehearse.errors import UsageError

    match = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if match is None:
        raise UsageError(f"--next {text}: this is no span", "hours, days or weeks: 12h, 30d, 2w")
    return timedelta(hours=int(match[1]) * _UNITS[match[2]])


def _durations(root: Path) -> dict[str, float]:
    """Pipeline -> the median of its last good runs, in seconds. Creates nothing."""
    from rehearse.store.records import has_store, open_store

    if not has_store(root):
        return {}
    store = open_store(root)
    try:
        found: dict[str, list[float]] = {}
        for run in store.runs(500):
            if run["status"] in ("SUCCEEDED", "WARNING") and run["started_at"] and run["ended_at"]:
                took = datetime.fromisoformat(run["ended_at"]) - datetime.fromisoformat(run["started_at"])
                found.setdefault(run["pipeline"], []).append(took.total_seconds())
        return {pipeline: median(seconds) for pipeline, seconds in found.items()}
    finally:
        store.close()


def _print(found: list[Forecast], span: str) -> None:
    from rehearse.cli.output import tell
    from rehearse.cli.problems import printable

    if not found:
        tell(f"Nothing fires within {span}.")
        return
    names = [f"{firing.timetable.pipeline}  {firing.timetable.name}" for firing in found[:_SHOWN]]
    width = max(map(len, names))
    for firing, name in zip(found, names, strict=False):
        local = f"{firing.local:%a %Y-%m-%d %H:%M %Z}"
        utc = "" if firing.local.utcoffset() == timedelta() else f"{firing.at:%H:%MZ}"
        notes = "; ".join(firing.notes)
        typer.echo(printable(f"{local:<26}  {utc:<6}  {name:<{width}}  {notes}").rstrip())
    if len(found) > _SHOWN:
        tell(f"and {len(found) - _SHOWN} more: --json has all, --next 1d fewer", style="dim")
    tell(f"{len(found)} firing(s) of {len({f.timetable.id for f in found})} schedule(s) within {span}", style="dim")


def _show_fired(root: Path, as_json: bool) -> None:
    from rehearse.cli.output import tell
    from rehearse.cli.problems import print_json, printable
    from rehearse.store import triggers
    from rehearse.store.records import has_store, open_store

    rows: list[dict[str, Any]] = []
    if has_store(root):
        store = open_store(root)
        try:
            rows = triggers.firings(store.database, _SHOWN)
        finally:
            store.close()
    if as_json:
        print_json({"schema_version": 1, "firings": rows})
        return
    if not rows:
        tell("Nothing has come due yet: rehearse serve is what fires.")
    for row in rows:
        run = f"run {row['run_id'][:8]}" if row["run_id"] else ""
        what = f"{row['kind'] or 'event'} {row['name'] or ''}".strip()
        typer.echo(
            printable(
                f"{row['due_at'][:16]}Z  {row['outcome']:<9}  {row['pipeline']}  {what}  {run}  {row['message'] or ''}"
            ).rstrip()
        )


def _as_dict(firing: Forecast) -> dict[str, Any]:
    schedule = firing.timetable.schedule
    return {
        "at": _text(firing.at), "local": firing.local.isoformat(), "pipeline": firing.timetable.pipeline,
        "schedule": firing.timetable.name, "cron": schedule.cron, "timezone": schedule.timezone or "UTC",
        "environment": schedule.environment, "branch": schedule.branch, "notes": list(firing.notes),
    }  # fmt: skip


def _text(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
