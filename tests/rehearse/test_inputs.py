from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from rehearse.errors import InputError
from rehearse.language.model import Input
from rehearse.planning.inputs import resolve_inputs

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)


def one(given: dict[str, Any], **spec: Any) -> Any:
    return resolve_inputs({"x": Input(**spec)}, given, {"REGION": "eu"}, NOW)["x"]


@pytest.mark.parametrize(
    ("spec", "given", "value"),
    [
        ({"type": "string", "default": "a"}, {}, "a"),
        ({"type": "string", "default": "a"}, {"X": "b"}, "b"),
        ({"type": "string"}, {"x": "5"}, "5"),
        ({"type": "number"}, {"x": "5"}, 5),
        ({"type": "boolean"}, {"x": "True"}, True),
        ({"type": "list"}, {"x": '["a"]'}, ["a"]),
        ({"type": "dict"}, {"x": {"a": 1}}, {"a": 1}),
        ({"type": "boolean", "optional": True}, {}, None),
        ({"type": "string", "default": '${{ format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d") }}'}, {}, "2026-11-24"),
        ({"type": "string", "default": "${{ env.region }}-1"}, {}, "eu-1"),
    ],
)
def test_values(spec: dict[str, Any], given: dict[str, Any], value: Any) -> None:
    assert one(given, **spec) == value


@pytest.mark.parametrize(
    ("spec", "given", "said"),
    [
        ({"type": "string"}, {}, "is required and has no default"),
        ({"type": "number"}, {"x": "five"}, "must be a number"),
        ({"type": "number"}, {"x": "true"}, "must be a number"),
        ({"type": "boolean"}, {"x": "1"}, "must be a boolean"),
        ({"type": "string"}, {"x": 5}, "must be a string"),
        ({"type": "string"}, {"y": "5"}, "has no input 'y'"),
        ({"type": "string", "default": "${{ env.nope }}"}, {}, "cannot be evaluated"),
    ],
)
def test_mistakes(spec: dict[str, Any], given: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        one(given, **spec)
