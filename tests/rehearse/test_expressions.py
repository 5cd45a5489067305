"""Sections 5.2, 5.5 and 5.8 of the language reference: delimiters, operators, grammar, and the trees that come of it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from expression_harness import attempt, error, scope, value

from rehearse.errors import ExpressionError
from rehearse.language import expressions, syntax
from rehearse.language.evaluation import evaluate
from rehearse.language.expressions import parse
from rehearse.language.syntax import unparse, walk
from rehearse.language.templates import parse_condition, parse_template, render_template, resolve

# Section 5.2: delimiters


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${{inputs.n}}", 5),
        ("  ${{ inputs.n }}\n", 5),
        ("${{ tasks['http']\n .outputs[\n'status_code'] }}", 200),
        ("a ${{ '}}' }} b", "a }} b"),
        ('${{ "}}" }}', "}}"),
        ("${{ 'it\\'s }}' }}", "it's }}"),
        ("${{ 'one\n two' }}", "one\n two"),
        ("${{ '${{' }}", "${{"),
        ("{{ inputs.n }}", "{{ inputs.n }}"),
        ("${{ inputs.n }}${{ inputs.n }}", "55"),
        ("it's ${{ inputs.n }} o'clock", "it's 5 o'clock"),
        ("} }} ${{ inputs.n }} }}", "} }} 5 }}"),
        ("", ""),
    ],
)
def test_5_2_delimiters(text: str, expected: Any) -> None:
    assert resolve(text, scope()) == expected == render_template(parse_template(text), scope())


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("a ${{ inputs.n", 2, "never closed by '}}'"),
        ("a ${{ inputs.n }", 2, "never closed by '}}'"),
        ("a ${{ 'x }}", 6, "the quote is never closed"),
        ("a ${{ b ${{ inputs.n }} }}", 6, "unknown name 'b'"),
        ("a ${{ tasks[${{ inputs.n }}] }}", 12, "stands around the whole expression"),
        ("a ${{ }}", 5, "the expression is empty"),
        ("a ${{ inputs.n + 1 }}", 15, "arithmetic"),
        ("ok ${{ inputs.n }} ${{ 1 = 1 }}", 25, "compare with '=='"),
    ],
)
def test_5_2_mistakes_in_a_template_point_into_its_text(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_template(text)
    assert message in f"{caught.value} {caught.value.hint}"
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("text", "offset"),
    [(" not ${{ True }}", 1), ("${{ True }} x", 12), ("${{ True }} ${{ True }}", 12), ("x ${{ 1 }} y", 0)],
)
def test_5_2_a_condition_has_no_text_around(text: str, offset: int) -> None:
    with pytest.raises(ExpressionError, match="text outside") as caught:
        parse_condition(text)
    assert caught.value.offset == offset


def test_5_2_offsets_of_a_condition_count_from_its_start() -> None:
    for text in ("${{ 1 == }}", "    1 ==   "):
        with pytest.raises(ExpressionError, match="found the end") as caught:
            parse_condition(text)
        assert caught.value.offset == (9 if "$" in text else 11)


# Section 5.5: operators, literals, functions


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 == 1.0", True),
        ("True == 1", True),  # equality is Python's
        ("1 is True", False),
        ("inputs.n is not None", True),
        ("None is None", True),
        ("inputs.flag is not False", True),
        ("'5' == 5", False),
        ("'5' != 5", True),
        ("[1] == [1]", True),
        ("[1, [2, 3],]", [1, [2, 3]]),
        ("[]", []),
        ("1 not in [1, 2]", False),
        ("'rde' in inputs.table", True),
        ("5 in inputs.table", False),
        ("'region' in inputs.cfg", True),
        ("'results' in tasks['q'].outputs", True),
        ("not True == False", True),  # 'not' binds less tightly than '=='
        ("not not 1", True),
        ("True or False and False", True),
        ("(True or False) and False", False),
        ("False and inputs.n > 'a'", False),  # the right side is not evaluated
        ("1 or inputs.n > 'a'", 1),
        ("inputs.opt or 'default'", "default"),
        ("inputs.n >= 5 and inputs.n <= 5", True),
        ("'b' > 'a'", True),
        ("[1, 2] < [1, 3]", True),
        ("orchestra.current_time > add_days(orchestra.current_time, -1)", True),
        ("-inputs.n", -5),
        ("-1.25 < -1", True),
        ("(-inputs.n)", -5),
        ("null", None),
        ("false", False),
        (r"'a\n\t\\\'\x41\u00e9\101\0'", "a\n\t\\'Aé" + "A\0"),
        (r"'\d\N{BULLET}\U0001f600'", "\\d•😀"),
        ("'a\\\nb'", "ab"),
        ('"it\'s"', "it's"),
        ("'🙂' == '🙂'", True),
        ("format_date('2024-01-31', '%d.%m.')", "31.01."),
        ("format_date('2024-07-01T12:00:00', '%H:%M %Z', 'Europe/Paris')", "14:00 CEST"),  # naive is UTC
        ("format_date('2024-07-01T12:00:00+02:00', '%H')", "10"),
        ("format_date(orchestra.current_time, '%H', 'US/Eastern')", "08"),
        ("format_date(orchestra.current_time, '%H', 'europe/paris')", "13"),  # pytz finds it in any case
        ("format_date(orchestra.current_time, '%H', inputs.opt)", "12"),
        ("format_date(add_days(inputs.date, 2), '%Y-%m-%d')", "2024-03-01"),
        ("add_days('2024-02-28', 1.5)", datetime(2024, 2, 29, 12, tzinfo=UTC)),
        ("len('abc')", 3),
        ("len(inputs.cfg)", 2),
        ("len(outputs)", 2),
        ("INT(' 7 ')", 7),
        ("int(1.9)", 1),
        ("int(True)", 1),
        ("str(None)", "None"),
        ("str(1.0)", "1.0"),
        ("str(inputs.files)", '["a.csv", "b.csv"]'),
        ("str(orchestra.current_time)", "2024-10-29T12:01:02.123456"),
        ("str(tasks['q'].status)", "SUCCEEDED"),
    ],
)  # fmt: skip
def test_5_5_operators_literals_functions(text: str, expected: Any) -> None:
    result = value(text)
    assert (type(result), result) == (type(expected), expected)


@pytest.mark.parametrize(
    ("text", "message", "at"),
    [
        ("inputs.n > 'a'", "cannot compare a number '>' text", ">"),
        ("inputs.opt < 1", "cannot compare None '<' a number", "<"),
        ("inputs.cfg >= inputs.cfg", "cannot compare a dict '>=' a dict", ">="),
        ("1 in 5", "cannot compare a number 'in' a number", "in 5"),
        ("1 not in None", "cannot compare a number 'not in' None", "not"),
        ("-'a'", "'-' needs a number, not text", "-"),
        ("-True", "'-' needs a number, not a boolean", "-"),
        ("len(None)", "len(): object of type 'NoneType' has no len()", "len"),
        ("len(5)", "len():", "len"),
        ("int('x')", "int(): invalid literal", "int"),
        ("int(None)", "int():", "int"),
        ("int(str([]))", "int():", "int"),
        ("len()", "len() takes 1 argument, not 0", "len"),
        ("format_date(1)", "format_date() takes 2 or 3 arguments, not 1", "format"),
        ("format_date(1, '%Y')", "needs a date, not a number", "format"),
        ("format_date('soon', '%Y')", "format_date(): Invalid isoformat", "format"),
        ("format_date('2024-01-01', 1)", "format_date():", "format"),
        ("format_date('2024-01-01', '%Y', 'Mars/Base')", "there is no time zone 'Mars/Base'", "format"),
        ("format_date('2024-01-01', '%Y', '../UTC')", "there is no time zone", "format"),
        ("format_date('2024-01-01', '%Y', 'Europe')", "there is no time zone", "format"),
        ("add_days('2024-01-01', '1')", "add_days():", "add"),
        ("add_days('2024-01-01', 999999999999)", "add_days():", "add"),
        ("add_days('2024-01-01', inputs.nan)", "add_days():", "add"),
        ("add_days(None, 1)", "needs a date, not None", "add"),
    ],
)
def test_5_5_wrong_operands_are_errors_with_a_place(text: str, message: str, at: str) -> None:
    caught = error(text, inputs={"n": 5, "cfg": {}, "nan": float("nan")})
    assert message in str(caught)
    assert caught.offset == text.index(at)


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("inputs.n + 1", 9, "arithmetic"),
        ("inputs.n - 1", 9, "arithmetic"),
        ("inputs.n % 2 == 0", 9, "arithmetic"),
        ("--1", 1, "expected a value, found '-'"),
        ("inputs.n = 1", 9, "compare with '=='"),
        ("inputs.n === 1", 11, "compare with '=='"),
        ("inputs.a && inputs.b", 9, "write 'and'"),
        ("inputs.a || inputs.b", 9, "write 'or'"),
        ("!inputs.a", 0, "write 'not'"),
        ("inputs.a AND inputs.b", 9, "write 'and'"),
        ("inputs.a Or inputs.b", 9, "write 'or'"),
        ("NOT inputs.a", 0, "write 'not'"),
        ("inputs.a == TRUE", 12, "write 'True'"),
        ("inputs.a == NULL", 12, "unknown name"),
        ("inputs.a is NONE", 12, "write 'None'"),
        ("1 if inputs.a else 2", 2, "there is no ternary"),
        ("IF inputs.a", 0, "there is no ternary"),
        ("inputs.a ? 1 : 2", 9, "there is no ternary"),
        ("{'a': 1}", 0, "there are no dict literals"),
        ("{{ inputs.a }}", 0, "'${{ }}'"),
        ("${{ inputs.a }}", 0, "around the whole expression"),
        ("inputs.files[0:1]", 14, "no slices"),
        ("[x for x in inputs.files]", 1, "unknown name 'x'"),
        ("[1 for x in inputs.files]", 3, "comprehensions"),
        ("lambda: 1", 0, "lambdas"),
        ("f'{inputs.a}'", 0, "f-strings"),
        ("inputs.a == “x”", 12, "straight quotes"),
        ("inputs.a == ‘x’", 12, "straight quotes"),
        ("inputs.a == `x`", 12, "straight quotes"),
        (r"tasks[\"q\"].status", 6, "without a backslash"),
        ("inputs.a @ 1", 9, "found '@'"),
        ("github.ref", 0, "unknown name 'github'"),
        ("string", 0, "unknown name 'string'"),
        ("lower(inputs.table)", 0, "unknown function 'lower'"),
        ("env('X')", 0, "unknown function 'env'"),
        ("inputs.table.upper()", 13, "'.upper()' is not supported"),
        ("inputs.files.any()", 13, "follows task_groups['...'] only"),
        ("task_groups.any()", 12, "follows task_groups['...'] only"),
        ("task_groups.g.any()", 14, "follows task_groups['...'] only"),
        ("tasks['q'].all()", 11, "follows task_groups['...'] only"),
        ("task_groups['g'].all().all()", 23, "follows task_groups['...'] only"),
        ("task_groups['g'].all(1)", 21, "expected ')'"),
        ("1 < 2 < 3", 6, "cannot be chained"),
        ("1 == 2 not in [3]", 7, "cannot be chained"),
        ("1 is 2 is not 3", 7, "cannot be chained"),
        ("1 == not 2", 5, "put 'not ...' into parentheses"),
        ("-not 1", 1, "expected a value, found 'not'"),
        ("1 not 2", 6, "expected 'in', found '2'"),
        ("1 in", 4, "found the end of the expression"),
        ("and 1", 0, "expected a value, found 'and'"),
        ("'open", 0, "the quote is never closed"),
        ("inputs.a == 'b\"", 12, "the quote is never closed"),
        ("", 0, "the expression is empty"),
        (" \n ", 0, "the expression is empty"),
        ("()", 1, "expected a value"),
        ("(1", 2, "expected ')'"),
        ("1)", 1, "expected an operator or the end, found ')'"),
        ("[1, , 2]", 4, "expected a value"),
        ("[1 2]", 3, "expected ']', found '2'"),
        ("len(inputs.a,)", 13, "expected a value, found ')'"),
        ("inputs.", 7, "expected a name after '.'"),
        ("inputs.1", 7, "expected a name after '.'"),
        ("inputs['a'", 10, "expected ']'"),
        ("1 2", 2, "expected an operator"),
        (".5", 0, "expected a value"),
        ("1e5", 1, "expected an operator"),
        ("9" * 301, 300, "expected an operator"),
        ("int('7')('8')", 8, "expected an operator"),
        (r"'a' == '\x4'", 7, "malformed escape"),
        (r"'\N{nothing of the kind}'", 0, "malformed escape"),
        ("٣", 0, "found '٣'"),
    ],
)
def test_5_8_what_is_not_in_the_grammar_is_refused_with_a_hint(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text)
    assert message in f"{caught.value} {caught.value.hint}"
    assert caught.value.offset == offset


# Trees: printing, walking, depth and cost


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('INPUTS . table=="it\'s"', 'inputs.table == "it\'s"'),
        ("((1))", "1"),
        ("not (1 == 2)", "not 1 == 2"),
        ("(not 1) == 2", "(not 1) == 2"),
        ("1 == (2 == 3)", "1 == (2 == 3)"),
        ("(1 or 2) and (3 and 4)", "(1 or 2) and (3 and 4)"),
        ("(1 or 2) or 3", "1 or 2 or 3"),
        ("1 and (2 or 3)", "1 and (2 or 3)"),
        ("(-inputs.n).x", "(-inputs.n).x"),
        ("- (1 == 2)", "-(1 == 2)"),
        ("-(-1)", "-(-1)"),
        ("not (not 1)", "not not 1"),
        ("1 not  in [1,2,]", "1 not in [1, 2]"),
        ("true is  not null", "True is not None"),
        ("Task_Groups['g'].ALL().status in ['A']", "task_groups['g'].all().status in ['A']"),
        ("LEN( inputs.x ['y'] [0] )", "len(inputs.x['y'][0])"),
        ("1000000000000000000000.0 > 0.00000001", "1000000000000000000000.0 > 0.00000001"),
        ("1.50", "1.5"),
    ],
)
def test_unparse_is_canonical(text: str, canonical: str) -> None:
    node = parse(text)
    assert unparse(node) == canonical
    assert parse(canonical) == node


def test_walk_goes_through_a_tree_in_the_order_of_the_text() -> None:
    nodes = list(walk(parse("tasks['q'].outputs[len([1, 2])] == 3 and not -4 in [5]")))
    assert [node.value for node in nodes if isinstance(node, syntax.Literal)] == ["q", 1, 2, 3, 4, 5]
    kinds = {"Literal", "Name", "ListNode", "Attribute", "Subscript", "Call", "Unary", "Binary"}
    assert {type(node).__name__ for node in nodes} == kinds


def test_offsets_are_those_of_the_names_and_quotes() -> None:
    text = "  task_groups['fist'] .all() . status  not in ['A'] and -len(inputs.x) == 1"
    places = {(type(node).__name__, text[node.offset :][:5]) for node in walk(parse(text))}
    assert places == {
        ("Binary", "and -"), ("Binary", "not i"), ("Attribute", "statu"), ("Quantifier", "all()"), ("Subscript", "['fis"),
        ("Name", "task_"), ("Literal", "'fist"), ("ListNode", "['A']"), ("Literal", "'A'] "), ("Binary", "== 1"),
        ("Unary", "-len("), ("Call", "len(i"), ("Attribute", "x) =="), ("Name", "input"), ("Literal", "1"),
    }  # fmt: skip


def test_trees_are_equal_whatever_their_offsets() -> None:
    assert parse("inputs.a==1") == parse(" inputs . a == 1")
    assert hash(parse("inputs.a==1")) == hash(parse(" inputs . a == 1"))
    assert parse("inputs.a") != parse("inputs['a']")


def depth(node: syntax.Node) -> int:
    values = [getattr(node, name) for name in node.__slots__]
    below = [c for v in values for c in (v if isinstance(v, tuple) else (v,)) if isinstance(c, syntax.Node)]
    return 1 + max(map(depth, below), default=0)


def monsters(size: int) -> Iterator[str]:
    yield from (f"{opening * size}1{closing * size}" for opening, closing in ("()", "[]", ("not ", ""), ("(not ", ")")))
    yield from ("inputs" + link * size for link in (".a", "['a']", "[0]"))
    yield from (f" {operator} ".join(["inputs.a"] * size) for operator in ("or", "and"))
    yield "(" * size + "inputs" + ".a or 1)" * size
    yield "(" * size + "inputs" + ".a)" * size
    yield "len(" * size + "1" + ")" * size
    yield "inputs[" * size + "1" + "]" * size
    yield "1 == (" * size + "1" + ")" * size
    yield "(1 and " * size + "1" + ")" * size
    yield "str([" * size + "'\"'" + "])" * size


@pytest.mark.parametrize("size", [1, 20, 49, 98, 99, 100, 600, 5000])
def test_deep_and_long_expressions_are_refused_and_the_others_overflow_nothing(size: int) -> None:
    for text in monsters(size):
        if refused := attempt(lambda text=text: parse(text)):
            assert size > 20 and 0 <= refused.offset <= len(text)
            assert "100 deep" in str(refused) or "more than 2000 words" in str(refused)
            continue
        node = parse(text)
        assert depth(node) <= expressions.MAX_DEPTH and size < 600
        assert parse(unparse(node)) == node and hash(node) == hash(parse(text)) and repr(node)
        assert len(list(walk(node))) >= depth(node)
        failed = attempt(lambda node=node: evaluate(node, scope()))
        assert "recursion" not in str(failed)


@pytest.mark.parametrize(
    "text", ["'" + "\\'" * 20_000, '"\\' * 20_000, "${{ '" * 20_001, "${{" * 20_000, "(" * 10**6, "9" * 10**6]
)
def test_a_hostile_text_is_read_once(text: str) -> None:  # a lexer that tries every quote again needs a minute
    for parser in (parse, parse_template, parse_condition):
        failed = attempt(lambda parser=parser: parser(text))
        assert failed is None if parser is parse_template and "$" not in text else failed is not None


def test_escaping_does_not_explode() -> None:
    text = "str([" * 40 + "'\"'" + "])" * 40
    assert "more than 10000000 characters" in str(error(text))


def test_huge_numbers_neither_hang_nor_escape() -> None:
    digits = "9" * 5000
    assert "int(): Exceeds the limit" in str(error("int(inputs.v)", inputs={"v": digits}))
    assert "str(): Exceeds the limit" in str(error("str(inputs.v)", inputs={"v": 10**5000}))
    assert "cannot evaluate" in str(error("inputs.files[inputs.v]", inputs={"files": [], "v": 10**5000}))
    assert value("-inputs.v < 0.5", inputs={"v": 10**5000}) is True


class _Hostile:
    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    def __hash__(self) -> int:
        return 1

    def __bool__(self) -> bool:
        raise RuntimeError("no")


def test_values_that_misbehave_are_our_error() -> None:
    endless: list[Any] = []
    endless.append(endless)
    other: list[Any] = []
    other.append(other)
    for text in ("inputs.h == 1", "not inputs.h", "inputs.h or 1", "inputs.a == inputs.b"):
        caught = error(text, inputs={"h": _Hostile(), "a": endless, "b": other})
        assert "cannot evaluate" in str(caught)
        assert 0 <= caught.offset <= len(text)
