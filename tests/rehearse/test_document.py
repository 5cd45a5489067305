"""Reading YAML: every value keeps its place, and nothing that a file holds takes long, much memory, or the process down."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rehearse.language.document import MAX_BYTES, MAX_DEPTH, MAX_NODES, Document, parse_document, read_document

STYLES = """\
plain: a ${{ HERE }} b
single: 'it''s ${{ HERE }}'
double: "tab\\t\\u00e9 \\x41 ${{ HERE }}"
double_folded: "one
   two \\
   three ${{ HERE }}"
literal: |
  select 1
    from ${{ HERE }}
folded: >-
  goes on
  and on

  to ${{ HERE }}
plain_folded: one
  two ${{ HERE }}
anchored: &name !!str 'x ${{ HERE }}'
indented: |2
    deep ${{ HERE }}
"""


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("key", [line.split(":")[0] for line in STYLES.splitlines() if ":" in line and line[0] != " "])
def test_a_character_of_a_text_is_found_in_the_file(key: str, ending: str) -> None:
    doc = parse_document(STYLES.replace("\n", ending))
    assert doc.value is not None and doc.problems == []
    line, column = doc.locate((key,), offset=doc.value[key].index("HERE"))
    assert doc.text.split("\n")[line - 1][column - 1 :].startswith("HERE }}")


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=40), st.sampled_from(["'", '"']))
def test_every_character_of_a_quoted_text_is_found(text: str, quote: str) -> None:
    from yaml import safe_dump

    dumped = safe_dump({"k": text + "Ω"}, default_style=quote, allow_unicode=True, width=10)
    doc = parse_document(dumped)
    assert doc.value == {"k": text + "Ω"}
    line, column = doc.locate(("k",), offset=len(text))
    assert doc.text.split("\n")[line - 1][column - 1] == "Ω"


def test_every_key_and_value_has_its_place() -> None:
    doc = parse_document("a:\n  b: [x, {c: 1}]\n")
    assert [tuple(doc.locate(loc)) for loc in [("a",), ("a", "b"), ("a", "b", 1, "c")]] == [(2, 3), (2, 6), (2, 14)]
    assert tuple(doc.locate(("a", "b", 1, "c"), key=True)) == (2, 11)
    assert tuple(doc.locate(("a", "nowhere"), key=True)) == (1, 1)  # the nearest that was written down


def test_anchors_and_merge_keys_are_read_as_yaml_says() -> None:
    doc = parse_document("base: &b {x: 1, y: 2}\nuse: {<<: *b, y: 3}\nlist: {<<: [{z: 1}, *b]}\n")
    assert doc.value is not None and doc.problems == []
    assert doc.value["use"] == {"x": 1, "y": 3} and doc.value["list"] == {"z": 1, "x": 1, "y": 2}
    assert tuple(doc.locate(("use", "x"))) == (1, 14)  # where the merged value is written


def codes(doc: Document) -> list[str]:
    return [problem.code for problem in doc.problems]


@pytest.mark.parametrize(
    ("text", "code", "position"),
    [
        ("a: 1\n\tb: 2", "yaml-syntax", (2, 1)),
        ("a: 1\na: 2", "duplicate-key", (2, 1)),
        ("a: b: c", "yaml-syntax", (1, 5)),
        ("a: 'b", "yaml-syntax", (1, 4)),
        ("- a", "not-a-mapping", (1, 1)),
        ("", "not-a-mapping", (1, 1)),
        ("# nothing", "not-a-mapping", (1, 1)),
        ("a: 1\n---\nb: 2", "several-documents", (2, 1)),
        ("? [a]\n: b", "key-type", (1, 3)),
        ("a: &x 1\n*x : 2", "key-type", (2, 1)),
        ("a: *x", "yaml-syntax", (1, 4)),
        ("a: \x07", "encoding", (1, 4)),
        ("a: 1:30", "yaml-surprise", (1, 4)),
        ("a: 010", "yaml-surprise", (1, 4)),
        ("a: 2026-01-31", "yaml-surprise", (1, 4)),
        ("on: 1", "yaml-surprise", (1, 1)),
        ("a: 1 # b\u2028", "yaml-surprise", (1, 9)),
        ("a: !!int x", "yaml-syntax", (1, 4)),
        ("a: !!int ''", "yaml-syntax", (1, 4)),
        ("a: !thing x", "yaml-syntax", (1, 4)),
        ("a: !env [x]", "yaml-syntax", (1, 4)),
        ("a: !!python/object/apply:os.system [x]", "yaml-syntax", (1, 4)),
        ("a: !!str 5", None, (0, 0)),
        ("a: ! 5", None, (0, 0)),
        ("a: '010'", None, (0, 0)),
        ("'on': 1", None, (0, 0)),
    ],
)
def test_what_is_wrong_with_the_text_is_reported_at_its_place(
    text: str, code: str | None, position: tuple[int, int]
) -> None:
    doc = parse_document(text)
    assert codes(doc) == ([code] if code else [])
    assert [tuple(problem.position) for problem in doc.problems] == ([position] if code else [])


@pytest.mark.parametrize("unseen", ["\x85", "\u2028", "\u2029"])
def test_lines_are_counted_as_an_editor_does(unseen: str) -> None:
    doc = parse_document(f"a: 1 # {unseen}# more\nb: {{c: 'd {unseen} e'}}\nb: [")
    assert [tuple(problem.position) for problem in doc.problems] == [(1, 8), (3, 1), (3, 5)]
    doc = parse_document(f"a: 1 # {unseen}# more\nb: {{c: 'd {unseen} e'}}")
    assert (doc.locate(("b",)), doc.locate(("b", "c"), offset=0)) == ((2, 4), (2, 9))


def test_yaml_1_1_values() -> None:
    doc = parse_document("a: [yes, Off, ~, '', 0x1F, 1e3, 1.5e+3, .inf, 0b11, 1_000, null, text]")
    assert doc.value == {"a": [True, False, None, "", 31, "1e3", 1500.0, float("inf"), 3, 1000, None, "text"]}


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "p.txt"
    path.write_text("version: v1")
    assert codes(read_document(path)) == ["extension"]
    path.write_bytes(b"version: v1\nname: caf\xe9\n")
    (problem,) = read_document(path).problems
    assert (problem.code, tuple(problem.position)) == ("encoding", (2, 10))
    assert codes(read_document(tmp_path)) == ["unreadable"]
    (tmp_path / "bom.yml").write_bytes(b"\xef\xbb\xbfname: x\n")
    assert read_document(tmp_path / "bom.yml").value == {"name": "x"}
    with pytest.raises(FileNotFoundError):
        read_document(tmp_path / "none.yml")


def bomb() -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    return "\n".join(lines)


HOSTILE = {
    "alias bomb": bomb(),
    "merge bomb": "a: &a {k: 1}\n" + "\n".join(f"b{n}: {{<<: [{', '.join(['*a'] * 2000)}]}}" for n in range(100)),
    "million-element matrix": "a: [" + "1," * 900_000 + "1]",
    "deep flow": "a: " + "[" * 10_000,
    "deep mapping": "a: " + "{a: " * 10_000,
    "deep block": "\n".join(" " * n + "a:" for n in range(1_500)),
    "long line": "a: " + "x" * 1_900_000,
    "many keys": "\n".join(f"k{n}: v" for n in range(150_000)),
    "many anchors": "\n".join(f"k{n}: &a{n} v" for n in range(100_000)),
    "one quote": "a: '" + "''" * 900_000,
    "question marks": "? " * 500_000,
    "huge number": "a: " + "9" * 1_000_000,
    "sexagesimal": "a: " + "1:" * 500_000 + "1",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_fault_13_a_hostile_file_is_refused_or_read_in_bounded_time_and_memory(name: str, tmp_path: Path) -> None:
    """Fault 13. In a process of its own, whose memory is limited; seconds are generous, for slow machines."""
    path = tmp_path / "p.yml"
    path.write_text(HOSTILE[name])
    code = (
        "import sys; from pathlib import Path; from rehearse.language.validation import check_files; "
        "[(_, found)] = check_files([Path(sys.argv[1])]); print(len(found) > 0)"
    )

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_500_000_000, 1_500_000_000))

    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", code, path], preexec_fn=limit, capture_output=True, text=True, timeout=30
    )
    assert done.stdout == "True\n", done.stderr[-2000:]
    assert time.monotonic() - began < 10


def test_fault_13_a_huge_file_is_refused_without_reading_it(tmp_path: Path) -> None:
    path = tmp_path / "big.yml"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES * 50)
    assert codes(read_document(path)) == ["too-large"]


def test_the_limits_leave_room_for_honest_files() -> None:
    tasks = "\n".join(f"  t{n}: {{a: 1, b: 2, c: [x], d: {{e: f}}}}" for n in range(5_000))
    assert parse_document(f"tasks:\n{tasks}").problems == []
    assert parse_document("a: &a [1, 2]\nb: [" + "*a, " * 1000 + "]").problems == []
    assert MAX_NODES >= 80_000 and MAX_DEPTH > 40
