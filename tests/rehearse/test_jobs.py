from __future__ import annotations

import pytest

from rehearse.jobs.base import JobError
from rehearse.jobs.dbt_core import split_commands


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("dbt build", [["build"]]),
        ("dbt deps; dbt build;", [["deps"], ["build"]]),
        ("dbt build\n--select models\n;", [["build", "--select", "models"]]),
        ("dbt deps\ndbt seed", [["deps"], ["seed"]]),
        ("dbt run --vars '{a: \"x;y\"}'", [["run", "--vars", '{a: "x;y"}']]),
    ],
)
def test_dbt_commands_are_split(text: str, commands: list[list[str]]) -> None:
    assert split_commands(text) == commands


@pytest.mark.parametrize("text", ["", ";", "rm -rf /", "dbt build; rm x", "dbt run 'open"])
def test_what_is_not_a_dbt_command_is_refused(text: str) -> None:
    with pytest.raises(JobError):
        split_commands(text)
