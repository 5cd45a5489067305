"""The JSON Schema of pipeline files, for editors: generated from the models and the parameter tables.

Draft 7, which is what editors' YAML support reads best. Keys are offered in snake_case and accepted in camelCase.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic.alias_generators import to_camel

from rehearse.language.integrations import INTEGRATION_OF, INTEGRATIONS, SENSORS
from rehearse.language.model import Pipeline
from rehearse.language.parameters import JOB_DESCRIPTIONS, OPEN_JOBS, PARAMETERS, Parameter

_EXPRESSION = {"type": "string", "pattern": r"^\s*\$\{\{[\s\S]*\}\}\s*$"}
_KINDS: dict[str, dict[str, Any]] = {
    "text": {"type": "string"}, "json": {"type": "string"}, "bool": {"type": "boolean"}, "int": {"type": "integer"},
    "number": {"type": "number"}, "list": {"type": "array"}, "dict": {"type": "object"}, "any": {},
}  # fmt: skip
_THRESHOLD = r"^\s*(=|!=|>=|<=|>|<)\s*\d+\s*$"


def pipeline_schema() -> dict[str, Any]:
    """The schema as a JSON-ready mapping."""
    made = Pipeline.model_json_schema(by_alias=False)
    definitions = made.pop("$defs")
    root = {"title": "Orchestra pipeline, version: v1", **_model(made)}
    root["properties"]["pipeline"]["additionalProperties"] = {
        "if": {"type": "object", "required": ["tasks"]},
        "then": {"$ref": "#/definitions/TaskGroupModel"},
        "else": {"$ref": "#/definitions/TaskModel"},
    }
    root["definitions"] = {name: _model(definition) for name, definition in definitions.items()}
    _jobs(root["definitions"]["TaskModel"])
    _sensors(root["definitions"]["SensorCheck"])
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_rewrite(root)}


def parameter_schema(parameter: Parameter) -> dict[str, Any]:
    """The schema of one parameter's value."""
    schema = dict(_KINDS[parameter.kind])
    if parameter.options:
        schema["enum"] = list(parameter.options)
    elif parameter.threshold:
        schema["pattern"] = _THRESHOLD
    elif parameter.kind not in ("text", "json", "any"):
        schema = {"anyOf": [schema, _EXPRESSION]}
    if not parameter.required and schema:
        schema = _nullable(schema)
    described = {"description": parameter.description, **schema}
    return described | ({"default": parameter.default} if parameter.default is not None else {})


def _model(schema: dict[str, Any]) -> dict[str, Any]:
    """A model's schema with null for what may be left out, and camelCase accepted."""
    if schema.get("type") != "object" or "properties" not in schema:
        return schema
    required = schema.get("required", [])
    properties = {}
    for name, value in schema["properties"].items():
        value = {key: item for key, item in value.items() if key not in ("title", "default")}
        if name not in required:
            may_be_a_list = value.get("type") == "object"  # editors write [] for a mapping that is empty
            value = _nullable(value)
            if may_be_a_list:
                value["anyOf"].append({"type": "array", "maxItems": 0})
        properties[name] = value
    camel = {f"^{to_camel(name)}$": value for name, value in properties.items() if "_" in name}
    made = {key: item for key, item in schema.items() if key not in ("title", "properties", "required")}
    made |= {"properties": properties, **({"patternProperties": camel} if camel else {})}
    both = [name for name in required if "_" in name]
    if plain := [name for name in required if "_" not in name]:
        made["required"] = plain
    if both:
        made["allOf"] = [{"anyOf": [{"required": [name]}, {"required": [to_camel(name)]}]} for name in both]
    return made


def _nullable(schema: Mapping[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:
        null = {"type": "null"}
        return {**schema, "anyOf": [*(s for s in schema["anyOf"] if s != null), null]}
    description = {"description": schema["description"]} if "description" in schema else {}
    rest = {key: item for key, item in schema.items() if key != "description"}
    return {**description, "anyOf": [rest, {"type": "null"}]} if rest else dict(schema)


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


def _rewrite(value: Any) -> Any:
    """Draft 7 spells `$defs` as `definitions`."""
    if isinstance(value, dict):
        return {
            key: item.replace("#/$defs/", "#/definitions/") if key == "$ref" else _rewrite(item)
            for key, item in value.items()
        }
    return [_rewrite(item) for item in value] if isinstance(value, list) else value
