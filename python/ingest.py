"""All-purpose ingestion worker: one source object per invocation. See python/README.md."""

from __future__ import annotations

import json
import os
import sys
import traceback
from typing import Annotated, Any

import typer
from ingestion.catalogue import find_entry, known_sources
from ingestion.errors import IngestError, UsageError, did_you_mean

HELP = """Load one object of one source into the warehouse: raw_<source>.<object>.

The first run loads everything; the next ones only what changed since, and what was deleted. Which objects exist, and
how each is loaded, stands in python/objects/<source>.yml. One JSON line on stdout says what was done.

\b
Examples:
  python python/ingest.py --source postgres --object orders
  python python/ingest.py --source salesforce --object accounts --full-refresh
  python python/ingest.py --source sap --object shipments --destination postgres
  SOURCE=postgres OBJECT=orders PARAMS='{"full_refresh": true}' python python/ingest.py

\b
Credentials come from SOURCES__<SOURCE>__... variables or .dlt/secrets.toml. For the example company:
  eval "$(python -m sandbox env)"

Exit codes: 0 loaded, 1 the run failed, 2 bad usage or configuration, 3 internal error, 130 interrupted.
"""
PARAMS_KEYS = ("source", "object", "destination", "full_refresh")
VARIABLES = ("SOURCE", "OBJECT", "DESTINATION", "FULL_REFRESH", "PARAMS")
TRUE, FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(help=HELP)
def main(
    source: Annotated[str | None, typer.Option(help="Where from: postgres, salesforce, sap. Or SOURCE.")] = None,
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
    params: Annotated[
        str | None,
        typer.Option(help="The same options as a JSON object, e.g. '{\"full_refresh\": true}'. Or PARAMS. Weakest."),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.")] = False,
) -> None:
    target = "ingestion"
    try:
        options = _options(params)
        chosen = {
            "source": source or os.environ.get("SOURCE") or options.get("source"),
            "object": object_ or os.environ.get("OBJECT") or options.get("object"),
            "destination": destination or os.environ.get("DESTINATION") or options.get("destination") or "duckdb",
        }
        refresh = next(
            (value for value in (full_refresh, _flag("FULL_REFRESH", os.environ.get("FULL_REFRESH")),
                                 _flag("full_refresh", options.get("full_refresh"))) if value is not None), False
        )  # fmt: skip
        missing = [name for name in ("source", "object") if not chosen[name]]
        if missing:
            raise UsageError(
                f"which {' and '.join(missing)}?",
                why=" and ".join(f"neither --{name} nor {name.upper()} is given" for name in missing),
                hint=f"known sources: {', '.join(known_sources())}; python python/ingest.py --help",
            )
        # dlt reads these variables too, where they mean something else: FULL_REFRESH would switch on its development
        # mode, which loads into a dataset of another name.
        for name in VARIABLES:
            os.environ.pop(name, None)
        entry = find_entry(str(chosen["source"]), str(chosen["object"]))
        target = f"{entry.source}.{entry.name}"

        from ingestion.load import ingest

        summary = ingest(entry, str(chosen["destination"]), bool(refresh)).as_dict()
    except IngestError as error:
        if debug:
            traceback.print_exc()
        _explain(target, error)
        raise typer.Exit(error.exit_code) from None
    except KeyboardInterrupt:
        print(f"{target}: interrupted; the table is as it was", file=sys.stderr)
        raise typer.Exit(130) from None
    except Exception as error:
        if debug:
            traceback.print_exc()
        why = f"{type(error).__name__}: {error}".splitlines()[0][:300]
        _explain(target, IngestError("internal error", why=why, hint="run again with --debug and report the traceback"))
        raise typer.Exit(3) from None
    _talk(summary)
    print(json.dumps(summary), flush=True)
    _report(summary)


def _options(text: str | None) -> dict[str, Any]:
    text = text or os.environ.get("PARAMS") or "{}"
    try:
        options = json.loads(text)
    except ValueError as error:
        raise UsageError("PARAMS is not JSON", why=str(error), hint="PARAMS='{\"full_refresh\": true}'") from error
    if not isinstance(options, dict):
        raise UsageError("PARAMS must be a JSON object", hint="PARAMS='{\"full_refresh\": true}'")
    for key in options:
        if key not in PARAMS_KEYS:
            raise UsageError(
                f"PARAMS has an unknown key {key!r}.{did_you_mean(key, PARAMS_KEYS)}",
                hint=f"known: {', '.join(PARAMS_KEYS)}",
            )
    return options


def _flag(name: str, value: Any) -> bool | None:
    """Orchestra's inputs arrive as text: True, False, or nothing at all."""
    text = "" if value is None else str(value).strip().lower()
    if text in ("", "none", "null"):
        return None
    if text not in TRUE + FALSE:
        raise UsageError(f"{name} is {value!r}, expected True or False")
    return text in TRUE


def _explain(target: str, error: IngestError) -> None:
    print(f"error: {target}: {error}", file=sys.stderr)
    for label, text in (("where", error.where), ("why", error.why), ("next", error.hint)):
        if text:
            print(f"  {label + ':':<6} {text}", file=sys.stderr)


def _talk(summary: dict[str, Any]) -> None:
    done = f"{summary['rows']} rows written, {summary['deleted']} deleted"
    nothing = not summary["rows"] and not summary["deleted"]
    print(
        f"{summary['source']}.{summary['object']} -> {summary['table']}: {'nothing new' if nothing else done} "
        f"({summary['mode']}, {summary['seconds']} s)",
        file=sys.stderr,
    )


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
    app()
