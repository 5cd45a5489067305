"""The tables of integrations, jobs, parameters and sensors against the language reference, typed off once more."""

from __future__ import annotations

import re
from typing import Any

import pytest

from rehearse.language.integrations import (
    INTEGRATION_OF,
    INTEGRATIONS,
    JOBS_BY_INTEGRATION,
    MISSPELT,
    OPERATION_TYPES,
    SENSORS,
)
from rehearse.language.parameters import JOB_DESCRIPTIONS, OPEN_JOBS, PARAMETERS

# Section 9.3, names in the reference's order, `!` where it says R.
CENSUS = """
AIRBYTE_CLOUD_JOB: connection_id! job_type!
AIRBYTE_SERVER_JOB: connection_id! job_type!
ALTERYX_SERVER_TRIGGER_WORKFLOW: workflow_id! priority
AWS_EC2_SSM_RUN_SCRIPT: instance_id! command! os_type!
AWS_ECS_RUN_TASK: cluster! task_definition! subnet_ids! security_group_ids! assign_public_ip! container_overrides
AWS_EKS_RUN_JOB: job_manifest!
AWS_GLUE_RUN_JOB: job_name! arguments aws_region
AWS_LAMBDA_EXECUTE_ASYNC_FUNCTION: function_name! set_outputs payload enable_polling
AWS_REDSHIFT_EXECUTE_STATEMENT: statement!
AWS_S3_GET_FILE: bucket_name! object_key! file_encoding set_outputs
ACA_RUN_JOB: resource_group_name! job_name! image!
ADF_PIPELINE_RUN: resource_group! data_factory! pipeline_name! parameters set_outputs
SYNAPSE_PIPELINE_RUN: pipeline_name!
AZURE_VM_RUN_COMMAND: resource_group! vm_name! vm_architecture! os_type! script! auto_manage_vm! location!
BAUPLAN_EXECUTE_PIPELINE: project_dir! bauplan_ref! project_branch! namespace!
BOOMI_EXECUTE_PROCESS: atom_id! process_id!
CLICKHOUSE_RUN_TEST: statement! error_threshold_expression! warn_threshold_expression! database
COALESCE_RUNJOB: environment_id! snowflake_auth_type! force_ignore_workspace_status job_id refresh_parameters
DATABRICKS_EXECUTE_STATEMENT: warehouse_id! statement! set_outputs
DATABRICKS_ONE_TIME_RUN: run_name! tasks! request_body
DATABRICKS_RUN_TEST: warehouse_id! statement! error_threshold_expression! warn_threshold_expression!
DATABRICKS_RUN_WORKFLOW: job_id! job_parameters set_outputs
DATAPROC_RUN_JOB: cluster_name! job_type! job_args optional_flags class_or_jar code_location
DBT_RUNJOB: job_id!
DBT_CORE_EXECUTE: commands! python_version! package_manager! project_dir branch shallow_clone_dirs
  warehouse_identifier use_state_orchestration environment_variables
ESTUARY_CHECK_FLOW: task! latency_threshold error_threshold warn_threshold monitoring_window_seconds
FABRIC_RUN_DATA_PIPELINE: workspace_id! data_pipeline_id! set_outputs execution_data
FABRIC_RUN_NOTEBOOK: workspace_id! notebook_id! set_outputs execution_data
FABRIC_SYNAPSE_RUN_DQ_TEST: statement! error_threshold_expression! warn_threshold_expression!
FABRIC_SYNAPSE_RUN_QUERY: statement!
FIVETRAN_SYNC_ALL: connector_id! resync
GCP_BQ_RUN_QUERY_JOB: query! set_outputs enable_drive_scope! location
GCP_BQ_RUN_SCHEDULED_QUERY_JOB: resource_name!
GCP_BQ_RUN_TEST: query! enable_drive_scope! error_threshold_expression warn_threshold_expression location
GCP_CLOUD_RUN_EXECUTE_JOB: job_name! env_variables
GCP_DATAFLOW_RUN_PIPELINE: pipeline_name!
GCP_LOOKER_RUN_SCHEDULED_PLAN: scheduled_plan_id!
GKE_RUN_JOB: cluster_name! job_name! location!
HEVO_CHECK_DESTINATION_STATUS: hevo_destination_id!
HEX_RUN_PROJECT: project_id!
HIGHTOUCH_SYNC: sync_id!
HTTP_REQUEST: method! path! set_outputs body custom_headers
LIGHTDASH_REFRESH_DASHBOARD: dashboard_id! invalidate_cache
LINUX_SSH_EXECUTE_COMMAND: command!
MATILLION_EXECUTE_PIPELINE: project_id! pipeline_name! environment_name!
SEND_MICROSOFT_TEAMS_MESSAGE: content!
MOTHERDUCK_EXECUTE_QUERY: query! set_outputs
OPEN_AI_CHAT: prompt! model! context set_outputs return_text instructions output_schema
APPROVAL: message_integration message_connection_id message_destination message approvers
DATA_RECONCILIATION_CURSOR_FIELD: source_table_name! source_column_name! destination_table_name!
  destination_column_name! detect_max_drift! source_integration! destination_integration! detect_count_drift!
  detect_count_drift_error_threshold_expression detect_count_drift_warn_threshold_expression
  query_from_cursor_field_cache source_database source_schema destination_database destination_schema
DATA_RECONCILIATION_MANUAL_QUERY: source_query! destination_query! source_integration! destination_integration!
  source_connection_id destination_connection_id error_threshold_expression warn_threshold_expression
RUN_AGENT: agent_id! prompt! set_outputs
TRIGGER_PIPELINE: pipeline_id! run_inputs branch
POSTGRES_RUN_QUERY: statement! set_outputs
POSTGRES_RUN_TEST: statement! error_threshold_expression! warn_threshold_expression!
POWER_BI_REFRESH_DATAFLOW: dataflow_id! workspace_id
POWER_BI_REFRESH_DATASET: dataset_id! workspace_id refresh_type apply_refresh_policy
PYTHON_EXECUTE_SCRIPT: python_version! package_manager! set_outputs build_command command source project_dir
  environment_variables shallow_clone_dirs code branch
RIVERY_RUN_RIVER: river_id!
SFTP_GET_FILE: file_path! content_format set_outputs
SFTP_PUT_FILE: file_path! contents! content_format overwrite
SIGMA_DATAMODEL_MATERIALIZATION: datamodel_id! sheet_ids!
SIGMA_DATASET_MATERIALIZATION: dataset_id!
SIGMA_WORKBOOK_MATERIALIZATION: workbook_id! sheet_ids!
SEND_SLACK_MESSAGE: channel_name! text blocks
SNOWFLAKE_ANOMALY_DETECTION: model_name! train_sql_statement! predict_sql_statement! timestamp_colname!
  target_colname! series_colname warehouse database schema
SNOWFLAKE_RUN_QUERY: statement! set_outputs role database schema
SNOWFLAKE_RUN_TEST: statement! warn_threshold_expression! error_threshold_expression! schema database
SNOWFLAKE_SCHEMA_VALIDATION: table_name! column_name! expected_type! is_nullable! is_primary_key! is_unique!
SQL_SERVER_RUN_QUERY: statement!
TABLEAU_REFRESH_EXTRACT: project_name! datasource_name!
TABLEAU_REFRESH_WORKBOOK: project_name! workbook_name!
TABLEAU_UPDATE_SUBSCRIPTION: attribute_values! subscription_id
WINDOWS_SSH_COMMAND: command!
"""

# What sections 9.4 to 9.11 and the docs pages under 9.3 add: names of known jobs, and jobs that the census has not.
LATER = """
AWS_REDSHIFT_EXECUTE_STATEMENT: set_outputs
AWS_S3_PUT_FILE: bucket_name object_key contents file_encoding
BAUPLAN_DATA_QUALITY_TEST: statement! error_threshold_expression warn_threshold_expression
CLICKHOUSE_RUN_QUERY: statement! database set_outputs
DATAZEN_RUN_JOB: job_id!
DBT_CORE_EXECUTE: production_run_identifier
DREMIO_RUN_QUERY: statement! database set_outputs
DUCKDB_EXECUTE_QUERY: query! set_outputs
FABRIC_SYNAPSE_RUN_DQ_TEST: database
FABRIC_SYNAPSE_RUN_QUERY: database set_outputs
HTTP_REQUEST_ASYNC: path! method! body custom_headers set_outputs
MONGODB_RUN_TEST: error_threshold_expression warn_threshold_expression
MYSQL_RUN_QUERY: statement! database set_outputs
DATA_RECONCILIATION_CURSOR_FIELD: source_connection_id destination_connection_id source_warehouse_id
  destination_warehouse_id detect_max_drift_error_threshold_expression detect_max_drift_warn_threshold_expression
  cursor_field_cache_override
DATA_RECONCILIATION_MANUAL_QUERY: source_role source_warehouse source_warehouse_id source_database source_schema
  destination_role destination_warehouse destination_warehouse_id destination_database destination_schema
POSTGRES_RUN_QUERY: database
POSTGRES_RUN_TEST: database
SEND_SLACK_MESSAGE: attachments
SNOWFLAKE_RUN_QUERY: warehouse
SNOWFLAKE_RUN_TEST: role warehouse
SNOWFLAKE_SCHEMA_VALIDATION: role warehouse database schema
SQL_SERVER_RUN_QUERY: database set_outputs
"""

# Present in nearly every use of the census, yet optional by the sections that win.
RELAXED = {
    "DBT_CORE_EXECUTE": {"package_manager", "python_version"},
    "PYTHON_EXECUTE_SCRIPT": {"package_manager", "python_version"},
    "OPEN_AI_CHAT": {"model"},
    "DATA_RECONCILIATION_CURSOR_FIELD": {"detect_count_drift", "detect_max_drift"},
    "GCP_BQ_RUN_QUERY_JOB": {"enable_drive_scope"},
    "GCP_BQ_RUN_TEST": {"enable_drive_scope"},
} | {
    job: {"error_threshold_expression", "warn_threshold_expression"}
    for job in ("CLICKHOUSE_RUN_TEST", "DATABRICKS_RUN_TEST", "FABRIC_SYNAPSE_RUN_DQ_TEST", "POSTGRES_RUN_TEST",
                "SNOWFLAKE_RUN_TEST")
}  # fmt: skip

KINDS = {
    "bool": "assign_public_ip set_outputs enable_polling auto_manage_vm force_ignore_workspace_status return_text resync "
    "use_state_orchestration enable_drive_scope invalidate_cache detect_count_drift detect_max_drift overwrite is_unique "
    "query_from_cursor_field_cache apply_refresh_policy is_nullable is_primary_key",
    "int": "latency_threshold error_threshold warn_threshold monitoring_window_seconds",
    "list": "container_overrides job_args approvers sheet_ids",
    "dict": "optional_flags env_variables content run_inputs",
    "json": "arguments payload parameters refresh_parameters tasks request_body job_parameters environment_variables "
    "execution_data body custom_headers blocks",
    "any": "attachments cursor_field_cache_override",
}
PAIRS = [(integration, job) for integration, jobs in JOBS_BY_INTEGRATION.items() for job in jobs]


def read(table: str) -> dict[str, dict[str, bool]]:
    """Job -> parameter -> required."""
    jobs = (line.partition(": ") for line in table.replace("\n  ", " ").strip().splitlines())
    return {job: {name.rstrip("!"): name.endswith("!") for name in names.split()} for job, _, names in jobs}


def test_the_enums_have_the_size_of_the_reference() -> None:
    assert (len(INTEGRATIONS), len(INTEGRATION_OF), len(PAIRS)) == (128, 137, 137)
    assert len(set(INTEGRATIONS)) == 128 and list(INTEGRATIONS) == sorted(INTEGRATIONS)
    assert len(OPERATION_TYPES) == 17 and len(SENSORS) == 15


@pytest.mark.parametrize(("integration", "job"), PAIRS)
def test_every_job_is_paired_and_described(integration: str, job: str) -> None:
    assert INTEGRATION_OF[job] == integration
    assert re.fullmatch(r"[A-Z].*\.", JOB_DESCRIPTIONS[job])
    for name, parameter in PARAMETERS.get(job, {}).items():
        assert re.fullmatch(r"[A-Za-z].*[.)/]*", parameter.description), name
        assert parameter.default is None or not parameter.required


def test_descriptions_and_parameters_name_only_jobs_of_the_enum() -> None:
    assert set(JOB_DESCRIPTIONS) == set(INTEGRATION_OF)
    assert set(PARAMETERS) <= set(INTEGRATION_OF) and set(PARAMETERS) >= OPEN_JOBS
    assert len(PARAMETERS) == len(list(PARAMETERS))


def test_misspelt_jobs_are_none_and_say_what_to_write() -> None:
    assert len(MISSPELT) == 7
    for job, hint in MISSPELT.items():
        assert job not in INTEGRATION_OF
        named = re.findall(r"write ([A-Z0-9_]+)", hint)
        assert named and set(named) <= set(INTEGRATION_OF)


@pytest.mark.parametrize("job", sorted(PARAMETERS))
def test_parameters_are_those_of_the_reference(job: str) -> None:
    census, later, relaxed = read(CENSUS).get(job, {}), read(LATER).get(job, {}), RELAXED.get(job, set())
    assert census or later
    expected = {name: needed and name not in relaxed for name, needed in (census | later).items()}
    assert {name: parameter.required for name, parameter in PARAMETERS[job].items()} == expected


def test_no_job_of_the_reference_is_left_out() -> None:
    assert set(read(CENSUS)) | set(read(LATER)) == set(PARAMETERS)


def test_kinds_are_those_of_the_reference() -> None:
    kinds = {name: kind for kind, names in KINDS.items() for name in names.split()}
    for job, known in PARAMETERS.items():
        for name, parameter in known.items():
            assert parameter.kind == kinds.get(name, "text"), (job, name)
            assert parameter.threshold == name.endswith("_threshold_expression")


@pytest.mark.parametrize(
    ("job", "name", "options", "default"),
    [
        ("PYTHON_EXECUTE_SCRIPT", "source", "GIT INLINE", "GIT"),
        ("PYTHON_EXECUTE_SCRIPT", "package_manager", "PIP POETRY UV", "PIP"),
        ("DBT_CORE_EXECUTE", "python_version", "3.11 3.12", "3.12"),
        ("HTTP_REQUEST", "method", "GET POST PUT", None),
        ("AIRBYTE_CLOUD_JOB", "job_type", "sync reset", None),
        ("ALTERYX_SERVER_TRIGGER_WORKFLOW", "priority", "Critical Default High Low Medium", None),
        ("COALESCE_RUNJOB", "snowflake_auth_type", "KeyPair OAuth", None),
        ("DATA_RECONCILIATION_MANUAL_QUERY", "source_integration", "DATABRICKS SNOWFLAKE SQL_SERVER", None),
        ("DATA_RECONCILIATION_CURSOR_FIELD", "destination_integration", "DATABRICKS SNOWFLAKE SQL_SERVER", None),
        ("DATAPROC_RUN_JOB", "job_type", "flink hadoop hive pig presto pyspark spark spark-r spark-sql trino", None),
        ("POWER_BI_REFRESH_DATASET", "refresh_type", "Automatic Calculate ClearValues DataOnly Defragment Full", None),
        ("AWS_S3_GET_FILE", "file_encoding", "base64 latin-1 utf-16 utf-8", "utf-8"),
        ("SFTP_GET_FILE", "content_format", "TEXT BASE64", None),
        ("AWS_EC2_SSM_RUN_SCRIPT", "os_type", "linux windows", None),
        ("AZURE_VM_RUN_COMMAND", "os_type", "", None),
        ("APPROVAL", "message_integration", "SLACK", None),
        ("SNOWFLAKE_RUN_TEST", "error_threshold_expression", "", "> 0"),
        ("DATA_RECONCILIATION_MANUAL_QUERY", "error_threshold_expression", "", None),
        ("DATA_RECONCILIATION_CURSOR_FIELD", "detect_max_drift_warn_threshold_expression", "", "> 0"),
        ("POSTGRES_RUN_QUERY", "set_outputs", "", False),
    ],
)
def test_options_and_defaults(job: str, name: str, options: str, default: Any) -> None:
    parameter = PARAMETERS[job][name]
    assert parameter.options == tuple(options.split()) and parameter.default == default


@pytest.mark.parametrize(
    ("sensor_type", "integration", "needed", "optional", "outputs"),
    [
        ("AWS_S3_FILE", "AWS_S3", "bucket_name", "prefix", "files"),
        ("ADLS_FILE", "AZURE_DATA_LAKE_STORAGE", "container_name", "prefix", "files"),
        ("SFTP_FILE", "SFTP", "", "folder_path file_pattern", "files"),
        ("SHAREPOINT_FILE", "SHAREPOINT", "", "", "files"),
        ("MONGODB_QUERY", "MONGODB", "", "", "results"),
        ("DATABRICKS_QUERY", "DATABRICKS", "query", "warehouse_id", "results"),
        ("ORCHESTRA_PIPELINE_STATUS", "ORCHESTRA", "pipeline_id", "statuses status check_latest_run", "pipeline_run"),
        ("ORCHESTRA_WEBHOOK_EVENT", "ORCHESTRA", "event_type", "check_latest_event", "sensor_event"),
        *((f"{name}_QUERY", name, "query", "", "results")
          for name in ("SNOWFLAKE", "POSTGRES", "MYSQL", "SQL_SERVER", "GCP_BIG_QUERY", "FABRIC_SYNAPSE", "CLICKHOUSE")),
    ],
)  # fmt: skip
def test_sensors(sensor_type: str, integration: str, needed: str, optional: str, outputs: str) -> None:
    sensor = SENSORS[sensor_type]
    assert sensor.integration == integration and integration in INTEGRATIONS
    assert {name for name, parameter in sensor.parameters.items() if parameter.required} == set(needed.split())
    assert set(sensor.parameters) == set(needed.split()) | set(optional.split())
    assert sensor.outputs == (outputs,)
    assert sensor.others == (sensor_type in ("SFTP_FILE", "SHAREPOINT_FILE", "MONGODB_QUERY"))
    assert all(parameter.description for parameter in sensor.parameters.values())
