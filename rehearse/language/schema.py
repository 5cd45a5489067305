"""The JSON Schema of pipeline files, for editors: generated from the models and the parameter tables.

Draft 7, which is what editors' YAML support reads best. Keys are offered in snake_case and accepted in camelCase.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rehearse.language.integrations import INTEGRATION_OF, INTEGRATIONS, SENSORS
from rehearse.language.model import MODELS, Kind, Model, Pipeline, keys_of
from rehearse.language.parameters import JOB_DESCRIPTIONS, OPEN_JOBS, PARAMETERS, THRESHOLD, Parameter

_EXPRESSION = {"type": "string", "pattern": r"^\s*\$\{\{[\s\S]*\}\}\s*$"}
_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"}, "json": {"type": "string"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
    "number": {"type": "number"}, "list": {"type": "array"}, "dict": {"type": "object"}, "any": {},
}  # fmt: skip
_NULL = {"type": "null"}


def pipeline_schema() -> dict[str, Any]:
    """The schema as a JSON-ready mapping."""
    definitions = {model.__name__: _model(model) for model in MODELS if model is not Pipeline}
    _jobs(definitions["TaskModel"])
    _sensors(definitions["SensorCheck"])
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Orchestra pipeline, version: v1",
        **_model(Pipeline),
        "definitions": definitions,
    }


def parameter_schema(parameter: Parameter) -> dict[str, Any]:
    """The schema of one parameter's value."""
    schema = dict(_KINDS[parameter.kind])
    if parameter.options:
        schema["enum"] = list(parameter.options)
    elif parameter.threshold:
        schema["pattern"] = f"^{THRESHOLD.pattern}$"
    elif parameter.kind not in ("text", "json", "any"):
        schema = {"anyOf": [schema, _EXPRESSION]}
    if not parameter.required and schema:
        schema = _nullable(schema)
    described = {"description": parameter.description, **schema}
    return described | ({"default": parameter.default} if parameter.default is not None else {})


def _model(model: type[Model]) -> dict[str, Any]:
    """A model's schema: null for what may be left out, and camelCase accepted."""
    keys = keys_of(model)
    properties = {}
    for key in keys.values():
        schema = _kind(key.kind) if key.required else _nullable(_kind(key.kind))
        if key.kind.name == "map" and not key.required:  # editors write [] for a mapping that is empty
            schema["anyOf"].append({"type": "array", "maxItems": 0})
        properties[key.name] = {"description": key.text, **schema}
    made: dict[str, Any] = {
        "description": model.__doc__,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
    }
    if camel := {f"^{keys[name].camel}$": value for name, value in properties.items() if keys[name].camel != name}:
        made["patternProperties"] = camel
    required = [key for key in keys.values() if key.required]
    if plain := [key.name for key in required if key.camel == key.name]:
        made["required"] = plain
    if both := [key for key in required if key.camel != key.name]:
        made["allOf"] = [{"anyOf": [{"required": [key.name]}, {"required": [key.camel]}]} for key in both]
    return made


def _kind(kind: Kind) -> dict[str, Any]:
    match kind.name:
        case "text":
            limits: dict[str, Any] = {"enum": list(kind.options)} if kind.options else {"maxLength": kind.longest}
            return {"type": "string", **_given(limits)}
        case "whole":
            return {"type": "integer", **_given({"minimum": kind.low, "maximum": kind.high})}
        case "limit":
            return {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": r"^\s*\$\{\{"}]}
        case "flag":
            return {"type": "boolean"}
        case "list":
            return {"type": "array", "items": _kind(kind.of), **_given({"minItems": kind.least or None})}
        case "map":
            return {
                "type": "object",
                "additionalProperties": _kind(kind.of),
                **_given({"minProperties": kind.least or None}),
            }
        case "model":
            return {"$ref": f"#/definitions/{kind.of.__name__}"}
        case "node":
            return {
                "if": {"type": "object", "required": ["tasks"]},
                "then": {"$ref": "#/definitions/TaskGroupModel"},
                "else": {"$ref": "#/definitions/TaskModel"},
            }
    return {}


def _given(limits: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in limits.items() if value is not None}


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The same, or null. A schema that is empty allows it anyhow."""
    if not schema:
        return {}
    return {"anyOf": [*schema["anyOf"], _NULL]} if "anyOf" in schema else {"anyOf": [dict(schema), _NULL]}


def _jobs(task: dict[str, Any]) -> None:
    """Which job belongs to which integration, and what parameters each has."""
    properties = task["properties"]
    properties["integration"] |= {"enum": list(INTEGRATIONS)}
    properties["integration_job"] |= {
        "enum": list(INTEGRATION_OF), "enumDescriptions": [JOB_DESCRIPTIONS.get(job, "") for job in INTEGRATION_OF],
    }  # fmt: skip
    task["patternProperties"]["^integrationJob$"] = properties["integration_job"]
    for job, integration in INTEGRATION_OF.items():
        then: dict[str, Any] = {"integration": {"const": integration}}
        if job in PARAMETERS:
            then["parameters"] = _parameters(PARAMETERS[job], closed=job not in OPEN_JOBS)
        task["allOf"].append(_when("integration_job", job, then))


def _sensors(check: dict[str, Any]) -> None:
    check["properties"]["sensor_type"] |= {"enum": list(SENSORS)}
    check["patternProperties"]["^sensorType$"] = check["properties"]["sensor_type"]
    for name, sensor in SENSORS.items():
        then = {"integration": {"const": sensor.integration},
                "parameters": _nullable(_parameters(sensor.parameters, closed=not sensor.others))}  # fmt: skip
        check["allOf"].append(_when("sensor_type", name, then))


def _when(key: str, value: str, then: dict[str, Any]) -> dict[str, Any]:
    condition = {"properties": {key: {"const": value}}, "required": [key]}
    return {"if": condition, "then": {"properties": then}}


def _parameters(parameters: Mapping[str, Parameter], *, closed: bool) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "object", "properties": {name: parameter_schema(parameter) for name, parameter in parameters.items()},
    }  # fmt: skip
    if required := [name for name, parameter in parameters.items() if parameter.required]:
        schema["required"] = required
    return schema | ({"additionalProperties": False} if closed else {})
