"""All-purpose ingestion worker: one source object per invocation. See python/README.md."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from ingestion.errors import IngestError
from ingestion.parameters import bound, entry_and_settings, resolve
from ingestion.startup import hurry

HELP = """Load one object of one source into the warehouse: raw_<source>.<object>.

The first run loads everything; the next ones only what changed since, and what was deleted. Which objects exist, and
how each is loaded, stands in python/objects/<source>.yml. One JSON line on stdout says what was done.

\b
Examples:
  python python/ingest.py --source postgres --object orders
  python python/ingest.py --source salesforce --object accounts --full-refresh
  python python/ingest.py --source postgres --object orders --from 2026-01-01 --to 2026-02-01
  python python/ingest.py --source postgres --object public.audit --key id --cursor changed_at --dry-run
  python python/ingest.py --source sap --object shipments --destination postgres
  SOURCE=postgres OBJECT=orders PARAMS='{"full_refresh": true}' python python/ingest.py
  python python/ingest.py discover --source postgres      (entries for the catalogue, from the live schema)

\b
Credentials come from SOURCES__<SOURCE>__... variables or .dlt/secrets.toml. For the example company:
  eval "$(python -m sandbox env)"

Exit codes: 0 loaded, 1 the run failed or --verify found a difference, 2 bad usage or configuration, 3 internal error,
130 interrupted.
"""

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")]


@app.command(help=HELP)
def main(
    source: Annotated[str | None, typer.Option(help="Where from: a file of python/objects. Or SOURCE.")] = None,
    object_: Annotated[
        str | None, typer.Option("--object", help="What: an object of that source, e.g. orders. Or OBJECT.")
    ] = None,
    destination: Annotated[
        str | None, typer.Option(help="Where to: any dlt destination name. Or DESTINATION. [default: duckdb]")
    ] = None,
    full_refresh: Annotated[
        bool | None,
        typer.Option(
            "--full-refresh/--no-full-refresh",
            help="Read everything again and swap the table in one step; the cursor starts anew. Or FULL_REFRESH.",
        ),
    ] = None,
    from_: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="VALUE", help="Load a range of the cursor again; the live cursor stays where it is."
        ),
    ] = None,
    to: Annotated[str | None, typer.Option(metavar="VALUE", help="The end of that range, exclusive.")] = None,
    date: Annotated[
        str | None, typer.Option(metavar="DAY", help="The day of a snapshot, YYYY-MM-DD. [default: today in UTC]")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Load at most so many rows, into <object>_sample, for a look.")
    ] = None,
    dry_run: Annotated[
        bool | None, typer.Option("--dry-run", help="Say what would be read, and write nothing.")
    ] = None,
    verify: Annotated[
        bool | None,
        typer.Option("--verify", help="Count and sum both sides afterwards, per month; a difference fails."),
    ] = None,
    entity: Annotated[
        str | None, typer.Option(help="Of an object that is not in the catalogue: the source's name of it.")
    ] = None,
    key: Annotated[str | None, typer.Option(metavar="COLUMNS", help="Its key columns, a,b.")] = None,
    cursor: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that grows with every change.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="merge, replace, append, history or snapshot. [default: merge with a key and a cursor]"),
    ] = None,
    table_format: Annotated[
        str | None,
        typer.Option(help="Of the destination filesystem: parquet, delta or iceberg. [default: parquet]"),
    ] = None,
    params: Annotated[
        str | None,
        typer.Option(help="The same options as a JSON object, e.g. '{\"full_refresh\": true}'. Or PARAMS. Weakest."),
    ] = None,
    debug: Debug = False,
) -> None:
    target = "ingestion"
    with _explained(lambda: target, debug):
        parameters = resolve(
            {"source": source, "object": object_, "destination": destination, "full_refresh": full_refresh, "from": from_,
             "to": to, "date": date, "limit": limit, "dry_run": dry_run, "verify": verify, "entity": entity, "key": key,
             "cursor": cursor, "pattern": pattern, "table_format": table_format, "params": params}
        )  # fmt: skip
        entry, settings = entry_and_settings(parameters)
        target = f"{entry.source}.{entry.name}"

        from ingestion.load import Options, ingest
        from ingestion.sources import Span

        options = Options(
            parameters.full_refresh, Span(bound(parameters.lower), bound(parameters.upper)), parameters.limit,
            parameters.dry_run, parameters.day, parameters.verify, parameters.table_format,
        )  # fmt: skip
        summary = ingest(entry, settings, parameters.destination, options).as_dict()
    _talk(summary)
    print(json.dumps(summary), flush=True)
    _report(summary)
    if summary["verified"] is False:
        raise typer.Exit(1)


discovery = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@discovery.command()
def discover(
    source: Annotated[str, typer.Option(help="A file of python/objects.")],
    pattern: Annotated[
        str, typer.Option("--like", metavar="GLOB", help="Only entities whose name is like that.")
    ] = "*",
    debug: Debug = False,
) -> None:
    """Print entries for the catalogue from what a source has: entities, keys and the columns that could be cursors.

    What stands in python/objects/<source>.yml already is left out. Read it before you use it: whether a column really grows
    with every change only people know.
    """
    with _explained(lambda: source, debug):
        from ingestion.discovery import discovered

        print(discovered(source, pattern), end="", flush=True)


@contextmanager
def _explained(target: Callable[[], str], debug: bool) -> Iterator[None]:
    """Failures as two to four lines, and as exit codes."""
    try:
        yield
    except IngestError as error:
        if debug:
            traceback.print_exc()
        _explain(target(), error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        print(f"{target()}: interrupted; the table is as it was", file=sys.stderr)
        raise typer.Exit(130) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        _explain(
            target(), IngestError("internal error", why=why, hint="run again with --debug and report the traceback")
        )
        raise typer.Exit(3) from None


def _explain(target: str, error: IngestError) -> None:
    print(f"error: {target}: {error}", file=sys.stderr)
    for label, text in (("where", error.where), ("why", error.why), ("next", error.hint)):
        if text:
            print(f"  {label + ':':<6} {text}", file=sys.stderr)


def _talk(summary: dict[str, Any]) -> None:
    name = f"{summary['source']}.{summary['object']} -> {summary['table']}"
    if summary["dry_run"]:
        rows = "an unknown number of" if summary["rows"] is None else f"about {summary['rows']:,}"
        since = f" from {summary['cursor_from']} on" if summary["cursor_from"] else ""
        print(f"{name}: would read {rows} rows{since} ({summary['mode']}, {summary['pattern']})", file=sys.stderr)
        return
    done = f"{summary['rows']:,} rows written, {summary['deleted']:,} deleted"
    nothing = not summary["rows"] and not summary["deleted"]
    rate = f", {summary['rows'] / summary['seconds']:,.0f} rows/s" if summary["rows"] > 10_000 else ""
    print(
        f"{name}: {'nothing new' if nothing else done} ({summary['mode']}, {summary['seconds']} s{rate})",
        file=sys.stderr,
    )
    if summary["quarantined"]:
        print(
            f"  {summary['quarantined']:,} rows do not fit and were put into {summary['table']}_quarantine",
            file=sys.stderr,
        )
    if summary["verified"] is not None:
        verdict = "both sides have" if summary["verified"] else "THE SIDES DIFFER: the source has"
        counts = summary["verification"]
        other = "" if summary["verified"] else f", the table {counts['table_rows']:,}"
        summed = counts.get("sums", ())
        columns = ", ".join(summed) if len(summed) < 6 else f"{len(summed)} columns"
        sums = f", and the same sums of {columns}" if summary["verified"] and summed else ""
        print(f"  {verdict} {counts['source_rows']:,} rows{other}{sums}", file=sys.stderr)
        for difference in counts.get("differences", ()):
            print(f"    {difference}", file=sys.stderr)


def _report(summary: dict[str, Any]) -> None:
    """Inside an Orchestra task the summary becomes the task's outputs. The data is loaded, so a failure only warns."""
    api_key = os.environ.get("ORCHESTRA_API_KEY")
    if not (api_key and os.environ.get("ORCHESTRA_TASK_RUN_ID")):
        return
    try:
        from orchestra_sdk.orchestra import OrchestraSDK

        sdk = OrchestraSDK(api_key=api_key)
        sent = [sdk.set_output("summary", summary), sdk.set_output("rows", summary["rows"])]
    except Exception as error:
        sent = [False]
        print(f"warning: {type(error).__name__}", file=sys.stderr)
    if not all(sent):
        print("warning: the task outputs could not be reported; the data is loaded", file=sys.stderr)


if __name__ == "__main__":
    hurry()
    if sys.argv[1:2] == ["discover"]:
        discovery(sys.argv[2:], prog_name="ingest.py discover")
    app()
