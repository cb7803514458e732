"""The tasks. Each declaration defines the task's deployment, its roles and its local run."""

from __future__ import annotations

from datetime import timedelta

from nightferry import Secret, Size
from paidleave.catalog.application import (
    DATABASE,
    DATABASE_OWNER,
    DATABASE_OWNER_SECRETS,
    DATABASE_READ_ONLY,
    DATABASE_READ_ONLY_SECRETS,
    DATABASE_READERS,
    DATABASE_READERS_SECRETS,
    DATABASE_SECRETS,
    FINEOS_BUCKETS,
    FINEOS_CLIENT,
    FINEOS_CLIENT_SECRETS,
    FINEOS_EXCHANGE,
    FINEOS_EXPORTS,
    FINEOS_INBOX,
    GPG_SECRETS,
    agency_transfer,
    business_intelligence,
    catalog,
    fineos_role,
    reports,
    sql_exports,
)

DOR_FOLDER = agency_transfer / "dor/received"
CSV_FOLDER = agency_transfer / "dfml/received"
PLAIN_FILES = {"QUIET_SECONDS": catalog.setting("quiet_seconds", default=60)}
DOR_FILES = {
    "FOLDER_PATH": DOR_FOLDER,
    "DECRYPT": catalog.setting("decrypt_dor_files", default=True),
    **PLAIN_FILES,
    **DATABASE,
}
DAILY_FILES = {
    "DAILY_FILE_HOURS": catalog.setting("daily_files.hours", default=26),
    "DAILY_FILE_DAYS": catalog.setting("daily_files.days", default="MON-SUN"),
}
ERRORS_RECEIVED = agency_transfer / "cps-errors/received"
ERRORS_PROCESSED = agency_transfer / "cps-errors/processed"
_QUERIES = "payments/static/fineos-query"
SNAPSHOT_QUERY = agency_transfer / f"{_QUERIES}/config-fineos-payments-snapshot.json"  # for the vendor's weekly extract
SQL_RESULTS = sql_exports / "results"
SQL_STATEMENTS = sql_exports / "statements"  # one object for each regular export

db_migrate_up = catalog.task(
    "db-migrate-up",
    main="paidleave.db.migrate:up",
    description="Migrate the database to the latest schema.",
    env=DATABASE_OWNER,
    secrets=DATABASE_OWNER_SECRETS,
    time_limit=timedelta(hours=2),
    # No lease, because the first migration creates the table of leases. Migrations use a lock in the database instead.
)

db_migrate_down = catalog.task(
    "db-migrate-down",
    main="paidleave.db.migrate:down",
    description="Revert the latest schema revision.",
    env=DATABASE_OWNER,
    secrets=DATABASE_OWNER_SECRETS,
    by_hand="confirm",  # it can lose data that the newer version wrote
)

db_admin_create_db_users = catalog.task(
    "db-admin-create-db-users",
    main="paidleave.operations.create_db_users:main",
    description="Create or update the database users and their privileges.",
    env=DATABASE_OWNER,
    secrets={
        **DATABASE_OWNER_SECRETS,
        "DB_API_PASSWORD": Secret("db-password-api", optional=True),
        "DB_JOBS_PASSWORD": DATABASE_SECRETS["DB_PASSWORD"],
        "DB_READONLY_PASSWORD": DATABASE_READERS_SECRETS["DB_READONLY_PASSWORD"],
        "DB_IMPERSONAL_PASSWORD": DATABASE_READERS_SECRETS["DB_PASSWORD"],
        "DB_SCANNER_PASSWORD": Secret("db-password-scanner", optional=True),
    },
)

execute_sql = catalog.task(
    "execute-sql",
    main="paidleave.operations.execute_sql:main",
    description="Run read-only SQL and show the results in the log or write them to the bucket.",
    env={"EXPORT_FOLDER": SQL_RESULTS, **DATABASE_READERS},
    overridable=["EXPORT_FOLDER"],  # the schedules of exports set it; the task's role limits it
    secrets=DATABASE_READERS_SECRETS,
    grants=[
        sql_exports.read("statements/*"),
        sql_exports.write("results/*"),
        business_intelligence.write("api_db/accounts_created/*"),
        reports.write("dfml-reports/*"),
    ],
    by_hand="confirm",  # a result can contain personal data
)

paidleave_check = catalog.task(
    "paidleave-check",
    main="paidleave.operations.check:main",
    description="Check that the database is consistent and that the files from DOR came.",
    env={"DOR_FOLDER_PATH": DOR_FOLDER, "CSV_FOLDER_PATH": CSV_FOLDER, **DAILY_FILES, **DATABASE_READ_ONLY},
    secrets=DATABASE_READ_ONLY_SECRETS,
    grants=[agency_transfer.list("dor/received/*"), agency_transfer.list("dfml/received/*")],
    time_limit=timedelta(hours=3),
)

sftp_tool = catalog.task(
    "sftp-tool",
    main="paidleave.operations.sftp_tool:main",
    description="List, get, put and rename files on an SFTP server.",
    env={
        "SFTP_URI": catalog.setting("sftp.uri", default=""),
        "SFTP_HOST_KEY": catalog.setting("sftp.host_key", default=""),
    },
    secrets={
        "SFTP_PRIVATE_KEY": Secret("sftp/private_key", optional=True),
        "SFTP_PRIVATE_KEY_PASSPHRASE": Secret("sftp/private_key_passphrase", optional=True),
    },
    grants=[agency_transfer.read("sftp/*"), agency_transfer.write("sftp/*")],  # it deletes nothing
    time_limit=timedelta(hours=4),
    by_hand="confirm",  # it gives files to, and renames those of, another organization
)

dor_generate = catalog.task(
    "dor-generate",
    main="paidleave.dor.generate.command:main",
    description="Generate DOR files with fictitious employers and employees, for environments without DOR.",
    env={
        "FOLDER": DOR_FOLDER,
        "CSV_FOLDER": CSV_FOLDER,
        "ALLOWED": catalog.setting("dor_files_generated", default=False),  # never enable it in production
    },
    grants=[
        agency_transfer.write("dor/received/DORD*"),
        agency_transfer.write("dfml/received/CompaniesReturningToStatePlan*"),
    ],
    scratch=1,  # GPG's keyring
)

dor_import = catalog.task(
    "dor-import",
    main="paidleave.dor.importer:main",
    description="Import employers, employees and wages from DOR's encrypted files.",
    env={**DAILY_FILES, **DOR_FILES},
    secrets={**GPG_SECRETS, **DATABASE_SECRETS},
    grants=[agency_transfer.read_write("dor/*")],
    size=Size(cpu=2048, memory=4096),
    time_limit=timedelta(hours=4),
    overlap="skip",
    scratch=1,  # GPG's keyring; the files themselves are streamed
)

# Tasks with an object trigger queue their starts, because a skipped start would leave its file unprocessed.
dor_import_exempt = catalog.task(
    "dor-import-exempt",
    main="paidleave.dor.exempt:main",
    description="Import employers with a private plan, their employees and wages from DOR's encrypted files.",
    env=DOR_FILES,
    secrets={**GPG_SECRETS, **DATABASE_SECRETS},
    grants=[agency_transfer.read_write(f"dor/{folder}/*") for folder in ("received", "processed", "rejected")],
    time_limit=timedelta(hours=2),
    overlap="queue",
    scratch=1,
)

dor_create_pending_filing_submission = catalog.task(
    "dor-create-pending-filing-submission",
    main="paidleave.dor.submission:main",
    description="Submit to DOR the employers that return to the state plan, from the agency's CSV.",
    env={
        "INPUT_FOLDER_PATH": agency_transfer / "dfml",
        "OUTPUT_FOLDER_PATH": agency_transfer / "dor",
        **PLAIN_FILES,
        **DATABASE,
    },
    secrets=DATABASE_SECRETS,
    grants=[
        agency_transfer.read("dfml/received/*"),
        agency_transfer.read_write("dfml/rejected/*"),
        agency_transfer.read_write("dor/send/*"),
    ],
    overlap="queue",
)

dor_pending_filing_response_import = catalog.task(
    "dor-pending-filing-response-import",
    main="paidleave.dor.pending_filing:main",
    description="Import DOR's responses about employers returning to the state plan, with the agency's CSV.",
    env={"CSV_FOLDER_PATH": CSV_FOLDER, **DOR_FILES},
    secrets={**GPG_SECRETS, **DATABASE_SECRETS},
    grants=[
        *(agency_transfer.read_write(f"dor/{folder}/*") for folder in ("received", "processed", "rejected")),
        *(agency_transfer.read_write(f"dfml/{folder}/*") for folder in ("received", "processed")),
    ],
    time_limit=timedelta(hours=2),
    overlap="queue",
    scratch=1,
)

load_employers_to_fineos = catalog.task(
    "load-employers-to-fineos",
    main="paidleave.fineos.employers.command:main",
    description="Load new and changed employers and their leave plans into FINEOS.",
    env={**FINEOS_CLIENT, **DATABASE},
    secrets={**FINEOS_CLIENT_SECRETS, **DATABASE_SECRETS},
    time_limit=timedelta(hours=4),
)

fineos_eligibility_feed_export = catalog.task(
    "fineos-eligibility-feed-export",
    main="paidleave.fineos.eligibility_feed.command:main",
    description="Export employees' eligibility data to FINEOS, one file per employer.",
    env={"OUTPUT_DIRECTORY_PATH": FINEOS_INBOX, **FINEOS_BUCKETS, **FINEOS_CLIENT, **DATABASE},
    secrets={**FINEOS_CLIENT_SECRETS, **DATABASE_SECRETS},
    grants=[fineos_role.assume()],
    size=Size(cpu=1024, memory=4096),
    time_limit=timedelta(hours=4),
    overlap="skip",
)

fineos_import_employee_updates = catalog.task(
    "fineos-import-employee-updates",
    main="paidleave.fineos.employee_updates.command:main",
    description="Import employees' contact data, occupations and organization units from FINEOS.",
    env={"FINEOS_FOLDER_PATH": FINEOS_EXPORTS, **PLAIN_FILES, **FINEOS_BUCKETS, **DATABASE},
    secrets=DATABASE_SECRETS,
    grants=[fineos_role.assume()],
    size=Size(cpu=1024, memory=4096),
    time_limit=timedelta(hours=4),
    overlap="skip",
)

fineos_import_la_units = catalog.task(
    "fineos-import-la-units",
    main="paidleave.fineos.organization_units.command:main",
    description="Import organization units from FINEOS and link leave administrators to them.",
    env={"FINEOS_FOLDER_PATH": FINEOS_EXPORTS, **PLAIN_FILES, **FINEOS_BUCKETS, **FINEOS_CLIENT, **DATABASE},
    secrets={**FINEOS_CLIENT_SECRETS, **DATABASE_SECRETS},
    grants=[fineos_role.assume()],
    time_limit=timedelta(hours=4),
    overlap="skip",
)

import_fineos_to_warehouse = catalog.task(
    "import-fineos-to-warehouse",
    main="paidleave.exchange.warehouse:main",
    description="Import FINEOS's raw extracts into the warehouse as partitioned Parquet.",
    env={
        "EXTRACTS_PATH": FINEOS_EXPORTS,
        "WAREHOUSE_PATH": business_intelligence / "warehouse/raw/fineos",
        **PLAIN_FILES,
        **FINEOS_EXCHANGE,
    },
    grants=[fineos_role.assume(), business_intelligence.read_write("warehouse/*")],
    time_limit=timedelta(hours=4),
    overlap="skip",
)

cps_errors_crawler = catalog.task(
    "cps-errors-crawler",
    main="paidleave.exchange.cps_errors:main",
    description="Report the errors in FINEOS's error files by kind, and move the files to the processed folder.",
    env={
        "CPS_ERROR_FILES_RECEIVED_PATH": ERRORS_RECEIVED,
        "CPS_ERROR_FILES_PROCESSED_PATH": ERRORS_PROCESSED,
        **PLAIN_FILES,
    },
    grants=[agency_transfer.read_write("cps-errors/*")],
    overlap="skip",
)

fineos_bucket_tool = catalog.task(
    "fineos-bucket-tool",
    main="paidleave.exchange.bucket_tool:main",
    description="Copy, move and list objects in our buckets and FINEOS's.",
    env=FINEOS_EXCHANGE,
    grants=[
        fineos_role.assume(),
        agency_transfer.read_write("cps-errors/*"),
        agency_transfer.read(f"{_QUERIES}/*"),
        business_intelligence.read_write("fineos/*"),
    ],
    time_limit=timedelta(hours=4),
    by_hand="confirm",  # it moves and deletes objects
    # No lease, because its schedules use different folders and copying an object twice is harmless.
)
