"""Writes what the documentation takes from the code: `make docs`. A test fails when a file is out of date.

pipeline.schema.json   for editors
language.md            every key, enum value, job, sensor, function, variable and check of the language, with what tests it
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from rehearse.language import (  # noqa: E402
    reference,
    syntax,
    templates,
)
from rehearse.language.document import Document, read_document  # noqa: E402
from rehearse.language.integrations import INTEGRATION_OF, SENSORS  # noqa: E402
from rehearse.language.parameters import PARAMETERS  # noqa: E402
from rehearse.language.problems import CODES  # noqa: E402
from rehearse.language.rules.places import places  # noqa: E402
from rehearse.language.rules.review import Review, Surroundings  # noqa: E402
from rehearse.language.schema import pipeline_schema  # noqa: E402
from rehearse.language.shape import check_shape, keys_used  # noqa: E402

CHECKS = {  # the validator's checklist of the language reference, section 12, and the codes that make it up
    "1 extension, YAML, duplicate keys": "extension unreadable encoding too-large yaml-syntax duplicate-key key-type "
    "several-documents yaml-surprise ignore-comment",
    "2 a mapping with version, name, pipeline": "not-a-mapping missing wrong-type wrong-value",
    "3 the union of nodes, unknown keys": "unknown-key spelled-twice",
    "4 unique ids": "duplicate-id",
    "5 dependencies": "unknown-dependency self-dependency cycle",
    "6 integration, job, parameters": "unknown-integration unknown-job job-mismatch unknown-parameter missing-parameter "
    "parameter-type parameter-value parameter-json command unusual-command build-command unknown-schema",
    "7 thresholds": "threshold",
    "8 configuration": "out-of-range no-limit",
    "9 matrix": "matrix-keys matrix-values matrix-reference",
    "10 expressions": "expression expression-place unknown-name unknown-task unknown-group paused-status unknown-status "
    "undeclared-input output-not-kept unknown-variable",
    "11 inputs": "input-name input-default input-options input-missing input-value trigger-input",
    "12 cron, time zones, sensors": "cron timezone exclude-date sensor-window sensor-type sensors-list never-fires",
    "13 alerts": "alert-name alert-destination anomaly-level",
    "14 connections": "unknown-connection",
    "15 pipelines that start each other": "trigger-cycle local-alias",
    "beyond validity": "not-evaluated raw-splice racy-reference dead-condition unreachable unpinned-branch",
}
_COMPARED = ("==", "!=", ">=", "<=", ">", "<", "in", "not in", "is", "is not", "and", "or", "not")


def generate() -> dict[Path, str]:
    """Path -> the text that belongs there."""
    return {
        ROOT / "docs" / "pipeline.schema.json": json.dumps(pipeline_schema(), indent=1, ensure_ascii=False) + "\n",
        ROOT / "docs" / "language.md": _language(),
    }


class Evidence:
    """What the cases use: each thing -> the folders of tests/cases that have it, in alphabetical order."""

    def __init__(self) -> None:
        self.keys: dict[str, list[str]] = defaultdict(list)
        self.values: dict[tuple[str, str], list[str]] = defaultdict(list)
        self.words: dict[str, list[str]] = defaultdict(list)
        self.codes: dict[str, list[str]] = defaultdict(list)
        for path in sorted((ROOT / "tests" / "cases").glob("*/expected.json")):
            expected = json.loads(path.read_text(encoding="utf-8"))
            name = path.parent.name
            problems = expected.get("validate", {}).get("problems", [])
            for problem in problems:
                _add(self.codes[problem.split(" ", 3)[2].rstrip(":")], name)
            if not any(" error " in problem for problem in problems):
                self._valid(name, read_document(path.with_name("pipeline.yml")))

    def _valid(self, name: str, doc: Document) -> None:
        if doc.value is None or check_shape(doc)[0] is None:
            return
        for key, value in keys_used(doc):
            _add(self.keys[key], name)
            for each in value if isinstance(value, list) else [value]:
                if isinstance(each, (str, bool)):
                    _add(self.values[key, str(each)], name)
        for place in places(Review(doc, Surroundings())):
            template = (templates.parse_condition if place.condition else templates.parse_template)(place.text)
            for _, root in template.nodes:
                for word in _words_of(root):
                    _add(self.words[word], name)


def _add(names: list[str], name: str) -> None:
    if name not in names:
        names.append(name)


def _words_of(root: syntax.Node) -> Iterator[str]:
    for node in syntax.walk(root):
        if isinstance(node, syntax.Call):
            yield node.function
        elif isinstance(node, syntax.Quantifier):
            yield node.mode
        elif isinstance(node, syntax.Name):
            yield node.name
        elif isinstance(node, (syntax.Binary, syntax.Unary)):
            yield node.operator
        elif (
            isinstance(node, syntax.Attribute)
            and isinstance(node.target, syntax.Name)
            and node.target.name == "orchestra"
        ):
            yield f"orchestra.{node.name.lower()}"


def _unit_tests() -> dict[str, str]:
    """A word in quotes in a unit test -> that test's name; the first one counts."""
    found: dict[str, str] = {}
    for path in sorted((ROOT / "tests" / "rehearse").glob("test_*.py")):
        text = path.read_text(encoding="utf-8")
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
                body = "\n".join(text.splitlines()[first - 1 : node.end_lineno])
                for word in re.findall(r"""["']([a-z][\w.-]+)["']""", body):
                    found.setdefault(word, f"`{path.name}::{node.name}`")
    return found


def _language() -> str:
    evidence, units = Evidence(), _unit_tests()
    rows: list[tuple[str, str, str, str]] = []
    for topic in reference.topics():
        if topic.kind == "key":
            rows.append((topic.section, "key", f"`{topic.name}`", _cases(evidence.keys[topic.name])))
            for value in _enum(topic.entries[0].type):
                cases = _cases(evidence.values[topic.name, value])
                rows.append((topic.section, "value", f"`{topic.name}: {value}`", cases))
        elif topic.kind == "function":
            rows.append((topic.section, "function", f"`{topic.name}()`", _cases(evidence.words[topic.name])))
        elif topic.kind == "variable":
            rows.append((topic.section, "variable", f"`{topic.name}`", _cases(evidence.words[topic.name])))
        elif topic.kind == "sensor":
            cases = _cases(evidence.values["check.sensor_type", topic.name])
            rows.append((topic.section, "sensor", f"`{topic.name}` ({SENSORS[topic.name].integration})", cases))
    for operator in _COMPARED:
        rows.append(("5.5", "operator", f"`{operator}`", _cases(evidence.words[operator])))
    jobs = []
    for job, integration in INTEGRATION_OF.items():
        count = len(PARAMETERS.get(job, ()))
        known = f"{count} parameter{'s' * (count != 1)}" if job in PARAMETERS else "parameters not public"
        cases = _cases(evidence.values["task.integration_job", job], 1)
        jobs.append(
            f"| `{job}` | {integration} | {known} | `test_parameters.py[{job}]`{f', {cases}' if cases else ''} |"
        )
    checks = []
    for check, codes in CHECKS.items():
        for code in codes.split():
            tests = _cases(evidence.codes[code]) or units.get(code, "")
            known = CODES[code]
            checks.append(f"| {check} | `{code}` | {known.severity} | {known.section} | {known.text} | {tests} |")
            check = ""
    rows.sort(key=lambda row: [int(part) for part in row[0].split(".")])
    return _PAGE.format(
        codes="\n".join(checks), rows="\n".join(f"| {' | '.join(row)} |" for row in rows), jobs="\n".join(jobs)
    )


def _enum(type_in_words: str) -> list[str]:
    match = re.fullmatch(r"(?:list of )?one of (\S+)", type_in_words)
    return match[1].split("|") if match else []


def _cases(names: list[str], most: int = 2) -> str:
    return ", ".join(f"[{name}](../tests/cases/{name}/pipeline.yml)" for name in names[:most])


_PAGE = """\
<!-- Made by `make docs`; do not edit. -->
# The language, and what tests each part of it

`rehearse` understands Orchestra's pipeline YAML, `version: v1`. The numbers are sections of the language reference that
it is built after. A case is a folder of [`tests/cases/`](../tests/cases): a pipeline that you can try by hand, with the
expected outcome. `rehearse explain NAME` prints what is known of a key, job, sensor, function, variable or code.

## Checks

Errors make a file invalid. Warnings can be switched off: `--ignore CODE`, a comment `# rehearse: ignore[code]` on the
line or above it, or in `rehearse.toml`:

```toml
[validate]
ignore = ["raw-splice"]
```

| Check | Code | | Section | What it finds | Tested by |
|---|---|---|---|---|---|
{codes}

## Keys, values, expressions, sensors

| Section | Kind | What | Tested by |
|---|---|---|---|
{rows}

## Jobs (section 9)

Each is tested with the least parameters, with all of them, without each required one, with unknown ones and with wrong
types.

| Job | Integration | Parameters | Tested by |
|---|---|---|---|
{jobs}
"""


def main() -> None:
    for path, text in generate().items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}", file=sys.stderr)


if __name__ == "__main__":
    main()
