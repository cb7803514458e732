"""The tables that the jobs use, as SQLAlchemy Core definitions after all migrations.

The first group belongs to the API: names, types, keys and indexes are those of its database, also where their names
follow no rule. The migrations of this package add the second group and the columns and indexes marked "added". Tests
compare these definitions with a migrated database, and that with the recorded schema of the API's database.

The application generates the keys of the API's tables, which are UUIDs; the keys of lookups and ``import_log`` are
integers. Amounts and hours are numeric without a
scale. Times are ``timestamptz``.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from paidleave.db.lookups import LOOKUPS

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "fk": "%(table_name)s_%(column_0_name)s_fkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

_NOW = text("now()")
_CREATED_COMMENT = "Created by Nightferry, which found no such table of the API"


def _timestamp_column(name: str, *, nullable: bool = False, default: bool = True) -> Column[Any]:
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=_NOW if default else None)


def _api_table(name: str, *parts: Any) -> Table:
    """Return a table of the API with the times of creation and last change, which only lookup tables lack."""
    return Table(
        name,
        metadata,
        *parts,
        _timestamp_column("created_at"),
        _timestamp_column("updated_at"),
        comment=_CREATED_COMMENT,
    )


def _reference(
    name: str, target: str, type_: Any = Uuid, *, nullable: bool = True, index: bool = True, key: str | None = None
) -> Column[Any]:
    """Return a column that references ``target``; ``key`` is the name of the foreign key if it follows no rule."""
    return Column(name, type_, ForeignKey(target, name=key), nullable=nullable, index=index)


def _lookup_reference(lookup: str, *, key: str | None = None) -> Column[Any]:
    """Return a column that references a lookup row; such columns have no index."""
    return _reference(f"{lookup}_id", f"lk_{lookup}.{lookup}_id", Integer, index=False, key=key)


def _import_log_reference(name: str = "latest_import_log_id") -> Column[Any]:
    return _reference(name, "import_log.import_log_id", Integer)


for _lookup in LOOKUPS:
    Table(
        _lookup.table,
        metadata,
        Column(_lookup.columns[0], Integer, primary_key=True),
        *(
            Column(column, Integer if column.endswith("_code") else Text, nullable=column.startswith("fineos_"))
            for column in _lookup.columns[1:]
        ),
        comment=_CREATED_COMMENT,
    )

import_log = _api_table(
    "import_log",
    Column("import_log_id", Integer, primary_key=True),
    Column("source", Text, index=True),
    Column("import_type", Text, index=True),
    Column("status", Text),
    Column("report", Text),
    Column("start", DateTime(timezone=True), index=True),
    Column("end", DateTime(timezone=True)),
)

import_log_report_queue = _api_table(
    "import_log_report_queue",
    Column("import_log_report_queue_id", Uuid, primary_key=True),
    Column(
        "import_log_id", Integer, ForeignKey("import_log.import_log_id", ondelete="CASCADE"), nullable=False, index=True
    ),
)

employer = _api_table(
    "employer",
    Column("employer_id", Uuid, primary_key=True),
    Column("account_key", Text, index=True),
    Column("employer_fein", Text, nullable=False, index=True),
    Column("employer_name", Text),
    Column("employer_dba", Text),
    Column("family_exemption", Boolean),
    Column("medical_exemption", Boolean),
    Column("exemption_commence_date", Date),
    Column("exemption_cease_date", Date),
    Column("dor_updated_date", DateTime(timezone=True)),
    _import_log_reference(),
    Column("fineos_employer_id", Integer, index=True, unique=True),
    _lookup_reference("industry_code"),
    Index("uq_employer_employer_fein", "employer_fein", unique=True),  # added
)

address = _api_table(
    "address",
    Column("address_id", Uuid, primary_key=True),
    _lookup_reference("address_type", key="address_address_type_fkey"),
    Column("address_line_one", Text),
    Column("address_line_two", Text),
    Column("city", Text),
    Column("zip_code", Text),
    _lookup_reference("geo_state", key="address_state_type_fkey"),
    Column("geo_state_text", Text),
    _lookup_reference("country", key="address_country_type_fkey"),
)

link_employer_address = _api_table(
    "link_employer_address",
    Column("employer_id", Uuid, ForeignKey("employer.employer_id"), primary_key=True, unique=True),
    Column("address_id", Uuid, ForeignKey("address.address_id"), primary_key=True, unique=True),
)

tax_identifier = _api_table(
    "tax_identifier",
    Column("tax_identifier_id", Uuid, primary_key=True),
    Column("tax_identifier", Text, nullable=False, unique=True),
)

employee = _api_table(
    "employee",
    Column("employee_id", Uuid, primary_key=True),
    Column("tax_identifier_id", Uuid, ForeignKey("tax_identifier.tax_identifier_id"), index=True, unique=True),
    _lookup_reference("title"),
    _lookup_reference("race", key="employee_race_type_fkey"),
    _lookup_reference("marital_status", key="employee_marital_status_type_fkey"),
    _lookup_reference("gender", key="employee_gender_type_fkey"),
    _lookup_reference("occupation", key="employee_occupation_type_fkey"),
    _lookup_reference("education_level", key="employee_education_level_type_fkey"),
    _lookup_reference("payment_method"),
    Column("first_name", Text, nullable=False),
    Column("last_name", Text, nullable=False),
    Column("middle_name", Text),
    Column("other_name", Text),
    Column("email_address", Text),
    Column("phone_number", Text, index=True),
    Column("cell_phone_number", Text, index=True),
    Column("preferred_comm_method_type", Text),
    Column("date_of_birth", Date),
    Column("date_of_death", Date),
    Column("fineos_customer_number", Text, index=True),
    _import_log_reference(),
    Column("ctr_vendor_customer_code", Text),
    # References the address pairs of the state accounting system, a table that the jobs do not use. It has a foreign
    # key only in a database whose tables were created by the API.
    Column("ctr_address_pair_id", Uuid, index=True),
    Column("mass_id_number", Text),
    Column("out_of_state_id_number", Text),
    Column("fineos_employee_first_name", Text),
    Column("fineos_employee_middle_name", Text),
    Column("fineos_employee_last_name", Text),
)

# Trigram indexes require the extension pg_trgm and are missing in a database where it cannot be created. Only the
# API's people search uses them.
TRIGRAM_COLUMNS = (
    "first_name",
    "last_name",
    "middle_name",
    "other_name",
    "email_address",
    "fineos_employee_first_name",
    "fineos_employee_middle_name",
    "fineos_employee_last_name",
)
TRIGRAM_INDEXES = tuple(
    Index(f"ix_employee_{column}", column, postgresql_using="gin", postgresql_ops={column: "gin_trgm_ops"})
    for column in TRIGRAM_COLUMNS
)

AMOUNTS = (
    "employee_ytd_wages",
    "employee_qtr_wages",
    "employee_med_contribution",
    "employer_med_contribution",
    "employee_fam_contribution",
    "employer_fam_contribution",
)

wages_and_contributions = _api_table(
    "wages_and_contributions",
    Column("wage_and_contribution_id", Uuid),
    Column("account_key", Text, nullable=False),
    Column("filing_period", Date, nullable=False, index=True),
    _reference("employee_id", "employee.employee_id", nullable=False, key="wage_and_contribution_id_employee_id_fkey"),
    _reference("employer_id", "employer.employer_id", nullable=False, key="wage_and_contribution_id_employer_id_fkey"),
    Column("is_independent_contractor", Boolean, nullable=False),
    Column("is_opted_in", Boolean, nullable=False),
    *(Column(amount, Numeric, nullable=False) for amount in AMOUNTS),
    _import_log_reference(),
    PrimaryKeyConstraint("wage_and_contribution_id", name="wage_and_contribution_id_pkey"),
    Index(
        "uq_wages_and_contributions_employee_employer_period",  # added
        "employee_id",
        "employer_id",
        "filing_period",
        unique=True,
    ),
)

wages_and_contributions_history = _api_table(
    "wages_and_contributions_history",
    Column("wages_and_contributions_history_id", Uuid, primary_key=True),
    _reference("wage_and_contribution_id", "wages_and_contributions.wage_and_contribution_id", nullable=False),
    Column("is_independent_contractor", Boolean, nullable=False),
    Column("is_opted_in", Boolean, nullable=False),
    *(Column(amount, Numeric, nullable=False) for amount in AMOUNTS),
    _import_log_reference("import_log_id"),
)

employer_quarterly_contribution = _api_table(
    "employer_quarterly_contribution",
    Column("employer_id", Uuid, ForeignKey("employer.employer_id"), primary_key=True, index=True),
    Column("filing_period", Date, primary_key=True),
    Column("employer_total_pfml_contribution", Numeric, nullable=False),
    Column("pfm_account_id", Text, nullable=False, index=True),
    Column("dor_received_date", DateTime(timezone=True)),
    Column("dor_updated_date", DateTime(timezone=True)),
    _import_log_reference(),
)


def _claim_columns() -> tuple[Column[Any], ...]:
    """Return the added columns of a queue: the number of attempts, the claim and the last error."""
    return (
        Column("attempts", Integer, nullable=False, server_default=text("0")),
        Column("claimed_by", Text),
        Column("lease_expires_at", DateTime(timezone=True)),
        Column("last_error", Text),
    )


employer_push_to_fineos_queue = _api_table(
    "employer_push_to_fineos_queue",
    Column("employer_push_to_fineos_queue_id", Uuid, primary_key=True),
    Column("employer_id", Uuid, index=True),
    Column("action", Text, index=True),
    Column("modified_at", DateTime(timezone=True)),
    Column("process_id", Integer, index=True),
    Column("family_exemption", Boolean),
    Column("medical_exemption", Boolean),
    Column("exemption_commence_date", Date),
    Column("exemption_cease_date", Date),
    *_claim_columns(),
)

employee_push_to_fineos_queue = _api_table(
    "employee_push_to_fineos_queue",
    Column("employee_push_to_fineos_queue_id", Uuid, primary_key=True),
    Column("employee_id", Uuid, index=True),
    Column("employer_id", Uuid, index=True),
    Column("action", Text, index=True),
    Column("modified_at", DateTime(timezone=True)),
    Column("process_id", Integer, index=True),
    *_claim_columns(),
)

organization_unit = _api_table(
    "organization_unit",
    Column("organization_unit_id", Uuid, primary_key=True),
    Column("fineos_id", Text, unique=True),
    Column("name", Text, nullable=False),
    _reference("employer_id", "employer.employer_id", nullable=False),
    UniqueConstraint("name", "employer_id", name="uix_organization_unit_name_employer_id"),
)

employee_occupation = _api_table(
    "employee_occupation",
    Column("employee_occupation_id", Uuid, primary_key=True),
    _reference("employee_id", "employee.employee_id", nullable=False),
    _reference("employer_id", "employer.employer_id", nullable=False),
    _reference(
        "organization_unit_id",
        "organization_unit.organization_unit_id",
        key="employee_occupation_organization_unit_fkey",
    ),
    Column("job_title", Text),
    Column("employment_status", Text),
    Column("manager_id", Text),
    Column("worksite_id", Text),
    Column("occupation_qualifier", Text),
    Column("date_of_hire", Date),
    Column("date_job_ended", Date),
    Column("hours_worked_per_week", Numeric),
    Column("days_worked_per_week", Numeric),
    Index("ix_employee_occupation_employee_id_employer_id", "employee_id", "employer_id", unique=True),
)

# ── Added tables ──────────────────────────────────────────────────────────────────────────────────────────────────

dor_imported_file = Table(
    "dor_imported_file",
    metadata,
    Column("digest", Text, nullable=False, comment="SHA-256 of the plain text, hexadecimal"),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("import_log_id", Integer, nullable=False, autoincrement=False),
    Column("line_count", BigInteger),
    _timestamp_column("imported_at"),
    Column(
        "file_time",
        DateTime(timezone=True),
        comment="The time in the name of the file; NULL if it has no valid one",
    ),
    Column("run_id", Text, comment="The run that imported the file"),
    Column("object_version", Text, comment="The received object, which is imported again only if it is a new one"),
    Column(
        "replayed_import_log_id",
        Integer,
        comment="The import whose rejected lines this import replayed; NULL for a file",
    ),
    PrimaryKeyConstraint("kind", "digest", "import_log_id"),
)

dor_rejected_line = Table(
    "dor_rejected_line",
    metadata,
    Column("dor_rejected_line_id", BigInteger, Identity(always=True), primary_key=True),
    Column("import_log_id", Integer, index=True),
    Column("file_name", Text, nullable=False, index=True),
    Column("line_number", BigInteger, nullable=False),
    Column("record_kind", Text),
    Column("field", Text),
    Column("reason", Text, nullable=False),
    _timestamp_column("created_at"),
    Column(
        "superseded_by",
        Integer,
        comment="The import that imported the line later, or that imported its file again; NULL if the line is missing",
    ),
)

fineos_rejected_row = Table(
    "fineos_rejected_row",
    metadata,
    Column("fineos_rejected_row_id", BigInteger, Identity(always=True), primary_key=True),
    Column("import_log_id", Integer, index=True),
    Column("file_name", Text, nullable=False, index=True),
    Column("line_number", BigInteger, nullable=False),
    Column("field", Text),
    Column("reason", Text, nullable=False),
    _timestamp_column("created_at"),
)

processed_object = Table(
    "processed_object",
    metadata,
    Column("source", Text),
    Column("uri", Text),
    Column("version", Text),
    _timestamp_column("processed_at"),
    PrimaryKeyConstraint("source", "uri", "version"),
)

nightferry_lease = Table(
    "nightferry_lease",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    _timestamp_column("acquired_at"),
    _timestamp_column("renewed_at"),
    _timestamp_column("expires_at", default=False),
)
