"""From a file to a checked pipeline: every problem in one pass, each at its line and column.

The checks and their order are section 12 of the language reference. `problems.CODES` lists them; `shape` has those that
concern one value, `rules` all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from rehearse.errors import InvalidPipeline, UsageError
from rehearse.language.document import Document, read_document
from rehearse.language.model import Pipeline
from rehearse.language.positions import position_of_index
from rehearse.language.problems import CODES, MAX_PROBLEMS, Loc, Position, Problem
from rehearse.language.rules.alerts import check_alerts
from rehearse.language.rules.graph import MAX_CIRCLES, check_graph, circles
from rehearse.language.rules.lint import lint
from rehearse.language.rules.references import check_references
from rehearse.language.rules.review import (
    Review,
    Surroundings,
    TooManyProblems,
    listing,
    mapping,
    text,
)
from rehearse.language.rules.tasks import check_tasks
from rehearse.language.rules.triggers import check_triggers
from rehearse.language.shape import check_shape
from rehearse.language.words import closest, did_you_mean

_COMMENT = re.compile(r"#\s*rehearse:\s*ignore\b[^\n]*")
_TAG_LOST = re.compile(r"[ \t]+(#\w[^\n]*)")
_IGNORE = re.compile(r"#\s*rehearse:\s*ignore\[([\w\s,-]+)\]")


@dataclass(frozen=True)
class LoadedPipeline:
    """A valid file: its path as given, text as read (the snapshot of a run), model, and warnings."""

    file: str
    text: str
    pipeline: Pipeline
    warnings: list[Problem]

    @property
    def alias(self) -> str:
        return Path(self.file).stem


@dataclass(frozen=True)
class Policy:
    """How warnings are taken: the codes in `ignore` are dropped, and `strict` makes errors of the others."""

    ignore: frozenset[str] = frozenset()
    strict: bool = False
    surroundings: Surroundings = field(default_factory=Surroundings)


def load_pipeline(path: Path, policy: Policy = Policy()) -> LoadedPipeline:
    """Read and check one file.

    Raises UsageError when there is no such file, InvalidPipeline with every problem otherwise.
    """
    if path.is_dir():
        first = next((str(p) for p in sorted(path.glob("*.y*ml"))), "a file in it")
        raise UsageError(f"{path} is a folder", f"name one pipeline: {first}")
    if not path.is_file():
        near = [str(p) for p in sorted(path.parent.glob("*.y*ml"))] if path.parent.is_dir() else []
        close = closest(str(path), near, 0.5)
        hint = f"did you mean {close}?" if close else "the pipelines of this repository are in orchestra/"
        raise UsageError(f"there is no pipeline file {path}", hint)
    doc = read_document(path)
    pipeline, problems = check(doc, policy)
    if pipeline is None or any(problem.severity == "error" for problem in problems):
        raise InvalidPipeline(problems)
    return LoadedPipeline(str(path), doc.text, pipeline, problems)


def check(doc: Document, policy: Policy = Policy()) -> tuple[Pipeline | None, list[Problem]]:
    """The model, or None, and the problems in the order in which they stand in the file."""
    problems = list(doc.problems)
    pipeline: Pipeline | None = None
    if doc.value is not None:
        pipeline, found = check_shape(doc)
        problems += found
        problems += _apply_rules(Review(doc, policy.surroundings), problems)
    problems += _comments(doc)
    return pipeline, _tidy(doc, problems, policy)


def _apply_rules(review: Review, found: list[Problem]) -> list[Problem]:
    try:
        check_graph(review)
        check_tasks(review)
        parsed = check_references(review)
        check_triggers(review)
        check_alerts(review)
        lint(review, parsed, [*found, *review.problems])
    except TooManyProblems:
        review.problems.append(review.doc.problem("too-large", (), f"there are more than {MAX_PROBLEMS} problems"))
    return review.problems


def check_files(
    paths: Sequence[Path], policy_of: Callable[[Path], Policy] = lambda _: Policy()
) -> list[tuple[Path, list[Problem]]]:
    """Check files, and whether they start each other in a circle. One that cannot be read hides no other.

    `policy_of` says how the warnings of each are taken.
    """
    checked: list[tuple[Path, Document, list[Problem]]] = []
    for path in paths:
        try:
            doc = read_document(path)
        except OSError as e:
            doc = Document(str(path))
            doc.problems.append(doc.problem("unreadable", (), f"cannot be read: {e.strerror}"))
        checked.append((path, doc, check(doc, policy_of(path))[1]))
    for doc, problem in islice(_circles([doc for _, doc, _ in checked]), MAX_CIRCLES):
        next(found for _, other, found in checked if other is doc).append(problem)
    return [(path, sorted(problems, key=lambda problem: problem.position)) for path, _, problems in checked]


def _tidy(doc: Document, problems: Iterable[Problem], policy: Policy) -> list[Problem]:
    """Sorted, without repetitions (an alias repeats what its anchor says), and as the policy wants warnings."""
    lines = doc.text.split("\n") if "rehearse:" in doc.text else []
    problems = sorted(problems, key=lambda p: p.position)
    codes: dict[Position, set[str]] = {}
    for problem in problems:
        if problem.severity == "error":
            codes.setdefault(problem.position, set()).add(problem.code)
    kept: dict[tuple[object, ...], Problem] = {}
    for problem in problems:
        if _is_explained(problem, codes.get(problem.position, set())):
            continue
        if problem.severity == "warning":
            if problem.code in policy.ignore or problem.code in _ignored_here(doc, lines, problem):
                continue
            if policy.strict:
                problem = replace(problem, severity="error")
        kept.setdefault((problem.position, problem.code, problem.message), problem)
    return list(kept.values())


def _is_explained(problem: Problem, errors: set[str]) -> bool:
    """Whether it only follows from an error at the same place."""
    if problem.code in ("yaml-surprise", "not-evaluated"):
        return bool(errors)
    return "expression-place" in errors and problem.code != "expression-place"


def _ignored_here(doc: Document, lines: list[str], problem: Problem) -> set[str]:
    """Codes that a comment switches off: on the line of the problem or of its key, or alone on the line above either."""
    if not lines:
        return set()
    found = ""
    for line in {problem.position.line, doc.locate(problem.loc, key=True).line}:
        own = lines[line - 1] if line <= len(lines) else ""
        above = lines[line - 2].strip() if line >= 2 else ""
        for candidate in (own, above if above.startswith("#") else ""):
            if match := _IGNORE.search(candidate):
                found += "," + match[1]
    return {code.strip() for code in found.split(",")}


def _comments(doc: Document) -> Iterator[Problem]:
    """Comments that mean to switch a warning off and name none; and a tag of the pipeline that YAML takes for a comment."""
    for match in _COMMENT.finditer(doc.text) if "rehearse:" in doc.text else ():
        named = _IGNORE.match(match[0])
        codes = [code.strip() for code in named[1].split(",")] if named else [""]
        for code in codes:
            if code not in CODES or CODES[code].severity != "warning":
                warnings = [name for name, known in CODES.items() if known.severity == "warning"]
                hint = (
                    did_you_mean(code, warnings)
                    or "write # rehearse: ignore[raw-splice]; rehearse explain lists the codes"
                )
                message = f"this comment names no code of a warning{f': {code}' if code else ''}"
                yield doc.problem("ignore-comment", (), message, hint,
                                  position=position_of_index(doc.text, match.start()))  # fmt: skip
    mark, found = doc.mark(("name",))
    if found and not mark.style and (tag := _TAG_LOST.match(doc.text, mark.end)):
        position = position_of_index(doc.text, tag.start(1))
        message = f"'{tag[1]}' is a comment to YAML, and no tag of the pipeline"
        yield doc.problem("yaml-surprise", ("name",), message, "quote the name", position=position)


def _circles(documents: Sequence[Document]) -> Iterator[tuple[Document, Problem]]:
    """Pipelines that start each other (check 15), by events or by TRIGGER_PIPELINE tasks.

    Locally a pipeline is named by its file, without the ending. `"*"` is no circle: the platform does not start a pipeline
    because of runs that it caused.
    """
    by_alias = {Path(doc.file).stem: doc for doc in documents if doc.value is not None}
    starts: dict[str, dict[str, tuple[Document, Loc]]] = {alias: {} for alias in by_alias}
    for alias, doc in by_alias.items():
        for index, event in enumerate(listing(mapping(doc.value).get("trigger_events"))):
            source = text(mapping(event).get("pipeline_id"))
            if source in by_alias:
                starts[source].setdefault(alias, (doc, ("trigger_events", index, "pipeline_id")))
        for group in Review(doc, Surroundings()).groups.values():
            for task in group.tasks.values():
                target = text(task.parameters.get("pipeline_id")) if task.job == "TRIGGER_PIPELINE" else None
                if target in by_alias:
                    starts[alias].setdefault(target, (doc, (*task.loc, "parameters", "pipeline_id")))
    for circle in circles(starts):
        doc, loc = starts[circle[0]][circle[1]]
        message = f"these pipelines start each other without end: {' -> '.join(circle)}"
        yield doc, doc.problem("trigger-cycle", loc, message, "remove one of the starts")
