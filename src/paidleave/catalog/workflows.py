"""The nightly chain from DOR to FINEOS."""

from __future__ import annotations

from datetime import timedelta

from longshore.states.builder import ForEach, Notify, Retry, RunTask, Sequence
from paidleave.catalog.application import catalog, task_failures
from paidleave.catalog.tasks import (
    dor_import,
    fineos_eligibility_feed_export,
    fineos_import_employee_updates,
    load_employers_to_fineos,
)

LOADERS = 3

dor_fineos_etl = catalog.workflow(
    "dor-fineos-etl",
    Sequence(
        RunTask(fineos_import_employee_updates),
        RunTask(dor_import),
        ForEach(
            [["load-employers-to-fineos", f"--process-id={n}"] for n in range(1, LOADERS + 1)],
            RunTask(
                load_employers_to_fineos,
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
    ),
    description="Loads what DOR sent into the Paid Leave database and brings FINEOS up to date.",
    retry=Retry(attempts=2, interval=1, backoff=2.0),
    timeout=timedelta(hours=8),
    on_failure=Notify(task_failures, subject="The DOR to FINEOS ETL failed"),
    overlap="skip",
)
