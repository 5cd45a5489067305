"""Inputs and what starts a run: schedules, sensors, events (checks 11, 12 and 15)."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

from rehearse.errors import CronError
from rehearse.language.cron import Cron, parse_cron
from rehearse.language.integrations import SENSORS
from rehearse.language.model import INPUT_TYPES, MAX_WINDOW_MINUTES, is_of_type
from rehearse.language.parameters import check_values
from rehearse.language.problems import Loc
from rehearse.language.rules.review import Review, listing, mapping, text
from rehearse.language.statuses import TERMINAL
from rehearse.language.words import closest, did_you_mean
from rehearse.language.zones import cities, zone

_INPUT_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WRITE = {"string": "write text", "number": "write 5, or '5'", "boolean": "write true or false", "dict": "write {a: 1}",
          "list": "write [a, b]"}  # fmt: skip
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?")
_ANY_YEAR = datetime(2025, 1, 1, tzinfo=UTC)
"""From when on a sensor's firings are compared with its window. Fixed: the same file is always judged alike."""


def check_triggers(review: Review) -> None:
    inputs = mapping(review.root.get("inputs"))
    for name, declared in inputs.items():
        _input(review, name, mapping(declared))
    needed = [
        n for n, i in inputs.items() if not mapping(i).get("optional") and mapping(i).get("default") in (None, "")
    ]
    for index, schedule in enumerate(listing(review.root.get("schedule"))):
        loc: Loc = ("schedule", index)
        _cron(review, loc, mapping(schedule))
        for name in _not_given(needed, mapping(schedule).get("run_inputs")):
            message = f"Input '{name}' is required but is not present in schedule inputs"
            review.add("input-missing", loc, message, f"add it to run_inputs, or give '{name}' a default")
    for sensor_id, sensor in mapping(review.root.get("sensors")).items():
        _sensor(review, ("sensors", sensor_id), mapping(sensor), needed)
    for index, event in enumerate(listing(review.root.get("trigger_events"))):
        loc = ("trigger_events", index)
        review.check_pipeline_id((*loc, "pipeline_id"), mapping(event).get("pipeline_id"))
        _warn_not_given(review, loc, needed, mapping(event).get("run_inputs"), "this event")
    for loc, given in review.run_inputs():
        _run_inputs(review, loc, given, inputs)


def _run_inputs(review: Review, loc: Loc, given: dict[str, Any], inputs: dict[str, Any]) -> None:
    """An input that is given and not declared is legal, and read as any other; one that is almost declared is a slip."""
    folded = {name.lower(): mapping(declared) for name, declared in inputs.items()}
    for name, value in given.items():
        declared = folded.get(name.lower())
        if declared is None and (near := review.suggest(name, inputs)):
            review.add("undeclared-input", (*loc, name), f"the input '{name}' is not declared", near, key=True)
        if declared is None or declared.get("type") != "boolean":
            review.check_words((*loc, name), value)
        if declared is not None and not _fits(text(declared.get("type")), value):
            message = f"the input '{name}' is a {declared['type']}, so the run cannot start with this value"
            written = review.doc.written((*loc, name))
            hint = f"quote it: '{written}'" if declared["type"] == "string" and written else _WRITE[declared["type"]]
            review.add("input-value", (*loc, name), message, hint)


def _fits(wanted: str | None, value: Any) -> bool:
    """May an input of that type be given this value? Text is read as what is wanted (section 6.2), where that can be."""
    if wanted not in INPUT_TYPES or value is None or (isinstance(value, str) and "${{" in value):
        return True
    if isinstance(value, str) and wanted == "number":
        return bool(_NUMBER.fullmatch(value.strip()))
    if isinstance(value, str) and wanted == "boolean":
        return value.strip().lower() in ("true", "false")
    if isinstance(value, str) and wanted in ("dict", "list"):
        return value.strip().startswith("{" if wanted == "dict" else "[")
    return is_of_type(value, wanted)


def _is_finite(value: Any) -> bool:
    """JSON, and so a run's inputs, has no infinity."""
    return not isinstance(value, float) or math.isfinite(value)


def _input(review: Review, name: str, declared: dict[str, Any]) -> None:
    loc: Loc = ("inputs", name)
    if not _INPUT_NAME.fullmatch(name):
        review.add("input-name", loc, f"'{name}' is not an input name", "letters, digits and underscores, no digit first",
                   key=True)  # fmt: skip
    default, wanted, options = declared.get("default"), text(declared.get("type")), declared.get("options")
    if wanted not in INPUT_TYPES:
        return
    is_expression = isinstance(default, str) and "${{" in default
    if default is not None and not is_expression and (not is_of_type(default, wanted) or not _is_finite(default)):
        written = review.doc.written((*loc, "default"))
        hint = f"quote it: '{written}'" if wanted == "string" and written else None
        review.add("input-default", (*loc, "default"), f"the default of a {wanted} input is not a {wanted}", hint)
        return
    if isinstance(options, list):
        if wanted != "string":
            review.add(
                "input-options", (*loc, "options"), f"only a string input has options, this one is a {wanted}", key=True
            )
        seen: set[str] = set()
        for index, option in enumerate(options):
            if str(option) in seen:
                review.add("input-options", (*loc, "options", index), f"the option '{option}' is there twice")
            seen.add(str(option))
        if isinstance(default, str) and default and not is_expression and default not in options:
            hint = review.suggest(default, (option for option in options if isinstance(option, str)))
            review.add("input-options", (*loc, "default"), f"the default '{default}' is not one of the options", hint)


def _not_given(needed: list[str], run_inputs: Any) -> list[str]:
    given = {name.lower() for name in mapping(run_inputs)}
    return [name for name in needed if name.lower() not in given]


def _warn_not_given(review: Review, loc: Loc, needed: list[str], run_inputs: Any, who: str) -> None:
    for name in _not_given(needed, run_inputs):
        hint = f"add it to run_inputs, or give '{name}' a default"
        review.add("trigger-input", loc, f"{who} does not give the input '{name}', so the run cannot start", hint)


def _cron(review: Review, loc: Loc, body: dict[str, Any]) -> Cron | None:
    """Cron, time zone and excluded dates of a schedule or sensor."""
    name = text(body.get("timezone"))
    if name is not None and not _is_zone(name):
        review.add("timezone", (*loc, "timezone"), f"'{name}' is not a time zone", _near_zone(name))
    for index, day in enumerate(listing(body.get("exclude"))):
        if isinstance(day, str) and not _is_date(day):
            review.add("exclude-date", (*loc, "exclude", index), f"'{day}' is not a date", "write YYYY-MM-DD")
    cron_text = text(body.get("cron"))
    if cron_text is None:
        return None
    try:
        cron = parse_cron(cron_text)
    except CronError as e:
        review.add("cron", (*loc, "cron"), str(e), e.hint, offset=e.offset)
        return None
    if not cron.ever():
        review.add("never-fires", (*loc, "cron"), "no date fits this cron expression, so it never fires")
    return cron


def _sensor(review: Review, loc: Loc, sensor: dict[str, Any], needed: list[str]) -> None:
    cron = _cron(review, loc, sensor)
    window = sensor.get("timeout_mins")
    if cron is not None and isinstance(window, int) and 0 < window <= MAX_WINDOW_MINUTES:
        name = text(sensor.get("timezone"))
        interval = _shortest_interval(cron, name if name and _is_zone(name) else "UTC")
        if interval is not None and timedelta(minutes=window) >= interval:
            message = f"the window of {window} minutes is not shorter than the time between two openings"
            hint = f"two openings may be only {int(interval.total_seconds() // 60)} minutes apart"
            review.add("sensor-window", (*loc, "timeout_mins"), message, hint)
    given = dict(mapping(sensor.get("run_inputs")))
    for check_id, check in mapping(sensor.get("checks")).items():
        _sensor_check(review, (*loc, "checks", check_id), mapping(check))
        given |= mapping(mapping(check).get("map_outputs"))
    for name in _not_given(needed, given):
        hint = "add it to map_outputs of a check, or to run_inputs"
        review.add(
            "trigger-input",
            loc,
            f"this sensor does not give the input '{name}', so the run cannot start",
            hint,
            key=True,
        )


def _sensor_check(review: Review, loc: Loc, check: dict[str, Any]) -> None:
    review.check_connection((*loc, "connection"), check.get("connection"))
    kind, integration = text(check.get("sensor_type")), text(check.get("integration"))
    if kind is None or "${{" in kind:
        return
    sensor = SENSORS.get(kind)
    if sensor is None:
        hint = did_you_mean(kind, SENSORS) or f"one of {', '.join(SENSORS)}"
        review.add("sensor-type", (*loc, "sensor_type"), f"unknown sensor type '{kind}'", hint)
        return
    if integration is not None and integration != sensor.integration and "${{" not in integration:
        message = f"{kind} belongs to {sensor.integration}, not to {integration}"
        review.add("sensor-type", (*loc, "integration"), message, f"write {sensor.integration}", type="value_error")
    for found in check_values(kind, sensor.parameters, mapping(check.get("parameters")), others=sensor.others):
        review.add(found.code, (*loc, "parameters", *found.path), found.message, found.hint, key=found.on_key,
                   offset=found.offset, type=found.type)  # fmt: skip

    if kind == "ORCHESTRA_PIPELINE_STATUS":
        _pipeline_status(review, (*loc, "parameters"), mapping(check.get("parameters")))


def _pipeline_status(review: Review, loc: Loc, parameters: dict[str, Any]) -> None:
    review.check_pipeline_id((*loc, "pipeline_id"), parameters.get("pipeline_id"))
    if not parameters.get("statuses") and not parameters.get("status"):
        message = "ORCHESTRA_PIPELINE_STATUS needs the parameter 'statuses'"
        review.add("missing-parameter", (*loc, "statuses"), message, "write statuses: [SUCCEEDED]", key=True)
    places: list[tuple[Loc, Any]] = [((*loc, "status"), parameters.get("status"))]
    places += [((*loc, "statuses", index), status) for index, status in enumerate(listing(parameters.get("statuses")))]
    for at, status in places:
        if status is not None and status not in TERMINAL and "${{" not in str(status):
            where = "'status'" if at[-1] == "status" else "an item of 'statuses'"
            hint = did_you_mean(str(status), TERMINAL) or f"one of {', '.join(TERMINAL)}"
            review.add("parameter-value", at, f"'{status}' is not allowed for {where}", hint)


@lru_cache(maxsize=256)
def _shortest_interval(cron: Cron, name: str) -> timedelta | None:
    return cron.shortest_interval(_ANY_YEAR, zone(name))


def _is_zone(name: str) -> bool:
    try:
        zone(name)
    except ValueError:
        return False
    return True


def _near_zone(name: str) -> str:
    near = closest(name.rpartition("/")[2].replace(" ", "_"), cities(), 0.8)
    return f"did you mean '{cities()[near]}'?" if near else "an IANA name, such as Europe/Berlin"


def _is_date(day: str) -> bool:
    try:
        return date.fromisoformat(day).isoformat() == day
    except ValueError:
        return False
