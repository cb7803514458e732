"""The jobs. Each declaration is the one place from which its deployment, its roles and its local run follow."""

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
DOR_FILES = {"FOLDER_PATH": DOR_FOLDER, "DECRYPT": catalog.setting("decrypt_dor_files", default=True), **DATABASE}
ERRORS_RECEIVED = agency_transfer / "cps-errors/received"
ERRORS_PROCESSED = agency_transfer / "cps-errors/processed"
QUERY_FOLDER = agency_transfer / "fineos/query"  # what the vendor is to extract each week
SQL_RESULTS = sql_exports / "results"
SQL_STATEMENTS = sql_exports / "statements"  # of the regular exports, one object each

db_migrate_up = catalog.task(
    "db-migrate-up",
    main="paidleave.db.migrate:up",
    description="Brings the database to the newest schema.",
    env=DATABASE_OWNER,
    secrets=DATABASE_OWNER_SECRETS,
    time_limit=timedelta(hours=2),
    # No lease: it would live in a table that only the first migration makes. Migrations lock each other out.
)

db_migrate_down = catalog.task(
    "db-migrate-down",
    main="paidleave.db.migrate:down",
    description="Takes the newest schema revision back.",
    env=DATABASE_OWNER,
    secrets=DATABASE_OWNER_SECRETS,
)

db_admin_create_db_users = catalog.task(
    "db-admin-create-db-users",
    main="paidleave.operations.create_db_users:main",
    description="Creates the database's users, or corrects them, with their rights.",
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
    description="Runs SQL that reads: results as a table here, or as a file in the bucket.",
    env={"EXPORT_FOLDER": SQL_RESULTS, **DATABASE_READERS},
    secrets=DATABASE_READERS_SECRETS,
    grants=[
        sql_exports.read("statements/*"),
        sql_exports.write("results/*"),
        business_intelligence.write("api_db/accounts_created/*"),
        reports.write("sql/*"),
    ],
)

paidleave_check = catalog.task(
    "paidleave-check",
    main="paidleave.operations.check:main",
    description="Checks that the database is consistent; counts only.",
    env=DATABASE_READ_ONLY,
    secrets=DATABASE_READ_ONLY_SECRETS,
    time_limit=timedelta(hours=3),
)

sftp_tool = catalog.task(
    "sftp-tool",
    main="paidleave.operations.sftp_tool:main",
    description="Lists, gets, puts and renames files on an SFTP server.",
    env={
        "SFTP_URI": catalog.setting("sftp.uri", default=""),
        "SFTP_HOST_KEY": catalog.setting("sftp.host_key", default=""),
    },
    secrets={
        "SFTP_PRIVATE_KEY": Secret("sftp/private_key", optional=True),
        "SFTP_PRIVATE_KEY_PASSPHRASE": Secret("sftp/private_key_passphrase", optional=True),
    },
    grants=[agency_transfer.read_write("sftp/*")],
    time_limit=timedelta(hours=4),
)

dor_generate = catalog.task(
    "dor-generate",
    main="paidleave.dor.generate.command:main",
    description="Writes DOR files of invented employers and employees, for environments without DOR.",
    env={
        "FOLDER": DOR_FOLDER,
        "CSV_FOLDER": CSV_FOLDER,
        "ALLOWED": catalog.setting("dor_files_generated", default=False),  # production must not say otherwise
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
    description="Loads employers, employees and wages from DOR's encrypted files into the database.",
    env=DOR_FILES,
    secrets={**GPG_SECRETS, **DATABASE_SECRETS},
    grants=[agency_transfer.read_write("dor/*")],
    size=Size(cpu=2048, memory=4096),
    time_limit=timedelta(hours=4),
    overlap="skip",
    scratch=1,  # GPG's keyring; the files themselves are streamed
)

# Files that start a job by their arrival wait for their turn: a start that is skipped would leave its file behind.
dor_import_exempt = catalog.task(
    "dor-import-exempt",
    main="paidleave.dor.exempt:main",
    description="Adds employers with a private plan, their employees and wages from DOR's encrypted files.",
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
    description="Tells DOR which employers return to the state plan, from the agency's CSV.",
    env={"INPUT_FOLDER_PATH": agency_transfer / "dfml", "OUTPUT_FOLDER_PATH": agency_transfer / "dor", **DATABASE},
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
    description="Takes in DOR's answers about employers that return to the state plan, with the agency's CSV.",
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
    description="Sends new and changed employers with their leave plans to FINEOS.",
    env={**FINEOS_CLIENT, **DATABASE},
    secrets={**FINEOS_CLIENT_SECRETS, **DATABASE_SECRETS},
    time_limit=timedelta(hours=4),
)

fineos_eligibility_feed_export = catalog.task(
    "fineos-eligibility-feed-export",
    main="paidleave.fineos.eligibility_feed.command:main",
    description="Writes a file for each employer with its employees' data for FINEOS.",
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
    description="Takes over what FINEOS knows of employees: contact data, occupations, organisation units.",
    env={"FINEOS_FOLDER_PATH": FINEOS_EXPORTS, **FINEOS_BUCKETS, **DATABASE},
    secrets=DATABASE_SECRETS,
    grants=[fineos_role.assume()],
    size=Size(cpu=1024, memory=4096),
    time_limit=timedelta(hours=4),
    overlap="skip",
)

fineos_import_la_units = catalog.task(
    "fineos-import-la-units",
    main="paidleave.fineos.organization_units.command:main",
    description="Takes over the organisation units that FINEOS has of each employer.",
    env={**FINEOS_CLIENT, **DATABASE},
    secrets={**FINEOS_CLIENT_SECRETS, **DATABASE_SECRETS},
    time_limit=timedelta(hours=4),
    overlap="skip",
)

import_fineos_to_warehouse = catalog.task(
    "import-fineos-to-warehouse",
    main="paidleave.exchange.warehouse:main",
    description="Takes FINEOS's raw extracts into the warehouse, as partitioned Parquet.",
    env={"EXTRACTS_PATH": FINEOS_EXPORTS, "WAREHOUSE_PATH": business_intelligence / "warehouse", **FINEOS_EXCHANGE},
    grants=[fineos_role.assume(), business_intelligence.read_write("warehouse/*")],
    time_limit=timedelta(hours=4),
    overlap="skip",
)

cps_errors_crawler = catalog.task(
    "cps-errors-crawler",
    main="paidleave.exchange.cps_errors:main",
    description="Reports the errors in FINEOS's error files by kind, and moves the files on.",
    env={
        "CPS_ERROR_FILES_RECEIVED_PATH": ERRORS_RECEIVED,
        "CPS_ERROR_FILES_PROCESSED_PATH": ERRORS_PROCESSED,
    },
    grants=[agency_transfer.read_write("cps-errors/*")],
    overlap="skip",
)

fineos_bucket_tool = catalog.task(
    "fineos-bucket-tool",
    main="paidleave.exchange.bucket_tool:main",
    description="Copies, moves and lists objects between our buckets and FINEOS's.",
    env=FINEOS_EXCHANGE,
    grants=[
        fineos_role.assume(),
        agency_transfer.read_write("cps-errors/*"),
        agency_transfer.read("fineos/query/*"),
        business_intelligence.read_write("fineos/*"),
    ],
    time_limit=timedelta(hours=4),
    # No lease: its schedules have different folders, and two copies of one object do no harm.
)
