"""Values of inputs: where they come from, what they are cast to, and when a run may not start (section 6.2)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as arbitrary
from hypothesis import strategies as st

from rehearse.errors import InputError
from rehearse.language.evaluation import Scope
from rehearse.language.model import Input
from rehearse.planning.inputs import Source, hidden_inputs, layer_inputs, plain, resolve_inputs

NOW = datetime(2026, 11, 24, 8, tzinfo=UTC)
ENV = {"REGION": "eu", "LIMIT": 10, "AS_TEXT": "10", "NOTHING": None, "PASSWORD": "hunter2", "API_KEY": "0123456789"}


def one(given: dict[str, Any], **spec: Any) -> Any:
    return resolve_inputs({"x": Input(**spec)}, given, ENV, NOW)["x"]


@pytest.mark.parametrize(
    ("spec", "given", "value"),
    [
        ({"type": "string", "default": "a"}, {}, "a"),
        ({"type": "string", "default": "a"}, {"X": "b"}, "b"),
        ({"type": "string", "default": "a"}, {"x": None}, "a"),  # null is "not set"
        ({"type": "string"}, {"x": "5"}, "5"),
        ({"type": "string"}, {"x": ""}, ""),  # given, although it is empty
        ({"type": "string", "default": "", "optional": True}, {}, ""),
        ({"type": "number"}, {"x": "5"}, 5),
        ({"type": "number"}, {"x": " -2.5 "}, -2.5),
        ({"type": "number", "default": 0}, {}, 0),
        ({"type": "boolean"}, {"x": "True"}, True),
        ({"type": "boolean"}, {"x": " false"}, False),
        ({"type": "boolean", "default": False}, {}, False),
        ({"type": "list"}, {"x": '["a"]'}, ["a"]),
        ({"type": "list"}, {"x": []}, []),
        ({"type": "dict"}, {"x": '{"a": [1, null]}'}, {"a": [1, None]}),
        ({"type": "dict"}, {"x": {"a": 1}}, {"a": 1}),
        ({"type": "boolean", "optional": True}, {}, None),
        ({"type": "string", "default": '${{ format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d") }}'}, {}, "2026-11-24"),
        ({"type": "string", "default": "${{ env.region }}-1"}, {}, "eu-1"),
        # The result of an expression is cast to the declared type, too.
        ({"type": "string", "default": "${{ ORCHESTRA.PIPELINE_RUN_STARTED_AT }}"}, {}, "2026-11-24T08:00:00"),
        ({"type": "string", "default": "${{ env.limit }}"}, {}, "10"),
        ({"type": "number", "default": "${{ env.limit }}"}, {}, 10),
        ({"type": "number", "default": "${{ env.as_text }}"}, {}, 10),
        ({"type": "list", "default": ["${{ env.region }}", "us"]}, {}, ["eu", "us"]),
        ({"type": "dict", "default": {"to": "${{ ORCHESTRA.CURRENT_TIME }}"}}, {}, {"to": "2026-11-24T08:00:00"}),
        ({"type": "string", "default": "${{ env.nothing }}", "optional": True}, {}, None),
        # A given value is data: it is not evaluated.
        ({"type": "string"}, {"x": "${{ env.REGION }}"}, "${{ env.REGION }}"),
    ],
)  # fmt: skip
def test_values(spec: dict[str, Any], given: dict[str, Any], value: Any) -> None:
    found = one(given, **spec)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("spec", "given", "said", "hint"),
    [
        ({"type": "string"}, {}, "the input 'x' is required and has no default", "--input x=VALUE"),
        ({"type": "string"}, {"x": None}, "is required", "--input x=VALUE"),
        ({"type": "string", "default": ""}, {}, "is required", "--input x=VALUE"),
        ({"type": "string", "default": "${{ env.nothing }}"}, {}, "is required", "--input x=VALUE"),
        ({"type": "number"}, {"x": "five"}, "must be a number, not 'five'", "write a number"),
        ({"type": "number"}, {"x": "true"}, "must be a number", "write a number"),
        ({"type": "number"}, {"x": True}, "must be a number, not True", "write a number"),
        ({"type": "number"}, {"x": "NaN"}, "must be a number", "write a number"),
        ({"type": "number"}, {"x": "9" * 5000}, "must be a number, not '9{79}$", "write a number"),
        ({"type": "boolean"}, {"x": "1"}, "must be a boolean", "true or false"),
        ({"type": "boolean"}, {"x": 1}, "must be a boolean", "true or false"),
        ({"type": "list"}, {"x": "[" * 100_000}, "must be a list", "write JSON"),
        ({"type": "list"}, {"x": "a, b"}, "must be a list", "write JSON"),
        ({"type": "dict"}, {"x": "[1]"}, "must be a dict", "write JSON"),
        ({"type": "string"}, {"x": 5}, "must be a string", "quote it"),
        ({"type": "number", "default": "${{ env.region }}"}, {}, r"a number, not 'eu' \(from its default\)", "write a number"),
        ({"type": "string"}, {"y": "5"}, "has no input 'y'", "inputs are: x"),
        ({"type": "string", "default": "${{ env.nope }}"}, {}, "default of input 'x' is .* cannot be evaluated", "known: "),
    ],
)  # fmt: skip
def test_mistakes(spec: dict[str, Any], given: dict[str, Any], said: str, hint: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        one(given, **spec)
    assert hint in (caught.value.hint or "")


def test_all_missing_inputs_are_named_at_once() -> None:
    declared = {name: Input(type="string") for name in ("day", "region")} | {"z": Input(type="string", optional=True)}
    with pytest.raises(InputError, match="the inputs 'day', 'region' are required and have no default") as caught:
        resolve_inputs(declared, {}, {}, NOW)
    assert caught.value.hint == "pass them: --input day=VALUE --input region=VALUE"


def test_an_undeclared_name_is_refused_with_a_suggestion_or_accepted_as_it_is() -> None:
    declared = {"full_refresh": Input(type="boolean", default=False)}
    with pytest.raises(InputError, match="has no input 'Full_refrsh'") as caught:
        resolve_inputs(declared, {"Full_refrsh": True}, {}, NOW)
    assert caught.value.hint == "did you mean 'full_refresh'?"
    with pytest.raises(InputError) as caught:
        resolve_inputs({}, {"x": 1}, {}, NOW)
    assert caught.value.hint == "it declares no inputs"
    found = resolve_inputs(declared, {"Files": ["a"], "FULL_REFRESH": "true"}, {}, NOW, "accept")
    assert found == {"full_refresh": True, "Files": ["a"]}


def test_sources_in_layers_the_later_one_wins() -> None:
    declared = {"day": Input(type="string"), "limit": Input(type="string"), "files": Input(type="list")}
    scope = Scope(orchestra={"current_time": NOW}, env=ENV, outputs={"files": ["in/a.csv"]})
    schedule = Source(
        "the schedule 'nightly'",
        {"DAY": '${{ format_date(ORCHESTRA.CURRENT_TIME, "%d.%m.") }}', "limit": "${{ env.limit }}", "extra": "${{ env.limit }}"},
        scope,
    )  # fmt: skip
    sensor = Source("the sensor 'landing'", {"files": "${{ outputs.files }}", "none": "${{ env.nothing }}"}, scope)
    explicit = Source("the request", {"Limit": "${{ env.API_KEY }}", "day": None, "Extra": None})
    assert layer_inputs(declared, schedule, sensor) == {
        "day": "24.11.", "limit": "10", "extra": 10, "files": ["in/a.csv"], "none": None,
    }  # fmt: skip
    # What a caller sends is data, and null is "not set".
    assert layer_inputs(declared, schedule, explicit) == {"day": "24.11.", "limit": "${{ env.API_KEY }}", "extra": 10}


def test_an_expression_of_a_source_that_fails_is_named_without_its_secrets() -> None:
    scope = Scope(env=ENV)
    with pytest.raises(InputError, match=r"the schedule 'a' sets input 'x' to '\${{ env.NOPE }}', which cannot be"):
        layer_inputs({}, Source("the schedule 'a'", {"x": "${{ env.NOPE }}"}, scope))
    with pytest.raises(InputError) as caught:
        layer_inputs({}, Source("the schedule 'a'", {"x": "${{ int(env.PASSWORD) }}"}, scope))
    assert "hunter2" not in str(caught.value)


def test_a_secret_of_the_wrong_type_is_not_repeated() -> None:
    with pytest.raises(InputError) as caught:
        resolve_inputs({"api_token": Input(type="number")}, {"api_token": "hunter2"}, {}, NOW)
    assert str(caught.value) == "the input 'api_token' must be a number, not '********'"


_SECRETS = {
    "API_TOKEN": "hunter2hunter2",
    "PIN_KEY": 1234,
    "SHORT_PASSWORD": "pw",
    "DB": "postgres://u:s3cret-s3cret@h/d",
}


@pytest.mark.parametrize(
    ("wanted", "default", "value"),
    [
        ("number", "${{ ENV.API_TOKEN }}", None),
        ("number", "x${{ ENV.API_TOKEN }}", None),
        ("list", "${{ len(ENV.API_TOKEN) }}", None),
        ("number", None, "hunter2hunter2"),
        ("number", 5, " hunter2hunter2 "),
        ("number", None, "Bearer hunter2hunter2"),
        ("number", None, "pw"),
        ("number", None, '["pw"]'),
        ("list", None, {"pw": 1}),
        ("boolean", None, 1234),
        ("number", None, "s3cret-s3cret"),
    ],
)
def test_a_value_that_comes_from_a_secret_is_not_quoted(wanted: Any, default: Any, value: Any) -> None:
    spec = Input(type=wanted, default=default)
    with pytest.raises(InputError) as caught:
        resolve_inputs({"n": spec}, {} if value is None else {"n": value}, _SECRETS, NOW)
    assert str(caught.value) == f"the input 'n' must be a {wanted}; its value comes from a secret"


def test_a_value_that_comes_from_no_secret_is_quoted() -> None:
    with pytest.raises(InputError, match=r"must be a number, not 'hunter' \(from its default\)"):
        resolve_inputs({"n": Input(type="number", default="${{ ENV.WHO }}")}, {}, _SECRETS | {"WHO": "hunter"}, NOW)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), [1, {"a": float("inf")}], "1e999", "[1e999]"])
def test_numbers_that_json_does_not_have_are_refused(value: Any) -> None:
    wanted: Any = "list" if "[" in str(value) else "number"
    declared = {"n": Input(type=wanted)}
    said = "'n' is or holds nan or infinity, and JSON has no such number"
    with pytest.raises(InputError, match=said):
        resolve_inputs(declared, {"n": value}, ENV, NOW)
    with pytest.raises(InputError, match=said):
        resolve_inputs({"n": Input(type=wanted, default=value)}, {}, ENV, NOW)
    source = Source("the sensor 's'", {"n": "${{ env.X }}"}, Scope(env={"X": value}))
    with pytest.raises(InputError, match=said):
        resolve_inputs(declared, layer_inputs(declared, source), ENV, NOW)
    if not isinstance(value, str):  # text of an undeclared input stays text
        with pytest.raises(InputError, match=said):
            resolve_inputs({}, {"n": value}, ENV, NOW, "accept")


def test_nan_in_the_environment_is_no_secret() -> None:
    declared = {"n": Input(type="string", default="${{ ENV.X }}")}
    env = {"X": float("nan"), "API_TOKEN": "hunter2hunter2"}
    values = resolve_inputs(declared, {}, env, NOW)
    assert values == {"n": "nan"} and hidden_inputs(declared, values, env, NOW) == ()


def test_inputs_whose_value_came_out_of_a_secret_are_known() -> None:
    declared = {
        "plain": Input(type="string", default="${{ env.REGION }}"),
        "direct": Input(type="string", default="${{ env.PASSWORD }}"),
        "spliced": Input(type="string", default="x${{ env.PASSWORD }}"),
        "broken": Input(type="number", default="${{ int(env.PASSWORD) }}"),
        "given": Input(type="dict"),
    }
    values = {"plain": "eu", "direct": "hunter2", "spliced": "xhunter2", "broken": 1, "given": {"a": ["k=0123456789"]}}
    env = ENV | {"TOKENS": [["abcdefghij"], 12345678]}
    assert hidden_inputs(declared, values | {"more": "abcdefghij", "number": 123456789}, env, NOW) == (
        "direct", "spliced", "broken", "given", "more", "number",
    )  # fmt: skip


def test_plain_values_hold_json_types_only() -> None:
    assert plain({1: (NOW, None, 2.5), "a": {"b": True}}) == {"1": ["2026-11-24T08:00:00", None, 2.5], "a": {"b": True}}


@arbitrary(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False)))
def test_any_number_written_as_json_is_read_back(number: float) -> None:
    assert one({"x": json.dumps(number)}, type="number") == number


_SCALARS = st.none() | st.booleans() | st.integers() | st.text()


@arbitrary(st.recursive(_SCALARS, lambda values: st.lists(values) | st.dictionaries(st.text(), values)))
def test_any_json_list_is_read_back_and_kept_as_it_is(value: Any) -> None:
    assert one({"x": json.dumps([value])}, type="list") == one({"x": [value]}, type="list") == [value]
