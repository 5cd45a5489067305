"""The API's form of a definition: camelCase keys, and the same definition (section 2.9 of the API reference)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rehearse.language.canonical import canonical_form
from rehearse.language.document import parse_document
from rehearse.language.validation import check

CASES = sorted((Path(__file__).resolve().parents[1] / "cases").glob("*/pipeline.yml"))


@pytest.mark.parametrize("file", CASES, ids=lambda file: file.parent.name)
def test_every_case_is_the_same_pipeline_in_that_form(file: Path) -> None:
    text = file.read_bytes().decode("utf-8", "replace")
    before, problems = check(parse_document(text, "p.yml"))
    form = canonical_form(text)
    if before is None or any(problem.severity == "error" for problem in problems):
        return  # of a broken one only that it breaks nothing
    assert form is not None
    again = json.dumps(form, ensure_ascii=False)
    assert canonical_form(again) == form
    after, others = check(parse_document(again, "p.yml"))
    assert after == before and not any(problem.severity == "error" for problem in others)


def test_keys_are_in_camel_case_and_what_is_inside_stays() -> None:
    form = canonical_form(
        "version: v1\nname: x\npipeline:\n  a_b:\n    depends_on: []\n    tasks:\n      t_1:\n        integration_job: J\n"
        "        parameters: {project_dir: x, when: 2026-01-01}\ninputs: {my_input: {type: string}}\nunknown_key: 1\n"
    )
    assert form is not None
    assert form["pipeline"]["a_b"]["tasks"]["t_1"] == {
        "integrationJob": "J", "parameters": {"project_dir": "x", "when": "2026-01-01"},
    }  # fmt: skip
    assert (form["inputs"], form["unknown_key"]) == ({"my_input": {"type": "string"}}, 1)


@pytest.mark.parametrize("text", ["", "3", "[1]", "a: [", "\t"])
def test_what_is_no_mapping_has_no_form(text: str) -> None:
    assert canonical_form(text) is None
