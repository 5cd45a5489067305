"""Beyond validity: what is legal and yet most often a mistake. Warnings only."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from rehearse.language import syntax
from rehearse.language.lookups import group_named, key_text, task_named
from rehearse.language.parameters import PARAMETERS
from rehearse.language.problems import Loc, Problem
from rehearse.language.rules.reachability import check_reachability
from rehearse.language.rules.references import Parsed
from rehearse.language.rules.review import Group, Review, Task, mapping

SQL_PARAMETERS = frozenset({"statement", "query", "source_query", "destination_query", "train_sql_statement",
                            "predict_sql_statement"})  # fmt: skip
_SHELL_PARAMETERS = {
    "LINUX_SSH_EXECUTE_COMMAND": "command", "WINDOWS_SSH_COMMAND": "command", "AWS_EC2_SSM_RUN_SCRIPT": "command",
    "AZURE_VM_RUN_COMMAND": "script",
}  # fmt: skip
_WITHOUT_DOLLAR = re.compile(
    r"(?:(?<!\$)\{\{|\$\{(?!\{))\s*(?:inputs|env|orchestra|matrix|tasks|task_groups)\s*[.\[][^}\n]{0,80}\}{0,2}",
    re.IGNORECASE,
)
_GIT_JOBS = ("PYTHON_EXECUTE_SCRIPT", "DBT_CORE_EXECUTE")
_MADE_BY_OTHERS = {
    "inputs": "whoever starts the run chooses it",
    "tasks": "another task makes it",
    "matrix": "it is an item of the matrix",
    "outputs": "the trigger found it",
}
_SAFE = ("current_time", "pipeline_run_started_at", "pipeline_run_id", "task_run_id")


def lint(review: Review, parsed: list[Parsed], found: Sequence[Problem]) -> None:
    """Report what is suspicious; `found` are the errors so far, some of which leave the order of tasks in doubt."""
    sound = not any(_leaves_order_in_doubt(problem) for problem in found)
    for item in parsed:
        _raw_splices(review, item)
        _task_references(review, item, sound)
        _types(review, item)
    if sound:
        check_reachability(review, parsed)
    _branches(review, parsed)
    _jinja(review, {problem.loc for problem in found if problem.severity == "error"})


def _leaves_order_in_doubt(problem: Problem) -> bool:
    return (
        problem.code in ("duplicate-id", "cycle", "duplicate-key", "spelled-twice")
        or "depends_on" in problem.loc
        or problem.meant == "depends_on"
    )


def _raw_splices(review: Review, item: Parsed) -> None:
    """Values that become part of a program: of SQL, of Python, of a shell line on another machine."""
    loc = item.place.loc
    job = item.place.task.job if item.place.task is not None else None
    if len(loc) < 2 or loc[-2] != "parameters":
        return
    if loc[-1] in SQL_PARAMETERS and (job is None or _is_sql(job)):
        language, hint = "SQL", "splice only names that you trust; a Python task can bind values"
    elif loc[-1] == "code" and job == "PYTHON_EXECUTE_SCRIPT":
        language, hint = "Python", "put it into environment_variables and read os.environ"
    elif loc[-1] == "command" and job == "PYTHON_EXECUTE_SCRIPT" and " -c " in item.place.text:
        language, hint = "Python", "give it as a word of its own behind the code, and read sys.argv"
    elif loc[-1] == _SHELL_PARAMETERS.get(job or ""):
        language, hint = "a shell line", "splice only what you trust, or give the machine a file to read"
    else:
        return
    code_begins = item.place.text.find(" -c ") if loc[-1] == "command" and language == "Python" else 0
    for base, root in item.roots:
        if base < code_begins or (code_begins and not _inside_quotes(item.place.text, code_begins, base)):
            continue
        names = {source for node in syntax.walk(root) if (source := _source(node))}
        if names:
            whose = next((_MADE_BY_OTHERS[name] for name in _MADE_BY_OTHERS if name in names), None)
            message = f"'{syntax.unparse(root)}' is spliced into {language} as it is, without quoting"
            message += f"; {whose}" if whose else ""
            review.add("raw-splice", loc, message, hint, offset=base + _start(root))


def _inside_quotes(text: str, begin: int, at: int) -> bool:
    """Is this place inside the first quoted word behind `begin`, the code that `-c` runs?"""
    quote = next((char for char in text[begin + 4 :].lstrip()[:1] if char in "'\""), None)
    return quote is not None and text.count(quote, begin, at) % 2 == 1


def _start(node: syntax.Node) -> int:
    """Where the text of an expression begins; a node's own offset is that of its operator or name."""
    return min(inner.offset for inner in syntax.walk(node))


def _is_sql(job: str) -> bool:
    return any(word in job for word in ("QUERY", "TEST", "STATEMENT", "RECONCILIATION", "ANOMALY"))


def _source(node: syntax.Node) -> str | None:
    """The root that a value comes from; None for literals and for what the platform itself makes up."""
    if isinstance(node, syntax.Attribute) and isinstance(node.target, syntax.Name) and node.target.name == "orchestra":
        name = node.name.lower()
        return "tasks" if name == "pipeline_run_tasks" else None if name in _SAFE else "orchestra"
    if isinstance(node, syntax.Name) and node.name not in ("orchestra", "task_groups"):
        return node.name
    return None


def _task_references(review: Review, item: Parsed, sound: bool) -> None:
    """Outputs that nobody keeps, and tasks that need not have ended."""
    place = item.place
    ordered = sound and place.group is not None and not place.after_the_run
    for base, root in item.roots:
        for node in syntax.walk(root):
            if not isinstance(node, (syntax.Attribute, syntax.Subscript)):
                continue
            offset = base + (node.key.offset if isinstance(node, syntax.Subscript) else node.offset)
            if (key := task_named(node)) is not None:
                task = review.tasks_folded.get(key_text(key).lower())
                if task is not None and ordered:
                    _racy_task(review, item, task, offset)
            elif (name := group_named(node)) is not None:
                group = review.groups_folded.get(name.lower())
                if group is not None and ordered:
                    _racy_group(review, item, group, offset)
            elif _reads_outputs(node):
                _kept(review, item, node, offset)


def _racy_group(review: Review, item: Parsed, group: Group, offset: int) -> None:
    own = item.place.group
    assert own is not None
    if group is own:
        message, hint = f"this reads '{group.id}', its own group", "name a group that ends before it"
    elif not review.waits_for(own, group):
        message, hint = f"'{group.id}' need not have ended before this is read", _wait_for(review, own, group)
    else:
        return
    review.add("racy-reference", item.place.loc, message, hint, offset=offset)


def _racy_task(review: Review, item: Parsed, task: Task, offset: int) -> None:
    own, place = item.place.group, item.place
    assert own is not None
    message = f"'{task.id}' need not have ended before this is read"
    if place.task is task:
        message, hint = "a task reads its own result", "it has none until it ends"
    elif task.group is own and place.task is None:
        message, hint = (
            f"a group reads '{task.id}', a task of its own",
            "name a task before the group",
        )
    elif task.group is not own:
        if review.waits_for(own, task.group):
            return
        hint = _wait_for(review, own, task.group)
    else:
        assert place.task is not None
        if review.task_waits_for(place.task, task):
            return
        circle = review.task_waits_for(task, place.task)
        hint = f"it waits for '{place.task.id}' itself" if circle else f"let '{place.task.id}' depend on '{task.id}'"
    review.add("racy-reference", place.loc, message, hint, offset=offset)


def _wait_for(review: Review, own: Group, other: Group) -> str:
    if review.waits_for(other, own):
        return f"it waits for '{own.id}' itself"
    return f"let '{own.id}' depend on '{other.id}'"


def _reads_outputs(node: syntax.Attribute | syntax.Subscript) -> bool:
    name = node.name if isinstance(node, syntax.Attribute) else getattr(node.key, "value", None)
    return str(name).lower() == "outputs" and task_named(node.target) is not None


def _kept(review: Review, item: Parsed, node: syntax.Attribute | syntax.Subscript, offset: int) -> None:
    key = task_named(node.target)
    task = review.tasks_folded.get(key_text(key).lower()) if key is not None else None
    if task is not None and not task.parameters.get("set_outputs"):
        message = f"'{task.id}' keeps no outputs, so there is nothing to read"
        hint = f"write set_outputs: true into the parameters of '{task.id}'"
        if task.job and "set_outputs" not in PARAMETERS.get(task.job, ("set_outputs",)):
            hint = f"{task.job} has no set_outputs"
        review.add("output-not-kept", item.place.loc, message, hint, offset=offset)


def _branches(review: Review, parsed: list[Parsed]) -> None:
    """Code from a branch that whoever starts a run chooses, or from several branches of one repository."""
    for item in parsed:
        if item.place.task is not None and item.place.loc[-2:] == ("parameters", "branch"):
            sources = {_source(node) for _, root in item.roots for node in syntax.walk(root)}
            if sources & set(_MADE_BY_OTHERS):
                message = "the branch, and so the code that runs, is chosen when a run starts"
                review.add("unpinned-branch", item.place.loc, message, "write its name, or ${{ ENV.BRANCH }}")
    tasks = [task for group in review.groups.values() for task in group.tasks.values()
             if task.job in _GIT_JOBS and task.parameters.get("source") != "INLINE"]  # fmt: skip
    named: dict[tuple[object, ...], str] = {}  # a connection is a repository -> a task that names a branch of it
    for task in tasks:
        if task.parameters.get("branch"):
            named.setdefault(_repository(task), task.id)
    for task in tasks:
        if not task.parameters.get("branch") and (other := named.get(_repository(task))):
            message = f"'{task.id}' takes its code from the default branch, while '{other}' names one"
            hint = "name the branch in every task, or in none"
            review.add("unpinned-branch", (*task.loc, "parameters"), message, hint, key=True)


def _repository(task: Task) -> tuple[object, ...]:
    return task.job, str(task.body.get("connection"))


def _types(review: Review, item: Parsed) -> None:
    """An input compared with a literal of another type: never equal (section 5.7)."""
    for base, root in item.roots:
        for node in syntax.walk(root):
            if not isinstance(node, syntax.Binary) or node.operator not in ("==", "!="):
                continue
            for side, other in ((node.left, node.right), (node.right, node.left)):
                wanted = _input_type(review, side)
                if wanted and isinstance(other, syntax.Literal) and _differs(wanted, other.value):
                    message = f"a {wanted} never equals {syntax.unparse(other)}"
                    bare = str(other.value).lower() if wanted == "boolean" else str(other.value)
                    hint = f"quote it: '{bare}'" if wanted == "string" else f"without quotes: {bare}"
                    review.add("dead-condition", item.place.loc, message, hint, offset=base + other.offset)


def _input_type(review: Review, node: syntax.Node) -> str | None:
    """The declared type of `inputs.x`, if it is one that a literal can have."""
    if isinstance(node, (syntax.Attribute, syntax.Subscript)) and isinstance(node.target, syntax.Name):
        key = node.name if isinstance(node, syntax.Attribute) else getattr(node.key, "value", None)
        if node.target.name == "inputs":
            for name, declared in mapping(review.root.get("inputs")).items():
                if name.lower() == str(key).lower():
                    wanted = mapping(declared).get("type")
                    return wanted if wanted in ("string", "number", "boolean") else None
    return None


def _differs(wanted: str, value: object) -> bool:
    if value is None:
        return False
    if wanted == "string":
        return not isinstance(value, str)
    return isinstance(value, str)  # true and 1 are equal


def _jinja(review: Review, wrong: set[Loc]) -> None:
    """`{{ inputs.day }}`: Jinja, where an expression was meant. Texts that are `wrong` have been reported."""
    if not _WITHOUT_DOLLAR.search(review.doc.text):
        return
    waiting: list[tuple[Loc, Any]] = [(("pipeline",), review.root.get("pipeline"))]
    while waiting:
        loc, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*loc, key), item) for key, item in value.items()]
        elif isinstance(value, list):
            waiting += [((*loc, index), item) for index, item in enumerate(value)]
        elif isinstance(value, str) and loc not in wrong:
            for match in _WITHOUT_DOLLAR.finditer(value):
                message = f"'{match[0]}' is text: an expression stands in ${{{{ }}}}"
                review.add("not-evaluated", loc, message, "write ${{ ... }}", offset=match.start())
