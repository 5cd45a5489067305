"""A real `dbt build` of the commerce package, on a copy of dbt/ and a warehouse of four orders."""

import subprocess

import pytest
from dbt_copy import RAW_TABLES, DbtProject, copy_projects

Built = tuple[DbtProject, subprocess.CompletedProcess[str], set[str]]


@pytest.fixture(scope="session")
def dbt_built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The project after one plain `dbt build`, what dbt said, and the files there were before."""
    project = copy_projects(tmp_path_factory.mktemp("dbt_build"))
    project.execute(RAW_TABLES.read_text())
    before = project.files()
    return project, project.dbt("build"), before
