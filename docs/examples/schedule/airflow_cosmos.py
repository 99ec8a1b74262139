"""Airflow with Cosmos: land, each model as a task of its own, then say whether all is whole.

Cosmos reads the models from the manifest that `dbt parse` leaves in the project's folder. Each task
starts dbt, which takes some seconds: one task (airflow_plain.py) is faster.
"""

import os
from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG
from cosmos import (
    DbtTaskGroup,
    ExecutionConfig,
    ProfileConfig,
    ProjectConfig,
    RenderConfig,
)
from cosmos.constants import LoadMode, TestBehavior

PROJECT = os.environ.get("VISITS_PROJECT", "/srv/visits")
SOURCE = os.environ.get("VISITS_SOURCE", "s3://bucket/dumps")
BIN = os.environ.get("VISITS_BIN", f"{PROJECT}/.venv/bin")

with DAG(
    "visits_by_model",
    schedule="0 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    # DuckDB lets one process write; with a server, as many as it bears
    max_active_tasks=1,
) as dag:
    ingest = BashOperator(
        task_id="ingest",
        bash_command=f"{BIN}/rep-ai ingest --quiet '{SOURCE}' || [ $? -eq 3 ]",
        cwd=PROJECT,
    )
    models = DbtTaskGroup(
        group_id="models",
        project_config=ProjectConfig(
            dbt_project_path=PROJECT,
            manifest_path=f"{PROJECT}/target/manifest.json",
        ),
        profile_config=ProfileConfig(
            profile_name=os.environ.get("VISITS_PROFILE", "rep_ai"),
            target_name=os.environ.get("VISITS_TARGET", "dev"),
            profiles_yml_filepath=f"{PROJECT}/profiles.yml",
        ),
        execution_config=ExecutionConfig(dbt_executable_path=f"{BIN}/dbt"),
        render_config=RenderConfig(
            load_method=LoadMode.DBT_MANIFEST,
            # all tests in one task at the end
            test_behavior=TestBehavior.AFTER_ALL,
        ),
        operator_args={"install_deps": False},
    )
    status = BashOperator(
        task_id="status",
        bash_command=f"{BIN}/rep-ai status --max-age 26h --within 30d",
        cwd=PROJECT,
        # whether or not all is built
        trigger_rule="all_done",
    )
    # the second one lets the DAG fail with the models, whatever `status` finds
    ingest >> models >> [status, EmptyOperator(task_id="are_built")]
