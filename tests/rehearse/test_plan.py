"""The plan as a value: what is known before a run, and what stays hidden. How it is printed: test_plan_printed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as arbitrary
from hypothesis import settings
from hypothesis import strategies as st
from plan_harness import NOW, drawn, group, plan_of, read_pipeline, task, tasks_of

from rehearse.errors import InputError
from rehearse.language.validation import LoadedPipeline
from rehearse.planning.json_form import to_json
from rehearse.planning.matrix import item_key, item_keys, matrix_items
from rehearse.planning.mermaid import to_mermaid
from rehearse.planning.outlook import foresee, foreseen_skips
from rehearse.planning.plan import Plan, make_plan
from rehearse.planning.preview import Preview, waits_for
from rehearse.planning.secrets import MASK, is_secret_name, redact
from rehearse.planning.selection import select


def one_task(given: dict[str, Any] | None = None, **more: Any) -> Plan:
    return plan_of({"g": group(a=task(**more))}, given)


def filled(plan: Plan) -> Preview:
    return plan.previews(plan.groups[0])["a"][0]


# The value


def test_a_plan_is_equal_when_made_twice_and_not_with_another_input() -> None:
    nodes = {"g": group(a=task(), b=task(), each=("x", [{"id": 1}]))}
    assert plan_of(nodes) == plan_of(nodes)
    assert plan_of(nodes) != plan_of(nodes, {"day": "2026-11-25"})
    assert "hunter2" not in repr(plan_of(nodes, {"token": "hunter2"}))


def test_settings_of_a_task_win_over_those_of_the_pipeline_field_by_field() -> None:
    settings = {"retries": 2, "retry_delay": 5, "timeout": 90, "concurrency": {"max_active": "${{ ENV.LIMIT }}"}}
    nodes = {
        "g": group(a=task(configuration={"retries": 0}), b=task(tags=["x"])),
        "alone": task("g", name="", paused=True),
    }
    alerts = [{"name": "n", "statuses": ["FAILED"], "destinations": []}]
    plan = plan_of(nodes, configuration=settings, alerts=alerts)
    a, b, alone = plan.tasks
    assert (a.retries, a.retry_delay_minutes, a.timeout_seconds) == (0, 5, 90)
    assert (b.retries, b.tags, b.name) == (2, ("x",), "b")
    assert (alone.group_id, alone.paused, plan.groups[1].depends_on) == ("alone", True, ("g",))
    assert (plan.max_active, to_json(plan)["alerts"]) == (3, 1)


def test_outputs_are_kept_when_the_task_says_so() -> None:
    kept = [
        one_task(parameters={"set_outputs": value} if value is not ... else {}) for value in (True, False, None, ...)
    ]
    assert [plan.tasks[0].keeps_outputs for plan in kept] == [True, False, False, False]


@pytest.mark.parametrize(("written", "limit"), [(None, None), (0, None), (2, 2), ("${{ ENV.LIMIT }}", 3)])
def test_the_limit_of_runs(written: Any, limit: int | None) -> None:
    assert plan_of({}, configuration={"concurrency": {"max_active": written}}).max_active == limit


@pytest.mark.parametrize(
    ("written", "said"), [("${{ ENV.REGION }}", "no whole number"), ("${{ ENV.NOPE }}", "cannot be evaluated")]
)
def test_a_limit_that_is_no_number_is_refused(written: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        plan_of({}, configuration={"concurrency": {"max_active": written}})


def test_a_limit_that_cannot_be_evaluated_does_not_quote_a_secret() -> None:
    for written in ("${{ int(ENV.DB_PASSWORD) }}", "${{ int(ENV['DSN']) }}"):
        with pytest.raises(InputError, match=r"max_active is .* cannot be evaluated: it uses a secret") as caught:
            plan_of({}, configuration={"concurrency": {"max_active": written}})
        assert "hunter2" not in f"{caught.value} {caught.value.hint}" and "s3cret" not in str(caught.value)


# The matrix


def test_items_have_keys_that_are_all_different() -> None:
    assert item_keys(["a", "a", 1, "1", "a#2", "a"]) == ["a", "a#2", "1", "1#2", "a#2#2", "a#3"]
    assert [item_key(item) for item in ({"id": 7}, {"b": [1]}, None, 2.5)] == ["7", '{"b":[1]}', "null", "2.5"]


@arbitrary(st.lists(st.sampled_from(["a", "a#2", "a#3", "a#2#2", 1, "1"])))
def test_any_items_have_keys_that_are_all_different(items: list[Any]) -> None:
    assert len(set(item_keys(items))) == len(items)


@pytest.mark.parametrize("text", ["no json", "{}", "[" * 100_000])
def test_only_a_list_is_a_matrix(text: str) -> None:
    with pytest.raises(ValueError, match="the matrix needs a list"):
        matrix_items(text)


def matrix(values: Any, given: dict[str, Any] | None = None) -> dict[str, Any]:
    """What the JSON says of a matrix over these values, in a group behind one with the task Lister."""
    nodes = {"first": group(Lister=task()), "g": group("first", a=task(), each=("x", values))}
    found: dict[str, Any] = to_json(plan_of(nodes, given))["groups"][1]["matrix"]
    return found


def test_a_known_matrix_lists_its_items() -> None:
    assert matrix(["${{ env.region }}", {"id": 2, "at": "${{ env.region }}"}])["items"] == ["eu", {"id": 2, "at": "eu"}]
    assert matrix("${{ inputs.files }}", {"files": '["a", "a"]'})["keys"] == ["a", "a#2"]
    assert matrix([]) == {
        "key": "x", "source": [], "items": [], "keys": [], "waits_for": [], "problem": None, "max_parallel": None,
        "sequential": False, "continue_on_error": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("source", "waits"),
    [
        ("${{ ORCHESTRA.PIPELINE_RUN_TASKS['lister'].OUTPUTS['files'] }}", ["Lister"]),
        ("${{ tasks.lister.outputs['files'] }}", ["Lister"]),
        ("${{ ORCHESTRA['pipeline_run_tasks']['lister'].outputs['files'] }}", ["Lister"]),
        ("${{ orchestra.pipeline_run_tasks.LISTER.outputs['files'] }}", ["Lister"]),
        (
            ["${{ task_groups['first'].all().status == 'FAILED' }}", "${{ tasks['lister'].status }}"],
            ["first", "Lister"],
        ),
        ("${{ tasks[env.region].outputs }}", []),
        ("${{ secrets.items }}", []),
        ("${{ ORCHESTRA.CURRENT_BRANCH }}", []),
        ("${{ matrix.x }}", []),
    ],
)
def test_a_dynamic_matrix_says_what_it_waits_for(source: Any, waits: list[str]) -> None:
    found = matrix(source)
    assert (found["items"], found["keys"], found["source"], found["waits_for"]) == (None, None, source, waits)


def test_a_matrix_that_can_never_be_one_says_why() -> None:
    assert matrix("${{ env.REGION }}")["problem"] == "the matrix needs a list, not 'eu'"
    assert "NOPE" in matrix("${{ env.NOPE }}")["problem"]
    assert matrix("${{ inputs.nope }}")["problem"] == "the matrix needs a list, not None"


def test_a_matrix_out_of_a_secret_shows_its_length_only() -> None:
    assert matrix("${{ inputs.keys }}", {"keys": ["one", "two"]})["items"] == [MASK, MASK]
    assert matrix("${{ inputs.logins }}", {"logins": [{"id": 1, "password": "x"}]})["items"] == [
        {"id": 1, "password": MASK}
    ]
    assert matrix("${{ env.DB_PASSWORD }}")["problem"] == f"the matrix needs a list, not '{MASK}'"


def test_a_literal_matrix_hides_what_has_a_telling_key() -> None:
    items = [{"id": "eu", "token": "abcdefgh"}, {"n": [{"db_pwd": "abcdefgh"}]}, "https://u:abcdefgh@h", 5]
    shown = [{"id": "eu", "token": MASK}, {"n": [{"db_pwd": MASK}]}, MASK, 5]
    found = matrix(items)
    assert (found["items"], found["source"]) == (shown, shown)
    assert found["keys"] == ["eu", f'{{"n":[{{"db_pwd":"{MASK}"}}]}}', MASK, "5"]
    assert matrix({"token": "abcdefgh"})["problem"] == f"the matrix needs a list, not {{'token': '{MASK}'}}"
    late = matrix([{"token": "abcdefgh"}, "${{ tasks['lister'].status }}"])
    assert late["source"] == [{"token": MASK}, "${{ tasks['lister'].status }}"]
    node = group(a=task(parameters={"p": "${{ MATRIX.x.token }}", "q": "${{ MATRIX.x.id }}"}), each=("x", items[:1]))
    plan = plan_of({"g": node})
    assert filled(plan).parameters == {"p": MASK, "q": "eu"}
    assert plan.groups[0].matrix is not None and plan.groups[0].matrix.items == tuple(items[:1])
    for text in (json.dumps(to_json(plan)), drawn(plan, verbose=True), to_mermaid(plan)):
        assert "abcdefgh" not in text


def test_numbers_that_json_does_not_have_are_no_secrets() -> None:
    nan = float("nan")
    plan = plan_of({"g": group(a=task(parameters={"p": [nan, "${{ MATRIX.x }}"]}), each=("x", [nan, float("inf")]))})
    content = to_json(plan)
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["groups"][0]["matrix"]["items"] == ["nan", "inf"]
    assert filled(plan).parameters == {"p": ["nan", "nan"]}
    assert matrix("${{ inputs.text }}", {"text": "[NaN, 1]"})["items"] == ["nan", 1]


# Previews


@pytest.mark.parametrize(
    ("written", "shown", "dynamic"),
    [
        ("${{ inputs.n }}", 5, False),
        ("n=${{ inputs.n }}, ${{ 1 == 1 }}, ${{env.region}}", "n=5, True, eu", False),
        (" ${{ inputs.files }} ", ["a"], False),
        ("${{ len(inputs.files) }} of ${{ tasks['a'].status }}", "1 of ${{ tasks['a'].status }}", True),
        ("${{ tasks['a'].status }}${{ env.region }}!", "${{ tasks['a'].status }}eu!", True),
        ("${{ orchestra.pipeline_run_started_at }}", "2026-11-24T06:00:00", False),
        ("${{ orchestra.current_time }}", "${{ orchestra.current_time }}", True),
        ("${{ secrets.x }}", "${{ secrets.x }}", True),
        ("${{ inputs.unknown }}", None, False),
        (["${{ env.region }}", {"k": "${{ matrix.x }}"}, 7], ["eu", {"k": "${{ matrix.x }}"}, 7], True),
    ],
)
def test_what_is_known_is_filled_in_and_the_rest_is_left_as_written(written: Any, shown: Any, dynamic: bool) -> None:
    found = filled(one_task({"n": 5, "files": ["a"]}, parameters={"p": written}))
    assert found.parameters == {"p": shown}
    assert bool(found.dynamic) is dynamic and found.problems == ()


def test_a_preview_says_where_it_is_dynamic_and_what_will_fail() -> None:
    parameters = {
        "p": "${{ env.nope }} ${{ env.nope }}",
        "q": {"r": ["${{ tasks['a'].status }}"]},
        "s": "${{ env.nope }}",
    }
    plan = one_task(name="Load ${{ env.region }}", connection="${{ env.warehouse }}", parameters=parameters)
    found = filled(plan)
    assert (found.name, found.connection, found.dynamic) == ("Load eu", "wh", ("parameters.q.r[0]",))
    assert [problem.split(":")[0] for problem in found.problems] == ["parameters.p", "parameters.s"]
    assert found.parameters["s"] == "${{ env.nope }}" and plan.tasks[0].runs == ("local",)
    assert "will fail: parameters.p: " in drawn(plan)
    assert "q (in part known at run time): {" in drawn(plan, verbose=True)


def test_the_first_items_of_a_matrix_are_filled_in_each() -> None:
    plan = plan_of({"g": group(a=task(name="${{ MATRIX.x }}"), each=("x", list(range(12_000))))})
    found = tasks_of(plan)["a"]
    assert [preview["name"] for preview in found["previews"]] == [str(number) for number in range(20)]
    assert (found["previews_left_out"], foresee(plan).task_runs) == (11_980, 12_000)
    assert "for each x (12,000): 0, 1, 2, 3, 4, 5, 6, ... and 11,993 more" in drawn(plan)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("${{ inputs.token }}", MASK),
        ("Bearer ${{ inputs.token }}!", f"Bearer {MASK}!"),
        ("${{ env.dsn }} ${{ env['DB_PASSWORD'] }}", f"{MASK} {MASK}"),
        ("${{ inputs.cfg }}", {"user": "me", "pass": MASK}),
        ("${{ str(inputs.cfg) }}", f'{{"user": "me", "pass": "{MASK}"}}'),
        ("${{ inputs.cfg.user }}", "me"),
        ("${{ len(env.db_password) }}", MASK),  # not even its length
        ("${{ inputs.token == 'abcdefgh' }}", MASK),
        ("${{ 'token' in ['token'] }}", True),
        ("${{ inputs.from_default }}", MASK),
    ],
)
def test_a_secret_is_hidden_however_it_gets_into_a_value(written: str, shown: Any) -> None:
    inputs = {"from_default": {"type": "string", "default": "${{ env.DB_PASSWORD }}"}}
    given = {"token": "abcdefgh", "cfg": {"user": "me", "pass": "xyz"}}
    plan = plan_of({"g": group(a=task(parameters={"p": written}))}, given, inputs=inputs)
    assert filled(plan).parameters == {"p": shown}


def test_an_error_over_a_secret_does_not_quote_it() -> None:
    (problem,) = filled(one_task(parameters={"p": "${{ int(env.DB_PASSWORD) }}"})).problems
    assert "hunter2" not in problem
    later = "${{ add_days(ORCHESTRA.PIPELINE_RUN_STARTED_AT, inputs.key) }}"  # possible with 7, not with the mask
    assert filled(one_task({"key": 7}, parameters={"p": later})).parameters == {"p": MASK}
    (problem,) = filled(one_task({"keys": [1]}, parameters={"p": "${{ inputs.keys[5] }}"})).problems
    assert problem == "parameters.p: it cannot be evaluated with the value of a secret"


def test_names_and_urls_that_are_secret() -> None:
    telling = ["db_pass", "ApiKey", "AUTHOR", "DB_PWD", "passphrase", "GITHUB_PAT", "pat", "githubPat", "SAS_SIGNATURE",
               "SENTRY_DSN", "dsn2", "git-pat"]  # fmt: skip
    other = ["region", "", "PATH", "PATTERN", "PATCH", "dispatch", "myPath", "SPAT", "REDSNOW"]
    assert [name for name in (*telling, *other) if is_secret_name(name)] == telling
    hidden = ["https://u:p@h", "see x://u:p@h now", "x://u:p#/?@h", "x://:p@h", "x://u:12@h", "x://u:a b@h",
              "x://u:p[w'd,/@h", '{"url": "x://u:p@h"}', "https://hooks.slack.com/services/T0/B0/x",
              "see <https://hooks.slack.com/services/T0/B0/x>", "https://discord.com/api/webhooks/1/x"]  # fmt: skip
    lists = [
        '["http://h:8080", "mailto:x@y"]',
        '["http://h","mailto:x@y"]',
        "['http://h:8080','u@h']",
        "a http://h, u:p@h",
    ]
    shown = [
        "http://h:80/a@b",
        "http://h:80",
        "http://[",
        "u:p@h",
        "https://slack.com/services/",
        *lists,
        None,
        5,
        ("x",),
    ]
    assert redact("", hidden) == [MASK] * len(hidden)
    assert redact("", shown) == [*shown[:-1], ["x"]]
    assert redact("", {"key": None, "Token": {"a": 1}, "n": {"token": "x", "m": 1}}) == {
        "key": None, "Token": MASK, "n": {"token": MASK, "m": 1},
    }  # fmt: skip


@pytest.mark.parametrize("unit", ["x://a:", "://a:b ", "://", "a:", "://a:1", "://a:@", "hooks.slack.com/services/"])
def test_long_texts_are_looked_through_quickly(unit: str) -> None:
    """With time in proportion to the square of the length this would take hours."""
    text = unit * (2_000_000 // len(unit))
    assert redact("", f" {text}x") is not None and redact("", text) is not None


_SPLICES = [
    "${{ inputs.the_key }}", "${{ env.TOKEN }}", "${{ env.URL }}", "${{ str(inputs.the_key) }}", "${{ inputs.later }}",
    "${{ inputs.box }}", "${{ str(inputs.box) }}", "${{ int(env.TOKEN) }}", "${{ matrix.x }}", "${{ tasks['a'].status }}",
]  # fmt: skip


@settings(max_examples=60)
@arbitrary(
    st.text(st.characters(codec="utf-8", exclude_characters="*")).map(lambda text: f"Zq{text}qZ"),
    st.booleans(),
    st.lists(st.sampled_from(_SPLICES), max_size=4).map("-".join),
)
def test_no_secret_is_ever_printed(secret: str, nested: bool, text: str) -> None:
    node = group(a=task(name=text, connection=text, parameters={"p": [text]}), each=("x", "${{ inputs.keys }}"))
    document = {
        "version": "v1", "name": "t", "pipeline": {"g": node},
        "inputs": {"later": {"type": "string", "default": "${{ env.TOKEN }}"}},
    }  # fmt: skip
    keys = [{"id": 1, "token": secret}] if nested else [secret, secret]
    given = {"the_key": secret, "box": {"password": secret, "n": 1}, "keys": keys}
    env = {"TOKEN": secret, "URL": f"ftp://user:{secret}@host"}
    loaded = LoadedPipeline("p.yml", "", read_pipeline(document), [])
    plan = make_plan(loaded, given, "e", env, NOW, undeclared="accept")
    as_json = json.dumps(to_json(plan), ensure_ascii=False)
    for printed in (as_json, drawn(plan, verbose=True), to_mermaid(plan), repr(plan)):
        assert "Zq" not in printed and "qZ" not in printed


# What is foreseen


def test_what_will_be_skipped_is_foreseen() -> None:
    on_skip = "${{ task_groups['off'].all().status == 'SKIPPED' }}"
    nodes = {
        "later": group("off", l=task()),
        "off": group(condition="inputs.full is True", o1=task(), o2=task("o1")),
        "rescue": group("off", condition=on_skip, r=task()),
        "mixed": group(m1=task(condition="False"), m2=task("m1"), m3=task("m1", condition="True")),
        "broken": group(condition="env.NOPE == 1", b=task()),
        "empty": group(each=("x", []), e=task(condition="True")),
    }
    plan = plan_of(nodes, {"full": False})
    assert foreseen_skips(plan) == {
        "o1": "the condition of its group is false", "o2": "the condition of its group is false", "l": "'o1' is skipped",
        "m1": "its condition is false", "m2": "'m1' is skipped", "e": "its matrix is empty",
    }  # fmt: skip
    assert tasks_of(plan)["l"]["skipped"] == "'o1' is skipped" and "will be skipped: 'o1' is skipped" in drawn(plan)
    # A task that is not selected is as if it were not there.
    assert foreseen_skips(select(plan, ["l", "m1"])) == {"m1": "its condition is false"}


def test_what_is_simulated_or_cannot_run_here_is_named() -> None:
    connections = {
        "real": "${{ ENV.WAREHOUSE }}", "pretended": "fake", "later": "${{ tasks['real'].status }}", "nowhere": "nowhere",
        "typo": "wharehouse", "missing": "${{ ENV.NOPE }}",
    }  # fmt: skip
    tasks = {name: task(connection=connection) for name, connection in connections.items()}
    mixed = group(mixed=task(connection="${{ MATRIX.c }}"), each=("c", ["fake", "wh", "nope", "wh"]))
    plan = plan_of({"g": group(**tasks, off=task(connection="fake", paused=True)), "m": mixed})
    content, text = to_json(plan), drawn(plan)
    assert content["simulated"] == ["pretended", "mixed"]
    assert content["cannot_run_here"] == ["nowhere", "typo", "missing", "mixed"]
    assert {name: found["runs"] for name, found in tasks_of(plan).items()} == {
        "real": "local", "pretended": "stub", "later": "known at run time", "nowhere": "unsupported", "off": "stub",
        "typo": "unknown connection", "missing": "unknown connection", "mixed": "stub or local or unknown connection",
    }  # fmt: skip
    assert text.splitlines()[-1] == "simulated: pretended, mixed; cannot run here: nowhere, typo, missing, mixed"
    assert "typo  PYTHON_EXECUTE_SCRIPT  unknown connection: wharehouse" in text
    assert "simulated (stub) for some items  unknown connection for some items: fake, wh, nope" in text
    assert to_json(select(plan, ["real"]))["simulated"] == []


def test_what_is_certain_to_be_skipped_counts_for_nothing_else() -> None:
    nodes = {
        "off": group(condition="False", a=task(connection="fake"), b=task(connection="nowhere")),
        "later": group("off", c=task(connection="typo"), each=("x", "${{ tasks['a'].outputs['y'] }}")),
        "on": group(d=task(connection="fake"), e=task(connection="nowhere", condition="False")),
    }
    plan = plan_of(nodes)
    content = to_json(plan)
    assert (content["simulated"], content["cannot_run_here"], content["task_runs"]) == (["d"], [], 1)
    assert drawn(plan).endswith("\n5 tasks; 1 task run\nsimulated: d")


def test_a_standalone_task_has_its_own_condition() -> None:
    plan = plan_of({"alone": task(condition="False"), "g": group(condition="False", a=task())})
    assert foreseen_skips(plan) == {"alone": "its condition is false", "a": "the condition of its group is false"}


def test_an_expression_that_waits_for_nothing() -> None:
    assert waits_for({"a": ["plain", 1]}) == frozenset()
