"""Airflow: land and build each night, then say whether the night is here and whole.

rep-ai has a virtual environment of its own, so that neither minds the packages of the other.
"""

import os
from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import DAG

PROJECT = os.environ.get("VISITS_PROJECT", "/srv/visits")
SOURCE = os.environ.get("VISITS_SOURCE", "s3://bucket/dumps")
BIN = os.environ.get("VISITS_BIN", f"{PROJECT}/.venv/bin")

with DAG(
    "visits",
    schedule="0 4 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    # a run lands all that is missing: nights are not made up for one by one
    max_active_runs=1,
) as dag:
    run = BashOperator(
        task_id="run",
        # 3: some files were rejected, and all else is built. A second try would end with 0, so
        # that it is `status` that tells of them.
        bash_command=f"{BIN}/rep-ai run --quiet '{SOURCE}' || [ $? -eq 3 ]",
        cwd=PROJECT,
        retries=2,
        retry_delay=timedelta(minutes=10),
    )
    status = BashOperator(
        task_id="status",
        bash_command=f"{BIN}/rep-ai status --max-age 26h --within 30d",
        cwd=PROJECT,
        retries=0,
        # whether or not the run has failed
        trigger_rule="all_done",
    )
    # the second one lets the DAG fail with `run`, whatever `status` finds
    run >> [status, EmptyOperator(task_id="has_run")]
