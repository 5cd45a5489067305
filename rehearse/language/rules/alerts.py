"""Alerts and anomalies (check 13)."""

from __future__ import annotations

from typing import Any

from rehearse.language.problems import Loc
from rehearse.language.rules.review import Review, listing, mapping, text
from rehearse.language.words import did_you_mean

_NEEDS = {
    "SLACK": ("destination", "the channel that it goes to"),
    "EMAIL": ("destination", "the address that it goes to"),
    "PAGER_DUTY": ("connection_id", "the connection that it goes through"),
    "MICROSOFT_TEAMS": ("connection_id", "the connection that it goes through"),
    "WEBHOOK": ("connection_id", "the connection that it goes through"),
    "DATADOG": ("connection_id", "the connection that it goes through"),
}


def check_alerts(review: Review) -> None:
    _alerts(review, ("alerts",), review.root.get("alerts"))
    _anomalies(review, ("anomalies",), review.root.get("anomalies"), "pipeline")
    for sensor_id, sensor in mapping(review.root.get("sensors")).items():
        _alerts(review, ("sensors", sensor_id, "alerts"), mapping(sensor).get("alerts"), only_failed=True)
    for group in review.groups.values():
        for task in group.tasks.values():
            _alerts(review, (*task.loc, "alerts"), task.body.get("alerts"))
            _anomalies(review, (*task.loc, "anomalies"), task.body.get("anomalies"), "task")


def _alerts(review: Review, loc: Loc, alerts: Any, *, only_failed: bool = False) -> None:
    names: set[str] = set()
    for index, alert in enumerate(listing(alerts)):
        at = (*loc, index)
        name = text(mapping(alert).get("name"))
        if name is not None and name in names:
            review.add("alert-name", (*at, "name"), f"there is another alert '{name}' here", "give each its own name")
        names.add(name or "")
        for n, status in enumerate(listing(mapping(alert).get("statuses"))):
            if only_failed and isinstance(status, str) and status not in ("FAILED", "RUNNING_TIMEOUT"):
                message = f"a sensor's alert cannot wait for {status}"
                review.add(
                    "wrong-value", (*at, "statuses", n), message, "a sensor knows only FAILED: nothing was found"
                )
        _destinations(review, (*at, "destinations"), mapping(alert).get("destinations"))


def _destinations(review: Review, loc: Loc, destinations: Any) -> None:
    for index, destination in enumerate(listing(destinations)):
        integration = text(mapping(destination).get("integration"))
        needed, meaning = _NEEDS.get(integration or "", ("", ""))
        if needed and not mapping(destination).get(needed):
            message = f"{integration} needs '{needed}', {meaning}"
            review.add("alert-destination", (*loc, index), message, f"add {needed}: ...")
        review.check_connection((*loc, index, "connection_id"), mapping(destination).get("connection_id"))
        if integration == "DATADOG":
            priority = mapping(mapping(destination).get("parameters")).get("priority")
            is_expression = isinstance(priority, str) and "${{" in priority
            if priority is not None and not is_expression and (priority is True or priority not in (1, 2, 3, 4, 5)):
                at = (*loc, index, "parameters", "priority")
                review.add("out-of-range", at, "the priority is a number from 1 to 5")


def _anomalies(review: Review, loc: Loc, anomalies: Any, level: str) -> None:
    for index, anomaly in enumerate(listing(anomalies)):
        body, at = mapping(anomaly), (*loc, index)
        kind = text(body.get("type")) or f"{level}_duration_above_baseline"
        of_operation = kind.startswith("operation_")
        if level == "pipeline" and not kind.startswith("pipeline_"):
            review.add("anomaly-level", (*at, "type"), f"{kind} belongs on a task", "move it, or write pipeline_...")
        elif level == "task" and kind.startswith("pipeline_"):
            review.add("anomaly-level", (*at, "type"), f"{kind} belongs at the top of the pipeline",
                       did_you_mean(kind.replace("pipeline", "task"), ["task_duration_above_baseline",
                                                                      "task_duration_below_baseline"]))  # fmt: skip
        for name in ("operation_types", "operation_names", "max_anomalies"):
            if body.get(name) and not of_operation:
                review.add("anomaly-level", (*at, name), f"'{name}' belongs to operation_* types", key=True)
        if of_operation and body.get("destinations"):
            review.add("anomaly-level", (*at, "destinations"), "operation_* types have no destinations", key=True)
        _destinations(review, (*at, "destinations"), body.get("destinations"))
