"""Fault 4: `kill -9` at every named crash point. `make chaos` does many more at random."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos.harness import PASSAGES, RECOVERY, Outcome, check, run

from rehearse.engine.crash import POINTS, SUPERVISOR_POINTS

SINGLE = [point for point in (*POINTS, *SUPERVISOR_POINTS) if point not in (*RECOVERY, "stop.sent")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    outcome = run(tmp_path_factory.mktemp("chaos") / "undisturbed", [])
    assert outcome.status == "WARNING" and outcome.deaths == 0
    assert set(outcome.attempts.values()) == {1} and outcome.left == []
    assert [key for key, _ in outcome.table] == [
        "beside", "first-a", "first-b", "first-c", "in_child", "second-a", "second-b", "second-c",
    ]  # fmt: skip
    return outcome


@pytest.mark.parametrize("point", SINGLE)
def test_fault_04_a_crash_makes_no_difference(point: str, undisturbed: Outcome, tmp_path: Path) -> None:
    crash = f"{point}:{min(3, PASSAGES.get(point, 3))}"
    crashes = ["supervisor.started:1", ""] if point == "retry.scheduled" else [crash]
    disturbed = run(tmp_path / "run", crashes)
    check(disturbed, undisturbed)
    if point in POINTS and point != "retry.scheduled":
        assert disturbed.deaths == 1


@pytest.mark.parametrize("second", RECOVERY)
def test_fault_04_a_crash_while_recovering_makes_none_either(second: str, undisturbed: Outcome, tmp_path: Path) -> None:
    disturbed = run(tmp_path / "run", ["attempt.after:2", second])
    assert disturbed.deaths == 2
    check(disturbed, undisturbed)
