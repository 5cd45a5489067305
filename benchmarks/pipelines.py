"""Makes realistic pipelines for benchmarks: the shapes and sizes that people's repositories have, always the same ones."""

from __future__ import annotations

import random
from pathlib import Path

_SYSTEMS = {"postgres": ["customers", "orders", "order_items", "products"], "salesforce": ["accounts", "contacts"],
            "sap": ["shipments", "deliveries"]}  # fmt: skip

_HEAD = """\
# {title}: loads {source}, builds the models and tests them.
version: v1
name: '{title} #{source} #nightly'
schedule:
  - name: Every night
    cron: {minute} {hour} ? * MON-FRI *
    timezone: Europe/Berlin
    environment: Production
    run_inputs: {{destination: snowflake, full_refresh: false}}
inputs:
  destination: {{type: string, default: duckdb, options: [duckdb, postgres, snowflake]}}
  full_refresh: {{type: boolean, default: false}}
  day: {{type: string, default: '${{{{ format_date(ORCHESTRA.CURRENT_TIME, "%Y-%m-%d", "Europe/Berlin") }}}}'}}
configuration:
  retries: 2
  retry_delay: 1
  timeout: 3600
  concurrency: {{max_active: 1}}
alerts:
  - name: {title} failed
    statuses: [FAILED, WARNING]
    destinations:
      - {{integration: SLACK, destination: '#data-alerts', connection_id: default_00000}}
    custom_message: 'See the [runbook](https://example.com/runbooks/{source}).'
pipeline:
"""
_LOAD = """\
  load_{source}:
    name: Load {source}
    depends_on: []
    matrix:
      inputs: {{object: [{objects}]}}
      max_parallel: 4
      continue_on_error: true
    tasks:
      load_{source}_table:
        name: Load ${{{{ MATRIX.object }}}}
        integration: PYTHON
        integration_job: PYTHON_EXECUTE_SCRIPT
        depends_on: []
        parameters:
          source: GIT
          package_manager: PIP
          python_version: '3.12'
          build_command: pip install -r python/requirements.txt
          command: python python/ingest.py --source {source} --object ${{{{ MATRIX.object }}}}
          environment_variables: |
            {{
              "DESTINATION": "${{{{ inputs.destination }}}}",
              "FULL_REFRESH": "${{{{ inputs.full_refresh }}}}",
              "DAY": "${{{{ inputs.day }}}}"
            }}
          set_outputs: true
"""
_TEST = """\
  test_{name}:
    name: Is {name} consistent?
    depends_on: [{after}]
    condition: ${{{{ task_groups['{after}'].all().status in ['SUCCEEDED', 'WARNING'] }}}}
    tasks:
      {name}_totals:
        name: Totals of {name} equal their items
        integration: SNOWFLAKE
        integration_job: SNOWFLAKE_RUN_TEST
        connection: ${{{{ ENV.WAREHOUSE_CONNECTION }}}}
        depends_on: []
        treat_failure_as_warning: true
        parameters:
          statement: |
            with totals as (
              select order_id, sum(quantity * unit_price) as amount
              from raw_{name}.order_items
              group by order_id
            )
            select o.order_id, o.amount, t.amount as of_items
            from raw_{name}.orders as o
            left join totals as t on t.order_id = o.order_id
            where abs(o.amount - coalesce(t.amount, 0)) > 0.005
          error_threshold_expression: '> 0'
          warn_threshold_expression: '> 0'
          database: ANALYTICS
      {name}_fresh:
        name: {name} is fresh
        integration: SNOWFLAKE
        integration_job: SNOWFLAKE_RUN_TEST
        connection: ${{{{ ENV.WAREHOUSE_CONNECTION }}}}
        depends_on: [{name}_totals]
        parameters:
          statement: select count(*) from raw_{name}.orders where loaded_at < dateadd('day', -1, current_timestamp())
          error_threshold_expression: '> 100'
          warn_threshold_expression: '> 10'
"""
_BUILD = """\
  build:
    name: Build the models
    depends_on: [{after}]
    tasks:
      dbt_build:
        name: dbt build
        integration: DBT_CORE
        integration_job: DBT_CORE_EXECUTE
        depends_on: []
        configuration: {{retries: 0, timeout: 7200}}
        parameters:
          commands: dbt deps; dbt build --target ${{{{ ENV.DBT_TARGET }}}} --select tag:{source}+
          package_manager: UV
          python_version: '3.12'
          project_dir: dbt/snowflake
          environment_variables: '{{"DBT_DAY": "${{{{ inputs.day }}}}"}}'
      refresh_dashboard:
        name: Refresh the dashboard
        integration: POWER_BI
        integration_job: POWER_BI_REFRESH_DATASET
        depends_on: [dbt_build]
        parameters: {{dataset_id: 5d1f2c0e-9a57-4c1f-8e54-2f6f5c2c1d11, refresh_type: Full}}
  on_failure:
    name: Say what failed
    depends_on: [build]
    condition: ${{{{ task_groups['build'].any().status == 'FAILED' }}}}
    tasks:
      tell:
        name: Tell the team
        integration: SLACK
        integration_job: SEND_SLACK_MESSAGE
        depends_on: []
        parameters:
          channel_name: '#data-alerts'
          text: '{title} failed, run ${{{{ ORCHESTRA.PIPELINE_RUN_ID }}}}'
"""


def realistic_pipeline(number: int) -> str:
    """The text of one pipeline; the number decides which."""
    chance = random.Random(number)
    sources = chance.sample(sorted(_SYSTEMS), chance.randint(1, 3))
    title = f"{sources[0].title()} daily {number}"
    parts = [_HEAD.format(title=title, source=sources[0], minute=chance.randint(0, 59), hour=chance.randint(0, 23))]
    after = []
    for source in sources:
        parts.append(_LOAD.format(source=source, objects=", ".join(_SYSTEMS[source])))
        parts.append(_TEST.format(name=source, after=f"load_{source}"))
        after.append(f"test_{source}")
    parts.append(_BUILD.format(after=", ".join(after), source=sources[0], title=title))
    return "".join(parts)


def write_pipelines(folder: Path, count: int) -> list[Path]:
    """Write so many of them, as `pipeline_<n>.yml`."""
    paths = [folder / f"pipeline_{n:03}.yml" for n in range(count)]
    for number, path in enumerate(paths):
        path.write_text(realistic_pipeline(number), encoding="utf-8")
    return paths
