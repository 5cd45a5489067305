"""Properties that hold for any expression: printing, totality, places of errors."""

from __future__ import annotations

from datetime import UTC

from expression_harness import ID, attempt, scope
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rehearse.language import evaluation, expressions, syntax
from rehearse.language.evaluation import Scope, TaskVariable, evaluate, to_text, truthy
from rehearse.language.expressions import parse
from rehearse.language.statuses import STATUSES
from rehearse.language.syntax import unparse, walk
from rehearse.language.templates import parse_condition, parse_template, render_template

# Properties

WORDS = [
    "inputs", "INPUTS", ".", "n", "[", "]", "'a'", '"b"', "0", "1.5", "==", "!=", "<", ">=", "in", "not in", "is", "is not",
    "and", "or", "not", "(", ")", ".all()", ".any()", "len", "str", "int", "-", "tasks", "task_groups", "['G1']", "['q']",
    ".status", ".outputs", "None", "True", ",", "'COMPLETED'", "orchestra.current_time", "env", "matrix", "format_date",
    "task_groups['G1'].all().status", "'unclosed", "=", "&&",
]  # fmt: skip
KEYS = ["a", "b", "Q", "status", "OUTPUTS", "run_parameters", "task_run_id", "pipeline_run_tasks", "current_time"]
_names = st.sampled_from(KEYS) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,5}", fullmatch=True)
_floats = st.floats(min_value=0, max_value=1e299).filter(lambda number: number == 0 or number > 1e-280)
_literals = st.builds(
    syntax.Literal,
    st.just(0),
    st.none() | st.booleans() | st.integers(0, 10**299) | _floats | st.sampled_from([*KEYS, "COMPLETED"]) | st.text(),
)
_roots = st.builds(syntax.Name, st.just(0), st.sampled_from(expressions.ROOTS))
_groups = st.builds(syntax.Subscript, st.just(0), st.just(syntax.Name(0, "task_groups")), _literals)
_quantified = st.builds(syntax.Quantifier, st.just(0), _groups, st.sampled_from(["all", "any"]))
_operators = ["and", "or", "==", "!=", "<", ">", "<=", ">=", "in", "not in", "is", "is not"]


def _calls(function: str, children: st.SearchStrategy[syntax.Node]) -> st.SearchStrategy[syntax.Node]:
    _, least, most = expressions.FUNCTIONS[function]
    arguments = st.lists(children, min_size=least, max_size=most).map(tuple)
    return st.builds(syntax.Call, st.just(0), st.just(function), arguments)


def _branches(children: st.SearchStrategy[syntax.Node]) -> st.SearchStrategy[syntax.Node]:
    several = st.lists(children, max_size=3).map(tuple)
    zero = st.just(0)
    return st.one_of(
        st.builds(syntax.ListNode, zero, several),
        st.sampled_from([*expressions.FUNCTIONS]).flatmap(lambda name: _calls(name, children)),
        st.builds(syntax.Attribute, zero, children | _quantified, _names),
        st.builds(syntax.Subscript, zero, children | _quantified, children),
        st.builds(syntax.Unary, zero, st.sampled_from(["not", "-"]), children),
        st.builds(syntax.Binary, zero, st.sampled_from(_operators), children, children),
    )


trees = st.recursive(_literals | _roots | _groups | _quantified, _branches, max_leaves=10)
_odd = st.one_of(
    st.none(), st.booleans(), st.integers(), st.builds(lambda: 10**5000), st.floats(), st.text(max_size=5), st.sampled_from(KEYS),
    st.sampled_from([*STATUSES, "COMPLETED", "2024-02-29", "${{ inputs.a }}", "Europe/Paris", "%Y"]),
    st.datetimes(), st.datetimes(timezones=st.just(UTC)), st.dates(), st.uuids(), st.binary(max_size=3), st.decimals(),
)  # fmt: skip
values = st.recursive(
    _odd,
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.sampled_from([*KEYS, 1, None]), children, max_size=3)
    ),
    max_leaves=6,
)
_variables = st.dictionaries(st.sampled_from(KEYS), values, max_size=4)
_runs = st.builds(TaskVariable, st.sampled_from(STATUSES), st.none() | st.just(ID), _variables, _variables)
scopes = st.builds(
    Scope, _variables, st.dictionaries(st.sampled_from(KEYS), _runs, max_size=3),
    st.dictionaries(st.sampled_from(KEYS), st.lists(_runs, max_size=3), max_size=3), _variables, _variables, _variables,
    st.none() | _variables, st.none() | _variables, st.booleans(),
)  # fmt: skip
_slow = settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


@_slow
@given(trees)
def test_any_tree_survives_printing_and_parsing(tree: syntax.Node) -> None:
    text = unparse(tree)
    again = parse(text)
    assert again == tree
    assert unparse(again) == text  # equality alone takes True for 1
    assert hash(again) == hash(tree)
    assert len(list(walk(again))) == len(list(walk(tree)))
    assert parse_template(f"a ${{{{{text}}}}} b").nodes == [(5, tree)]
    if "${{" not in text:  # section 5.2: only such a condition may stand without delimiters
        assert parse_condition(text).whole == tree


@_slow
@given(trees, scopes)
def test_any_tree_in_any_scope_gives_a_value_or_our_error(tree: syntax.Node, any_scope: Scope) -> None:
    def check() -> None:
        result = evaluate(tree, any_scope)
        assert not isinstance(result, (TaskVariable, evaluation.Status, evaluation._Names, evaluation._Group))
        assert isinstance(truthy(result), bool)
        assert isinstance(to_text(result), str)

    attempt(check)


def _check_places(text: str, root: syntax.Node) -> None:
    for node in walk(root):
        found = text[node.offset :]
        match node:
            case syntax.Literal(value=str()):
                assert found[0] in "'\""
            case syntax.Name(name=name) | syntax.Call(function=name):
                assert found.lower().startswith(name)
            case syntax.Attribute(name=name):
                assert found.startswith(name)
            case syntax.Quantifier(mode=mode):
                assert found.startswith(f"{mode}(") or found.startswith(f"{mode} ")
            case syntax.Unary(operator=operator) | syntax.Binary(operator=operator):
                assert found.startswith(operator.split()[0])
            case syntax.ListNode() | syntax.Subscript():
                assert found.startswith("[")


@_slow
@given(st.lists(st.sampled_from(WORDS), max_size=14), st.sampled_from(["", " ", "\n "]))
def test_any_sequence_of_words_evaluates_or_raises_our_error_at_a_place_in_it(words: list[str], blank: str) -> None:
    text = blank.join(words)

    def check() -> None:
        node = parse(text)
        _check_places(text, node)
        assert parse(unparse(node)) == node
        evaluate(node, scope())

    failed = attempt(check)
    assert failed is None or 0 <= failed.offset <= len(text)


@given(st.text(max_size=40))
def test_any_text_parses_or_raises_our_error(text: str) -> None:
    for parser in (parse, parse_template, parse_condition):
        failed = attempt(lambda parser=parser: parser(text))
        assert failed is None or 0 <= failed.offset <= len(text)


@given(st.text(max_size=10), st.lists(st.sampled_from([*WORDS, "}}", "}", "${{", "'", '"', "\\"]), max_size=10))
def test_offsets_in_a_template_are_behind_the_text_before_it(before: str, words: list[str]) -> None:
    before = before.replace("$", "")
    text = f"{before}${{{{ {' '.join(words)} }}}}"

    def check() -> None:
        template = parse_template(text)
        assert template.nodes[0][0] == len(before) + 3
        render_template(template, scope())

    failed = attempt(check)
    assert failed is None or len(before) <= failed.offset <= len(text)
