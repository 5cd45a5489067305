"""Every numbered rule of the semantics (sections 2.3 and 4 of the language reference) has a case or a test that shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

CASES = Path(__file__).parents[1] / "cases"
RULES = {
    "2.3 (1) resolved once, when the group is runnable": "outputs_drive_matrix",
    "2.3 (2) iterations are independent": "rule_2_3_02_iterations_are_independent",
    "2.3 (3) fields of an item": "rule_2_3_03_fields_of_an_item",
    "2.3 (4) siblings of the same iteration": "rule_2_3_04_siblings_of_the_same_iteration",
    "2.3 (5) outputs by item": "rule_2_3_05_outputs_by_item",
    "2.3 (6) quantifiers": "rule_2_3_06_quantifiers_see_every_child",
    "2.3 (7) no index variable": "matrix_reference",
    "2.3 (8) a second matrix over the same list": "rule_2_3_08_a_second_matrix_over_the_same_list",
    "2.3 (9) no items, no list, text": "rule_2_3_09_no_items_no_list_and_text",
    "2.3 (10) after a failure": "rule_2_3_10_continue_on_error rule_2_3_10_all_have_started_already sequential_matrix_stops",
    "2.3 (11) sequential": "rule_2_3_11_sequential_in_the_order_of_the_list",
    "2.3 (12) names": "plan_matrix_known",
    "4.2 (1) a task run for every task": "test_recovery.py::test_fault_01_a_run_that_had_not_started_starts_once",
    "4.2 (2) a node waits for its upstream": "rule_4_2_2_a_node_waits_for_all_of_its_upstream",
    "4.2 (3) condition or default rule": "rule_4_3_a_condition_replaces_the_default_rule rule_4_3_skips_cascade",
    "4.2 (4) tasks of a group": "rule_4_2_4_a_task_gets_its_chance_only_if_the_group_runs",
    "4.2 (5) in parallel, within a cap": "rule_4_2_5_no_order_without_a_dependency "
    "test_faults.py::test_fault_36_a_limit_of_workers_is_kept",
    "4.2 (6) independent branches": "rule_4_2_6_independent_branches_go_on",
    "4.3 default rule": "rule_4_3_skips_cascade rule_4_3_a_warning_upstream_lets_run rule_4_3_cancelled_upstream_skips",
    "4.3 all tasks upstream": "rule_4_3_one_skipped_task_blocks",
    "4.3 explicit conditions": "rule_4_3_a_condition_replaces_the_default_rule condition_runs_handler",
    "4.3 option all succeeded": "rule_4_3_option_all_succeeded",
    "4.3 option all succeeded or warning": "rule_4_3_option_all_succeeded_or_warning",
    "4.3 option all failed": "rule_4_3_option_all_failed",
    "4.3 option any failed": "rule_4_3_option_any_failed",
    "4.3 option all succeeded or skipped": "rule_4_3_option_all_succeeded_or_skipped",
    "4.3 option any status": "rule_4_3_option_any_status",
    "4.4 (1) cancelled by user": "test_recovery.py::test_cancel_from_another_terminal",
    "4.4 (2) any failed": "rule_4_4_2_a_handler_does_not_save_the_run",
    "4.4 (3) any cancelled": "rule_4_3_cancelled_upstream_skips",
    "4.4 (4) any warning": "rule_4_4_4_a_warning_makes_a_warning",
    "4.4 (5) all skipped": "rule_4_4_5_everything_skipped",
    "4.4 (6) otherwise succeeded": "rule_4_4_6_two_lanes_of_which_one_runs",
    "4.5 kinds of failure": "rule_4_5_what_cannot_be_rendered_fails failure_skips_downstream",
    "4.5 retries": "retry_sees_attempt_number rule_4_5_outputs_of_a_later_attempt_win",
    "4.5 the last attempt decides": "rule_4_5_only_the_last_attempt_decides failure_as_warning",
    "4.5 a failure as a warning": "rule_4_5_a_failure_as_warning_alters_nothing_else",
    "4.5 timeout": "rule_4_5_a_timeout_fails_the_attempt",
    "4.5 waiting for a retry": "test_recovery.py::test_a_retry_that_waits_goes_on_waiting",
    "4.6 concurrency of runs": "test_recovery.py::test_too_many_runs_of_a_pipeline_are_refused",
    "4.7 task ids": "rule_4_7_only_the_named_task rule_4_7_and_what_is_downstream",
    "4.7 from failed": "test_recovery.py::test_only_what_failed_runs_again_with_the_outputs_of_the_rest",
    "4.7 frozen inputs": "plan_input_time_is_frozen test_recovery.py::test_a_run_that_goes_on_has_the_inputs_that_it_had",
    "4.7 cancel": "test_recovery.py::test_cancel_from_another_terminal test_decisions.py::"
    "test_cancel_stops_the_running_and_starts_nothing_more",
    "4.8 paused": "rule_4_8_paused_counts_as_succeeded rule_4_8_paused_and_not_wanted_is_skipped "
    "rule_4_8_a_paused_group_pauses_its_tasks",
    "13 the reference pipeline": "rule_13_both_loads_succeed rule_13_one_load_fails_twice",
}


@pytest.mark.parametrize("rule", RULES)
def test_the_rule_has_a_case(rule: str) -> None:
    for name in RULES[rule].split():
        file, _, function = name.partition("::")
        if function:
            assert f"def {function}(" in Path(__file__).with_name(file).read_text(), name
        else:
            assert (CASES / name / "expected.json").exists(), name


def test_no_case_of_a_rule_is_forgotten() -> None:
    listed = " ".join(RULES.values()).split()
    assert [path.name for path in CASES.glob("rule_*") if path.name not in listed] == []
