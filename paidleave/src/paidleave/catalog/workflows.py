"""The nightly ETL from DOR to FINEOS, its variant with generated files, and the report of FINEOS's error files."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Body, ForEach, Item, Notify, Retry, RunTask, Steps
from paidleave.catalog.application import FINEOS_ERRORS, catalog, task_failures
from paidleave.catalog.tasks import (
    ERRORS_PROCESSED,
    ERRORS_RECEIVED,
    cps_errors_crawler,
    dor_generate,
    dor_import,
    fineos_bucket_tool,
    fineos_eligibility_feed_export,
    fineos_import_employee_updates,
    load_employers_to_fineos,
)

LOADERS = 3

ETL: tuple[Body, ...] = (
    RunTask(fineos_import_employee_updates),
    RunTask(dor_import),
    ForEach(
        range(1, LOADERS + 1),
        RunTask(
            load_employers_to_fineos,
            args=["--process-id", Item()],
            env={
                "EMPLOYER_LOAD_MODE": "updates",
                "EMPLOYER_UPDATE_LIMIT": catalog.setting("employer_update_limit", default=""),
            },
        ),
    ),
    RunTask(
        fineos_eligibility_feed_export,
        env={
            "ELIGIBILITY_FEED_MODE": "updates",
            "ELIGIBILITY_FEED_EXPORT_EMPLOYEE_LIMIT": catalog.setting("eligibility_employee_limit", default=""),
            "ELIGIBILITY_FEED_EXPORT_FILE_NUMBER_LIMIT": catalog.setting("eligibility_file_limit", default=""),
        },
    ),
)

dor_fineos_etl = catalog.workflow(
    "dor-fineos-etl",
    Steps(*ETL),
    description="Import DOR's files into the Paid Leave database and update FINEOS.",
    retry=Retry(attempts=2, interval=1, backoff=2.0),
    timeout=timedelta(hours=8),
    on_failure=Notify(task_failures, subject="The DOR to FINEOS ETL failed"),
    overlap="skip",
)

cps_errors = catalog.workflow(
    "cps-errors",
    Steps(
        RunTask(
            fineos_bucket_tool,
            env={
                "FROM_PATH": FINEOS_ERRORS,
                "TO_PATH": ERRORS_RECEIVED,
                "ARCHIVE_PATH": ERRORS_PROCESSED,
                "RECURSIVE": True,
                "DATED_FOLDERS": True,
            },
        ),
        RunTask(cps_errors_crawler),
    ),
    description="Copy FINEOS's error files and report their errors.",
    retry=Retry(attempts=2, interval=60, backoff=2.0),
    timeout=timedelta(hours=3),
    on_failure=Notify(task_failures, subject="The copy or report of FINEOS's error files failed"),
    overlap="skip",
    severity="low",
)

generated_dor_fineos_etl = catalog.workflow(
    "generated-dor-fineos-etl",
    Steps(
        RunTask(
            dor_generate,
            env={
                "COUNT": catalog.setting("generated_files.count", default=1000),
                "FIRST_DAY": catalog.setting("generated_files.first_day", default=""),
            },
        ),
        *ETL,
    ),
    description="Generate DOR's files for the day, then run the steps of dor-fineos-etl on them.",
    retry=Retry(attempts=2, interval=1, backoff=2.0),
    timeout=timedelta(hours=8),
    on_failure=Notify(task_failures, subject="The ETL with generated DOR files failed"),
    overlap="skip",
    severity="low",
)
