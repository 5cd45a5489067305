"""The texts that `parameters` reads: every job with its parameters, and every parameter with its type and meaning.

Plain text, so that a job stays one readable line and importing costs nothing. Source: sections 9.3 to 9.11 of the
language reference, and 8.2 for sensors; where the corpus of 9.3 and the later sections differ, the later ones win.
"""

JOBS = """
AIRBYTE_CLOUD_JOB: Run a connection of Airbyte Cloud.
  connection_id! job_type!
AIRBYTE_SERVER_JOB: Run a connection of a self-hosted Airbyte.
  connection_id! job_type!
AIRFLOW_RUN_DAG: Trigger an Airflow DAG and wait for it.
ALTERYX_SERVER_TRIGGER_WORKFLOW: Run a workflow on Alteryx Server.
  workflow_id! priority
ANTHROPIC_CLAUDE_CHAT: Ask a Claude model.
ARCH_SYNC_PIPELINE: Sync a pipeline of Arch.
AWS_BEDROCK_INVOKE_MODEL: Ask a model of AWS Bedrock.
AWS_EC2_SSM_RUN_SCRIPT: Run a shell line on an EC2 instance through Systems Manager.
  instance_id! command! os_type!
AWS_ECS_RUN_TASK: Run a task of an ECS cluster on Fargate.
  cluster! task_definition! subnet_ids! security_group_ids! assign_public_ip! container_overrides
AWS_EKS_RUN_JOB: Run a Kubernetes job on EKS.
  job_manifest!
AWS_EMR_RUN_JOB: Run a job on an EMR cluster.
AWS_FIREHOSE_CHECK_STREAM: Check a Firehose delivery stream.
AWS_GLUE_RUN_JOB: Run a Glue job.
  job_name! arguments aws_region
AWS_LAMBDA_EXECUTE_ASYNC_FUNCTION: Invoke a Lambda function, and wait for it when it is polled.
  function_name! payload enable_polling set_outputs
AWS_REDSHIFT_EXECUTE_STATEMENT: Run SQL in Redshift.
  statement! set_outputs
AWS_S3_GET_FILE: Read one object of an S3 bucket into the output `content`.
  bucket_name! object_key! file_encoding set_outputs
AWS_S3_PUT_FILE: Write one object into an S3 bucket.
  bucket_name object_key contents file_encoding
AWS_SAGEMAKER_DEPLOY_MODEL: Deploy a SageMaker model.
AWS_SAGEMAKER_TRAIN_MODEL: Train a SageMaker model.
AWS_SES_SEND_EMAIL: Send an e-mail through SES.
AWS_STEP_FUNCTIONS_START_EXECUTION: Start a state machine of Step Functions and wait for it.
ACA_RUN_JOB: Run a job of Azure Container Apps.
  resource_group_name! job_name! image!
ADF_PIPELINE_RUN: Run a pipeline of Azure Data Factory.
  resource_group! data_factory! pipeline_name! parameters set_outputs
ADLS_SENSOR: Wait for files in Azure Data Lake Storage.
AKS_RUN_JOB: Run a Kubernetes job on AKS.
AZURE_LOGIC_APPS_RUN_WORKFLOW: Run a workflow of Azure Logic Apps.
SYNAPSE_NOTEBOOK_RUN: Run a notebook of Azure Synapse.
SYNAPSE_PIPELINE_RUN: Run a pipeline of Azure Synapse.
  pipeline_name!
AZURE_VM_RUN_COMMAND: Run a script on an Azure virtual machine.
  resource_group! vm_name! vm_architecture! os_type! script! auto_manage_vm! location!
BAUPLAN_DATA_QUALITY_TEST: Test data of a Bauplan lakehouse with SQL in DuckDB's dialect.
  statement! error_threshold_expression warn_threshold_expression
BAUPLAN_EXECUTE_PIPELINE: Run a Bauplan project on a branch of the lakehouse.
  project_dir! bauplan_ref! project_branch! namespace!
BOOMI_EXECUTE_PROCESS: Run a Boomi process.
  atom_id! process_id!
CDATA_SYNC_JOB: Run a job of CData Sync.
CENSUS_SYNC: Run a Census sync.
CLICKHOUSE_RUN_QUERY: Run SQL in ClickHouse.
  statement! database set_outputs
CLICKHOUSE_RUN_TEST: Test data in ClickHouse with SQL and thresholds.
  statement! database error_threshold_expression warn_threshold_expression
COALESCE_RUNJOB: Refresh a Coalesce environment.
  environment_id! snowflake_auth_type! job_id force_ignore_workspace_status refresh_parameters
DATABRICKS_EXECUTE_STATEMENT: Run SQL on a Databricks SQL warehouse.
  warehouse_id! statement! set_outputs
DATABRICKS_ONE_TIME_RUN: Submit a one-time run of Databricks tasks.
  run_name! tasks! request_body
DATABRICKS_RUN_TEST: Test data in Databricks with SQL and thresholds.
  warehouse_id! statement! error_threshold_expression warn_threshold_expression
DATABRICKS_RUN_WORKFLOW: Run a Databricks job.
  job_id! job_parameters set_outputs
DATAPROC_RUN_JOB: Submit a job to a Dataproc cluster.
  cluster_name! job_type! job_args optional_flags class_or_jar code_location
DATAZEN_CHECK_JOB: Check a DataZen job.
DATAZEN_RUN_JOB: Run a DataZen job.
  job_id!
DBT_RUNJOB: Run a job of dbt Cloud.
  job_id!
DBT_CORE_EXECUTE: Run dbt commands on a project in a repository.
  commands! package_manager python_version project_dir branch shallow_clone_dirs environment_variables
  warehouse_identifier use_state_orchestration production_run_identifier
DLT_EXECUTE_JOB: Run a dlt pipeline.
DREMIO_RUN_QUERY: Run SQL in Dremio.
  statement! database set_outputs
DUCKDB_EXECUTE_QUERY: Run SQL in DuckDB.
  query! set_outputs
ESTUARY_CHECK_FLOW: Check the delay of an Estuary task.
  task! latency_threshold error_threshold warn_threshold monitoring_window_seconds
ETLEAP_REFRESH_PIPELINE: Refresh an Etleap pipeline.
FABRIC_RUN_DATA_PIPELINE: Run a data pipeline of Microsoft Fabric.
  workspace_id! data_pipeline_id! execution_data set_outputs
FABRIC_RUN_NOTEBOOK: Run a notebook of Microsoft Fabric.
  workspace_id! notebook_id! execution_data set_outputs
FABRIC_SYNAPSE_RUN_DQ_TEST: Test data in a Fabric or Synapse warehouse with SQL and thresholds.
  statement! database error_threshold_expression warn_threshold_expression
FABRIC_SYNAPSE_RUN_QUERY: Run SQL in a Fabric or Synapse warehouse.
  statement! database set_outputs
FIVETRAN_SYNC_ALL: Sync a Fivetran connector.
  connector_id! resync
GCP_BQ_RUN_QUERY_JOB: Run SQL in BigQuery.
  query! location enable_drive_scope set_outputs
GCP_BQ_RUN_SCHEDULED_QUERY_JOB: Run a scheduled query of BigQuery now.
  resource_name!
GCP_BQ_RUN_TEST: Test data in BigQuery with SQL and thresholds.
  query! location enable_drive_scope error_threshold_expression warn_threshold_expression
GCP_CLOUD_FUNCTIONS_EXECUTE_ASYNC_FUNCTION: Invoke a Google Cloud function.
GCP_CLOUD_RUN_EXECUTE_JOB: Run a job of Google Cloud Run.
  job_name! env_variables
GCP_DATAFLOW_RUN_PIPELINE: Run a Dataflow data pipeline.
  pipeline_name!
GCP_DATAFORM_INVOKE_WORKFLOW: Run a Dataform workflow.
GCP_DATASTREAM_MONITOR: Check a Datastream stream.
GCP_LOOKER_RUN_SCHEDULED_PLAN: Run a scheduled plan of Looker now.
  scheduled_plan_id!
GITHUB_RUN_WORKFLOW: Run a workflow of GitHub Actions.
GKE_RUN_JOB: Run a Kubernetes job on GKE.
  cluster_name! job_name! location!
HEVO_CHECK_DESTINATION_STATUS: Check a Hevo destination.
  hevo_destination_id!
HEX_RUN_PROJECT: Run a Hex project.
  project_id!
HIGHTOUCH_SYNC: Run a Hightouch sync.
  sync_id!
HTTP_REQUEST: Send one HTTP request; a status of 2xx within 30 seconds succeeds.
  method! path! body custom_headers set_outputs
HTTP_REQUEST_ASYNC: Send one HTTP request and wait until the receiver reports a final status.
  method! path! body custom_headers set_outputs
HUBSPOT_IMPORT_RECORDS: Import records into HubSpot.
KAFKA_CHECK_TOPIC: Check a Kafka topic.
KEBOOLA_RUN_FLOW: Run a Keboola flow.
LIGHTDASH_REFRESH_DASHBOARD: Refresh a Lightdash dashboard.
  dashboard_id! invalidate_cache
LIGHTDASH_REFRESH_PRE_AGGREGATE: Refresh a pre-aggregate of Lightdash.
LINUX_SSH_EXECUTE_COMMAND: Run a shell line on a Linux machine over SSH.
  command!
MATILLION_EXECUTE_PIPELINE: Run a pipeline of the Matillion Data Productivity Cloud.
  project_id! pipeline_name! environment_name!
MATILLION_ETL_RUN_JOB: Run a job of Matillion ETL.
METAPLANE_RUN_MONITOR: Run a Metaplane monitor.
SEND_MICROSOFT_TEAMS_MESSAGE: Post a message to a Microsoft Teams channel.
  content!
MONGODB_RUN_COMMAND: Run a MongoDB command.
MONGODB_RUN_TEST: Test data in MongoDB with a query and thresholds.
  error_threshold_expression warn_threshold_expression
MOTHERDUCK_EXECUTE_QUERY: Run SQL in MotherDuck.
  query! set_outputs
MYSQL_RUN_QUERY: Run SQL in MySQL.
  statement! database set_outputs
N8N_RUN_WORKFLOW: Run an n8n workflow.
NIMBLE_SERP_API: Fetch search results through Nimble.
NIMBLE_WEB_API: Fetch a web page through Nimble.
NOTION_APPEND_BLOCKS: Append blocks to a Notion page.
NOTION_CREATE_DATABASE_PAGE: Add a page to a Notion database.
NOTION_CREATE_PAGE: Create a Notion page.
NOTION_UPDATE_DATABASE_PAGE: Change a page of a Notion database.
OMNI_TRIGGER_SCHEDULE: Run a schedule of Omni now.
OPEN_AI_CHAT: Ask an OpenAI model; the answer is the output `results`.
  prompt! model context instructions output_schema return_text set_outputs
APPROVAL: Wait until somebody approves or rejects.
  message approvers message_integration message_connection_id message_destination
DATA_RECONCILIATION_CURSOR_FIELD: Compare the row count or maximum of one growing column between two warehouses.
  source_integration! source_table_name! source_column_name! source_connection_id source_warehouse_id
  source_database source_schema
  destination_integration! destination_table_name! destination_column_name! destination_connection_id
  destination_warehouse_id destination_database destination_schema
  detect_count_drift detect_count_drift_error_threshold_expression detect_count_drift_warn_threshold_expression
  detect_max_drift detect_max_drift_error_threshold_expression detect_max_drift_warn_threshold_expression
  query_from_cursor_field_cache cursor_field_cache_override
DATA_RECONCILIATION_MANUAL_QUERY: Compare one value between two warehouses.
  source_integration! source_query! source_connection_id source_warehouse_id
  source_role source_warehouse source_database source_schema
  destination_integration! destination_query! destination_connection_id destination_warehouse_id
  destination_role destination_warehouse destination_database destination_schema
  error_threshold_expression warn_threshold_expression
RUN_AGENT: Run an agent of Orchestra.
  agent_id! prompt! set_outputs
TRIGGER_PIPELINE: Run another pipeline, wait for it and take its status.
  pipeline_id! run_inputs branch
WAIT: Wait for some time.
PORTABLE_RUN_FLOW: Run a Portable flow.
POSTGRES_RUN_QUERY: Run SQL in PostgreSQL.
  statement! database set_outputs
POSTGRES_RUN_TEST: Test data in PostgreSQL with SQL and thresholds.
  statement! database error_threshold_expression warn_threshold_expression
POWER_AUTOMATE_RUN_FLOW: Run a Power Automate flow.
POWER_BI_REFRESH_DATAFLOW: Refresh a Power BI dataflow.
  dataflow_id! workspace_id
POWER_BI_REFRESH_DATASET: Refresh a Power BI semantic model.
  dataset_id! workspace_id refresh_type apply_refresh_policy
PREFECT_CLOUD_RUN_FLOW: Run a flow of Prefect Cloud.
PYTHON_EXECUTE_SCRIPT: Run Python from a repository, or code written in the pipeline.
  source command code build_command package_manager python_version project_dir branch shallow_clone_dirs
  environment_variables set_outputs
QLIK_REPLICATE_TASK_FULL_LOAD: Start a full load of a Qlik Replicate task.
QUICKBOOKS_CREATE_ENTITY: Create a record in QuickBooks.
RENDER_RUN_JOB: Run a job on Render.
RIVERY_RUN_RIVER: Run a Rivery river.
  river_id!
RUDDERSTACK_RETL_SYNC: Run a reverse-ETL sync of RudderStack.
SALESFORCE_RUN_ANALYTICS_DATAFLOW: Run a dataflow of Salesforce CRM Analytics.
SFTP_GET_FILE: Read one file from an SFTP server into the output `contents`.
  file_path! content_format set_outputs
SFTP_PUT_FILE: Write one file to an SFTP server.
  file_path! contents! content_format overwrite
SHAREPOINT_GET_FILE: Read one file from SharePoint.
SHAREPOINT_PUT_FILE: Write one file to SharePoint.
SIGMA_DATAMODEL_MATERIALIZATION: Materialise sheets of a Sigma data model.
  datamodel_id! sheet_ids!
SIGMA_DATASET_MATERIALIZATION: Materialise a Sigma dataset.
  dataset_id!
SIGMA_WORKBOOK_MATERIALIZATION: Materialise sheets of a Sigma workbook.
  workbook_id! sheet_ids!
SEND_SLACK_MESSAGE: Post a message to a Slack channel.
  channel_name! text blocks attachments
SNOWFLAKE_ANOMALY_DETECTION: Train a Snowflake model on a time series and look for anomalies in another.
  model_name! train_sql_statement! predict_sql_statement! timestamp_colname! target_colname! series_colname
  warehouse database schema
SNOWFLAKE_RUN_QUERY: Run SQL in Snowflake.
  statement! role warehouse database schema set_outputs
SNOWFLAKE_RUN_TEST: Test data in Snowflake with SQL and thresholds.
  statement! role warehouse database schema error_threshold_expression warn_threshold_expression
SNOWFLAKE_SCHEMA_VALIDATION: Compare one column of a Snowflake table with what is expected of it.
  table_name! column_name! expected_type! is_nullable! is_primary_key! is_unique! role warehouse database schema
SQL_MESH_EXECUTE_JOB: Run SQLMesh.
SQL_SERVER_RUN_QUERY: Run SQL in SQL Server.
  statement! database set_outputs
STITCH_SYNC: Run a Stitch sync.
TABLEAU_REFRESH_EXTRACT: Refresh the extract of a Tableau data source.
  project_name! datasource_name!
TABLEAU_REFRESH_WORKBOOK: Refresh the extracts of a Tableau workbook.
  project_name! workbook_name!
TABLEAU_UPDATE_SUBSCRIPTION: Change a Tableau subscription.
  attribute_values! subscription_id
TALEND_CLOUD_EXECUTE_TASK: Run a task of Talend Cloud.
THOUGHTSPOT_FETCH_LIVEBOARD_DATA: Fetch the data of a ThoughtSpot Liveboard.
TOBIKO_CLOUD_EXECUTE: Run a project of Tobiko Cloud.
WINDOWS_SSH_COMMAND: Run a command on a Windows machine over SSH.
  command!
"""
"""`JOB: what it does`, then its parameters if they are known; `!` marks what it needs."""

MEANINGS = """
agent_id: The id of the agent in Orchestra.
apply_refresh_policy(bool): Whether the incremental refresh policy of the model applies.
approvers(list): E-mail addresses of those who may decide; without it, everybody who may run the pipeline.
arguments(json): The arguments of the job run.
assign_public_ip(bool): Whether the task gets a public IP address.
atom_id: The id of the Boomi atom that runs the process.
attachments(any): Slack attachments.
attribute_values: The attributes to set on the subscription.
auto_manage_vm(bool): Whether the machine is started before the script, and stopped after it.
aws_region: The AWS region of the job; without it, that of the connection.
bauplan_ref: The branch of the lakehouse that the pipeline reads and writes.
blocks(json list): Slack blocks, as a JSON list.
body(json): The body of the request as JSON; POST and PUT need it, {} if there is nothing to send.
branch: The git branch to check out; without it, the default branch of the repository.
bucket_name: The name of the S3 bucket.
build_command: Shell lines that prepare the environment before the command; no expression may be in them.
channel_name: The Slack channel to post to.
check_latest_event(bool=false): Whether the latest stored event counts, though it came before the window opened.
check_latest_run(bool=false): Whether the latest run counts, though it ended before the window opened.
class_or_jar: The main class or JAR file of the job.
cluster: The name of the ECS cluster.
cluster_name: The name of the cluster.
code: Python source that is run when `source` is INLINE.
code_location: Where the code of the job lies, as a URI.
column_name: The column to validate.
command: The command to run.
commands: dbt commands, separated by semicolons; each starts with dbt.
connection_id: The id of the Airbyte connection to run.
connector_id: The id of the Fivetran connector.
container_name: The container of the storage account.
container_overrides(list): What to change in the containers of the task definition: command, environment and the like.
content(dict): The message: an adaptive card, or a mapping with the key `text`.
content_format(one of TEXT BASE64): Whether the contents are plain text, or bytes in Base64.
contents: What to write into the file.
context: What the model should know besides the prompt.
cursor_field_cache_override(any): The cursor value to start from, instead of the one of the last run.
custom_headers(json): Headers of the request, as a JSON object.
dashboard_id: The id of the dashboard.
data_factory: The name of the data factory.
data_pipeline_id: The id of the Fabric data pipeline.
database: The database to use, instead of the one of the connection.
dataflow_id: The id of the Power BI dataflow.
datamodel_id: The id of the Sigma data model.
dataset_id: The id of the dataset.
datasource_name: The name of the Tableau data source.
destination_column_name: The growing column in the destination, such as an id or a timestamp.
destination_connection_id: The connection of the destination; without it, the default one of its integration.
destination_database: The database of the destination, instead of the one of its connection.
destination_integration(one of DATABRICKS SNOWFLAKE SQL_SERVER): The kind of warehouse that the destination is.
destination_query: SQL for the destination that gives one value.
destination_role: The Snowflake role for the destination, instead of the one of its connection.
destination_schema: The schema of the destination, instead of the one of its connection.
destination_table_name: The table in the destination.
destination_warehouse: The Snowflake warehouse for the destination, instead of the one of its connection.
destination_warehouse_id: The id of the SQL warehouse of the destination; needed when it is DATABRICKS.
detect_count_drift(bool): Whether the numbers of rows are compared.
detect_count_drift_error_threshold_expression(threshold=> 0): The difference in rows at which the task fails.
detect_count_drift_warn_threshold_expression(threshold=> 0): The difference in rows at which the task ends in WARNING.
detect_max_drift(bool): Whether the greatest values are compared.
detect_max_drift_error_threshold_expression(threshold=> 0): The difference of the maxima at which the task fails.
detect_max_drift_warn_threshold_expression(threshold=> 0): The difference of the maxima at which it ends in WARNING.
enable_drive_scope(bool): Whether the query may read tables that are backed by files in Google Drive.
enable_polling(bool): Whether the task waits until the function reports its status.
env_variables(dict): Environment variables of the job.
environment_id: The id of the Coalesce environment.
environment_name: The name of the Matillion environment.
environment_variables(json object): Environment variables of the process, as a JSON object of names and values.
error_threshold(int): The limit at which the check fails.
error_threshold_expression(threshold=> 0): The task fails when the number of rows, or the count, satisfies this.
event_type: The `sensor_event_type` of the events to wait for.
execution_data(json): Parameters and settings of the run.
expected_type: The data type that the column should have.
file_encoding(one of base64 latin-1 utf-16 utf-8*): How the bytes of the file become text.
file_path: The path of the file on the server.
file_pattern: A pattern such as *.csv for the names of the files to wait for.
folder_path: The folder to look in, without those below it.
force_ignore_workspace_status(bool): Whether to run although the last deployment to the environment failed.
function_name: The name of the Lambda function.
hevo_destination_id: The id of the Hevo destination.
image: The container image to run.
instance_id: The id of the EC2 instance.
instructions: How the model should answer.
invalidate_cache(bool): Whether the cached results of the dashboard are dropped first.
is_nullable(bool): Whether the column should accept NULL.
is_primary_key(bool): Whether the column should be the primary key.
is_unique(bool): Whether the column should be unique.
job_args(list): The arguments of the job.
job_id: The id of the job.
job_manifest: The Kubernetes manifest of the job.
job_name: The name of the job.
job_parameters(json): The parameters of the job run.
job_type: The type of the job.
latency_threshold(int): The limit for the delay of the task.
location: The location of the resource, such as EU or europe-west1.
message: What the approvers read.
message_connection_id: The connection through which approvers are told, such as default_00000.
message_destination: Where approvers are told: a Slack channel such as #approvals.
message_integration(one of SLACK): How approvers are told.
method(one of GET POST PUT): The HTTP method.
model: The name of the model.
model_name: The name of the Snowflake model.
monitoring_window_seconds(int): How far back the check looks, in seconds.
namespace: The namespace that holds the tables.
notebook_id: The id of the Fabric notebook.
object_key: The key of the object in the bucket.
optional_flags(dict): Further fields of the job, by name.
os_type: The operating system of the machine.
output_schema: The shape of the answer: a JSON schema, or a description of it.
overwrite(bool=false): Whether a file that exists is replaced; otherwise the task fails.
package_manager(one of PIP* POETRY UV): What installs the project's requirements.
parameters(json): The parameters of the pipeline run.
path: The path below the base URL of the connection; it may carry a query string.
payload(json): The event that the function receives.
pipeline_id: The id of the Orchestra pipeline; on this machine also its alias or file.
pipeline_name: The name of the pipeline.
predict_sql_statement: SQL that gives the rows to look for anomalies in.
prefix: What the keys or paths of the files start with; without it, all count.
priority(one of Critical Default High Low Medium): The place of the workflow in the queue.
process_id: The id of the Boomi process.
production_run_identifier: The branch or commit whose artifacts are in `latest_production`; by default the main branch.
project_branch: The git branch of the project.
project_dir: The working directory, from the root of the repository.
project_id: The id of the project.
project_name: The name of the Tableau project.
prompt: What to ask.
python_version(one of 3.11 3.12*): The version of Python, in quotes.
query: The SQL to run.
query_from_cursor_field_cache(bool): Whether only rows after the cursor of the last run are compared.
refresh_parameters(json): Values for the parameters of the environment.
refresh_type(one of Automatic Calculate ClearValues DataOnly Defragment Full): What the refresh processes.
request_body(json): Further fields of the request that submits the run.
resource_group: The Azure resource group.
resource_group_name: The Azure resource group.
resource_name: The resource name of the transfer configuration: projects/.../transferConfigs/...
resync(bool): Whether everything is synced again from the start.
return_text(bool): Whether the answer is text, rather than an object.
river_id: The id of the river.
role: The Snowflake role to use, instead of the one of the connection.
run_inputs(dict): Values for the inputs of the pipeline.
run_name: The name of the run in Databricks.
scheduled_plan_id: The id of the Looker scheduled plan.
schema: The schema to use, instead of the one of the connection.
script: The script to run on the machine.
security_group_ids: The security groups of the task, separated by commas.
series_colname: The column that tells several series apart.
set_outputs(bool=false): Whether the outputs of the task are kept, so that expressions can read them.
shallow_clone_dirs: The folders to check out, separated by commas; without it, the whole repository.
sheet_ids(list): The ids of the sheets to materialise.
snowflake_auth_type(one of KeyPair OAuth): How Coalesce signs in to Snowflake.
source(one of GIT* INLINE): Whether `command` is run in a repository, or `code` as it is written here.
source_column_name: The growing column in the source, such as an id or a timestamp.
source_connection_id: The connection of the source; without it, the default one of its integration.
source_database: The database of the source, instead of the one of its connection.
source_integration(one of DATABRICKS SNOWFLAKE SQL_SERVER): The kind of warehouse that the source is.
source_query: SQL for the source that gives one value.
source_role: The Snowflake role for the source, instead of the one of its connection.
source_schema: The schema of the source, instead of the one of its connection.
source_table_name: The table in the source.
source_warehouse: The Snowflake warehouse for the source, instead of the one of its connection.
source_warehouse_id: The id of the SQL warehouse of the source; needed when it is DATABRICKS.
statement: The SQL to run; several statements are separated by semicolons, and the last one gives the rows.
status(any): A run status to wait for, as older pipelines write it; `statuses` is a list of them.
statuses(list): The run statuses to wait for.
subnet_ids: The subnets of the task, separated by commas.
subscription_id: The id of the Tableau subscription.
sync_id: The id of the sync.
table_name: The table to validate.
target_colname: The column of the measured value.
task: The name of the Estuary task.
task_definition: The ECS task definition to run.
tasks(json): The Databricks tasks to run, as a JSON list.
text: The text of the message.
timestamp_colname: The column of the time.
train_sql_statement: SQL that gives the rows to learn from.
use_state_orchestration(bool=false): Whether models are skipped whose code and sources are unchanged.
vm_architecture: The processor architecture of the machine.
vm_name: The name of the virtual machine.
warehouse: The Snowflake warehouse to use, instead of the one of the connection.
warehouse_id: The id of the Databricks SQL warehouse.
warehouse_identifier: The warehouse that lineage is shown for; it changes nothing in the run.
warn_threshold(int): The limit at which the check ends in WARNING.
warn_threshold_expression(threshold=> 0): The task ends in WARNING when the number of rows, or the count, satisfies this.
workbook_id: The id of the Sigma workbook.
workbook_name: The name of the Tableau workbook.
workflow_id: The id of the workflow.
workspace_id: The id of the workspace.

AIRBYTE_CLOUD_JOB.job_type(one of sync reset): Whether to sync the connection, or to drop what it loaded.
AIRBYTE_SERVER_JOB.job_type(one of sync reset): Whether to sync the connection, or to drop what it loaded.
AWS_EC2_SSM_RUN_SCRIPT.command: The shell line or script to run on the instance.
AWS_EC2_SSM_RUN_SCRIPT.os_type(one of linux windows): The operating system of the instance.
BAUPLAN_EXECUTE_PIPELINE.project_dir: The folder of the Bauplan project, from the root of the repository.
COALESCE_RUNJOB.job_id: The id of the Coalesce job; without it, the whole environment is refreshed.
DATAPROC_RUN_JOB.job_type(one of flink hadoop hive pig presto pyspark spark spark-r spark-sql trino): The engine of the job.
DATA_RECONCILIATION_MANUAL_QUERY.error_threshold_expression(threshold): The task fails when the difference satisfies this.
DATA_RECONCILIATION_MANUAL_QUERY.warn_threshold_expression(threshold): The difference at which the task ends in WARNING.
DBT_CORE_EXECUTE.project_dir: The folder with dbt_project.yml, from the root of the repository.
LINUX_SSH_EXECUTE_COMMAND.command: The shell line to run on the machine; `cd x && y` is fine.
ORCHESTRA_PIPELINE_STATUS.pipeline_id: The id of the Orchestra pipeline whose runs are watched.
PYTHON_EXECUTE_SCRIPT.command: One command that starts with python, poetry or uv; no shell reads it.
"""
"""`parameter(type): what it means`, the type being text unless stated; `type=x` and `x*` give the default.

`JOB.parameter` stands for one job, or one type of sensor, and replaces the general line.
"""
