"""The schedules. Each has a time zone, so that no schedule needs a change when daylight saving time starts or ends."""

from __future__ import annotations

from paidleave.catalog.application import (
    FINEOS_AD_HOC,
    FINEOS_EXPORTS,
    FINEOS_REPORTS,
    business_intelligence,
    catalog,
    reports,
)
from paidleave.catalog.tasks import (
    SNAPSHOT_QUERY,
    SQL_STATEMENTS,
    execute_sql,
    fineos_bucket_tool,
    fineos_import_employee_updates,
    fineos_import_la_units,
    import_fineos_to_warehouse,
    paidleave_check,
)
from paidleave.catalog.workflows import cps_errors, dor_fineos_etl, generated_dor_fineos_etl

ZONE = "America/New_York"

catalog.schedule(
    "dor-fineos-etl",
    dor_fineos_etl,
    catalog.setting("etl_schedule", default="cron(30 20 * * ? *)"),
    timezone=ZONE,
    enabled=catalog.setting("etl_enabled", default=True),
)

# Replaces dor-fineos-etl where DOR sends no files. The workflow itself generates the files first, so that they need no
# schedule of their own.
catalog.schedule(
    "generated-dor-fineos-etl",
    generated_dor_fineos_etl,
    catalog.setting("etl_schedule", default="cron(30 20 * * ? *)"),
    timezone=ZONE,
    enabled=catalog.setting("generated_files.etl_enabled", default=False),
)

catalog.schedule(
    "fineos-import-employee-updates",
    fineos_import_employee_updates,
    catalog.setting("employee_updates_schedule", default="cron(30 8 * * ? *)"),  # twelve hours after the ETL
    timezone=ZONE,
    enabled=catalog.setting("employee_updates_enabled", default=False),
)

catalog.schedule(
    "fineos-data-export-tool",
    fineos_bucket_tool,
    "cron(0 4 * * ? *)",
    timezone=ZONE,
    env={
        "FROM_PATH": FINEOS_EXPORTS,
        "TO_PATH": business_intelligence / "fineos/dataexports",
        "RECURSIVE": True,
        "DATED_FOLDERS": True,
    },
)

catalog.schedule(
    "fineos-report-extracts-tool",
    fineos_bucket_tool,
    "cron(30 12,16 * * ? *)",
    timezone=ZONE,
    env={
        "FROM_PATH": FINEOS_REPORTS,
        "TO_PATH": business_intelligence / "fineos/dataexports",
        "RECURSIVE": True,
        "DATED_FOLDERS": True,
    },
)

catalog.schedule(
    "fineos-snapshot-extracts-tool",
    fineos_bucket_tool,
    "cron(0 3 ? * WED *)",  # FINEOS then creates the snapshot before the morning
    timezone=ZONE,
    env={
        "FROM_PATH": SNAPSHOT_QUERY,
        "TO_PATH": FINEOS_AD_HOC / "config/config.json",
        "EXPECTED_OBJECTS": 1,
    },
    enabled=catalog.setting("fineos.snapshot_enabled", default=True),
)

# The statements of these two exports read tables that the API's own migrations create (users, leave administrators,
# applications). They are therefore objects in the bucket, maintained by the owners of the tables, and each environment
# that has them enables its exports.
catalog.schedule(
    "export-leave-admins-created",
    execute_sql,
    "cron(0 7 * * ? *)",
    timezone=ZONE,
    env={
        "SQL_FILE": SQL_STATEMENTS / "leave-admins-created.sql",
        "DESTINATION": "bucket",
        "EXPORT_FOLDER": business_intelligence / "api_db/accounts_created",
        "EXPORT_NAME": "query",
        "FIXED_NAMES": True,
        "ALLOW_PERSONAL_DATA": True,
    },
    enabled=catalog.setting("exports.leave_admins_enabled", default=False),
)

catalog.schedule(
    "export-psd-report",
    execute_sql,
    "cron(0 8 * * ? *)",
    timezone=ZONE,
    env={
        "SQL_FILE": SQL_STATEMENTS / "psd-report.sql",
        "DESTINATION": "bucket",
        "EXPORT_FOLDER": reports / "dfml-reports",
        "EXPORT_NAME": "applications_passed_part_3-query",
        "DATED": False,
        "FIXED_NAMES": True,
        "ALLOW_PERSONAL_DATA": True,
    },
    enabled=catalog.setting("exports.psd_report_enabled", default=False),
)
catalog.schedule("import-fineos-to-warehouse", import_fineos_to_warehouse, "cron(0 23 * * ? *)", timezone=ZONE)

catalog.schedule("fineos-error-extracts", cps_errors, "cron(0 9 * * ? *)", timezone=ZONE)

# On weekends the database has its maintenance in the evening, so the task starts in the morning. One expression cannot
# have different times for different days.
catalog.schedule("fineos-import-la-units", fineos_import_la_units, "cron(0 22 ? * SUN-THU *)", timezone=ZONE)
catalog.schedule("weekend-fineos-import-la-units", fineos_import_la_units, "cron(0 5 ? * SAT,SUN *)", timezone=ZONE)

# The nightly ETL has ended by this time. Findings give exit code 1, which raises the task's alarm.
catalog.schedule("paidleave-check", paidleave_check, "cron(0 6 * * ? *)", timezone=ZONE)
