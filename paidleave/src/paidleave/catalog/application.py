"""The application, and the resources that its jobs share: buckets, the vendor's role, settings, local services."""

from __future__ import annotations

from nightferry import Bucket, Catalog, CommandService, Image, PostgresService, Privacy, Secret, Setting
from paidleave.db.users import IMPERSONAL, JOBS, READ_ONLY

catalog = Catalog(
    "paid-leave-api",
    image=Image(
        "paid-leave-api",
        programs={"gpg": "It decrypts DOR's files. Install it: apt-get install gnupg, or brew install gnupg."},
    ),
    env={"NEW_RELIC_ACCOUNT_ID": Setting("new_relic.account_id", default="")},
    secrets={
        "NEW_RELIC_LICENSE_KEY": Secret("common/newrelic-license-key", optional=True),
        "NR_INSERT_API_KEY": Secret("common/newrelic-insert-api-key", optional=True),
    },
    privacy=Privacy.STRICT,
    console_scripts=True,  # people and other systems call each job by its command, such as dor-import
    leases=Bucket("agency-transfer") / "nightferry/leases",  # for tasks without a database
)

agency_transfer = catalog.bucket("agency-transfer")
business_intelligence = catalog.bucket("business-intelligence")  # unmodified FINEOS extracts, and the warehouse
reports = catalog.bucket("reports")
sql_exports = catalog.bucket("sql-exports")  # statements of regular exports, and their results
fineos_import = catalog.bucket("fineos-import")  # the vendor's bucket for our files
fineos_export = catalog.bucket("fineos-export")  # the vendor's bucket for its own files, which we read

fineos_role = catalog.role(
    "fineos",
    arn=catalog.setting("fineos.role_arn", default=""),
    external_id=catalog.setting("fineos.role_external_id", default=""),
)

fineos_environment_code = catalog.setting("fineos.environment_code")
FINEOS_INBOX = fineos_import / str(fineos_environment_code)  # feed files go to its absence-eligibility{n}/upload
FINEOS_EXPORTS = fineos_export / f"{fineos_environment_code}/dataexports"
FINEOS_REPORTS = fineos_export / f"{fineos_environment_code}/reportExtract"
FINEOS_ERRORS = fineos_export / f"{fineos_environment_code}/errorExtracts"
FINEOS_AD_HOC = fineos_export / f"{fineos_environment_code}/dataExtracts/AdHocExtract"

task_failures = catalog.topic("task-failures")

_SERVER = {
    "DB_HOST": catalog.setting("database.host"),
    "DB_PORT": catalog.setting("database.port", default=5432),
    "DB_NAME": catalog.setting("database.name", default="pfml"),
    "DB_CA_FILE": catalog.setting("database.ca_file", default=""),
}
DATABASE = {**_SERVER, "DB_USERNAME": JOBS.name}
DATABASE_SECRETS = {"DB_PASSWORD": Secret("db-password-jobs", optional=True)}

# Two read-only users: one without access to personal data, and one with access to everything.
DATABASE_READERS = {**_SERVER, "DB_USERNAME": IMPERSONAL.name, "DB_READONLY_USERNAME": READ_ONLY.name}
DATABASE_READERS_SECRETS = {
    "DB_PASSWORD": Secret("db-password-impersonal", optional=True),
    "DB_READONLY_PASSWORD": Secret("db-password-readonly", optional=True),
}

DATABASE_READ_ONLY = {**_SERVER, "DB_USERNAME": READ_ONLY.name}
DATABASE_READ_ONLY_SECRETS = {"DB_PASSWORD": DATABASE_READERS_SECRETS["DB_READONLY_PASSWORD"]}

# The owner of the tables, only for migrations and user administration.
DATABASE_OWNER = {**_SERVER, "DB_USERNAME": catalog.setting("database.owner", default="pfml")}
DATABASE_OWNER_SECRETS = {"DB_PASSWORD": Secret("db-password", optional=True)}

FINEOS_CLIENT = {
    "FINEOS_CLIENT_WSCOMPOSER_API_URL": catalog.setting("fineos.wscomposer_api_url"),
    "FINEOS_CLIENT_WSCOMPOSER_USER_ID": catalog.setting("fineos.wscomposer_user_id", default="CONTENT"),
    "FINEOS_CLIENT_OAUTH2_URL": catalog.setting("fineos.oauth2_url"),
    "FINEOS_CLIENT_OAUTH2_CLIENT_ID": catalog.setting("fineos.oauth2_client_id"),
}
FINEOS_CLIENT_SECRETS = {"FINEOS_CLIENT_OAUTH2_CLIENT_SECRET": Secret("fineos-oauth2-client-secret")}

FINEOS_BUCKETS = {
    "FINEOS_AWS_IAM_ROLE_ARN": fineos_role.arn,
    "FINEOS_AWS_IAM_ROLE_EXTERNAL_ID": fineos_role.external_id,
}

FINEOS_EXCHANGE = {**FINEOS_BUCKETS, "FINEOS_LOCATIONS": f"{fineos_import / ''} {fineos_export / ''}"}

# Optional, because not every environment has encrypted files. A job that decrypts fails without the key.
GPG_SECRETS = {
    "GPG_DECRYPTION_KEY": Secret("dor-import/gpg_decryption_key", optional=True),
    "GPG_DECRYPTION_KEY_PASSPHRASE": Secret("dor-import/gpg_decryption_key_passphrase", optional=True),
    "GPG_SIGNER_KEY": Secret("dor-import/gpg_signer_key", optional=True),
}

catalog.service(PostgresService("database", database="pfml"))
catalog.service(
    CommandService(
        "fineos-simulator",
        command=("fineos-simulator",),
        ready="/health",
        env={
            "FINEOS_SIMULATOR_PORT": "${service:fineos-simulator.port}",
            "FINEOS_SIMULATOR_STATE": "${state}/fineos.sqlite",
            "FINEOS_SIMULATOR_IMPORT_FOLDER": f"${{state}}/buckets/fineos-import/{fineos_environment_code}",
            "FINEOS_SIMULATOR_EXPORT_FOLDER": f"${{state}}/buckets/fineos-export/{fineos_environment_code}/dataexports",
            "FINEOS_SIMULATOR_CLIENT_ID": str(FINEOS_CLIENT["FINEOS_CLIENT_OAUTH2_CLIENT_ID"]),
        },
        secrets={"FINEOS_SIMULATOR_CLIENT_SECRET": FINEOS_CLIENT_SECRETS["FINEOS_CLIENT_OAUTH2_CLIENT_SECRET"]},
    )
)
