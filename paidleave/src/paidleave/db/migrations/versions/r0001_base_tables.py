"""Create the API's tables that the jobs use, if they do not exist.

An existing table remains unchanged, including its data and indexes. The tables created here carry a comment, so that a
downgrade drops only these. A downgrade fails if one of them contains data.
"""

from __future__ import annotations

from alembic import op
from alembic.util import CommandError
from sqlalchemy import text

from paidleave.db.migrations.queries import has_table, log, select_number

revision = "0001"
down_revision = None

COMMENT = "Created by Longshore, which found no such table of the API"
TIMES = "created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now()"
AMOUNTS = """
    employee_ytd_wages numeric NOT NULL,
    employee_qtr_wages numeric NOT NULL,
    employee_med_contribution numeric NOT NULL,
    employer_med_contribution numeric NOT NULL,
    employee_fam_contribution numeric NOT NULL,
    employer_fam_contribution numeric NOT NULL
"""

LOOKUPS = (
    "address_type", "education_level", "gender", "marital_status", "occupation", "race", "title",
    "geo_state", "country", "payment_method", "industry_code",
)  # fmt: skip

# Columns by table name. A table follows the tables that it references.
TABLES = {
    "import_log": f"""
        import_log_id serial PRIMARY KEY,
        source text,
        import_type text,
        status text,
        report text,
        start timestamptz,
        "end" timestamptz,
        {TIMES}
    """,
    "import_log_report_queue": f"""
        import_log_report_queue_id uuid PRIMARY KEY,
        import_log_id integer NOT NULL REFERENCES import_log ON DELETE CASCADE,
        {TIMES}
    """,
    "employer": f"""
        employer_id uuid PRIMARY KEY,
        account_key text,
        employer_fein text NOT NULL,
        employer_name text,
        employer_dba text,
        family_exemption boolean,
        medical_exemption boolean,
        exemption_commence_date date,
        exemption_cease_date date,
        dor_updated_date timestamptz,
        latest_import_log_id integer REFERENCES import_log,
        fineos_employer_id integer,
        industry_code_id integer REFERENCES lk_industry_code,
        {TIMES}
    """,
    "address": f"""
        address_id uuid PRIMARY KEY,
        address_type_id integer REFERENCES lk_address_type,
        address_line_one text,
        address_line_two text,
        city text,
        zip_code text,
        geo_state_id integer REFERENCES lk_geo_state,
        geo_state_text text,
        country_id integer REFERENCES lk_country,
        {TIMES}
    """,
    "link_employer_address": f"""
        employer_id uuid NOT NULL UNIQUE REFERENCES employer,
        address_id uuid NOT NULL UNIQUE REFERENCES address,
        {TIMES},
        PRIMARY KEY (employer_id, address_id)
    """,
    "tax_identifier": f"""
        tax_identifier_id uuid PRIMARY KEY,
        tax_identifier text NOT NULL UNIQUE,
        {TIMES}
    """,
    "employee": f"""
        employee_id uuid PRIMARY KEY,
        tax_identifier_id uuid REFERENCES tax_identifier,
        title_id integer REFERENCES lk_title,
        race_id integer REFERENCES lk_race,
        marital_status_id integer REFERENCES lk_marital_status,
        gender_id integer REFERENCES lk_gender,
        occupation_id integer REFERENCES lk_occupation,
        education_level_id integer REFERENCES lk_education_level,
        payment_method_id integer REFERENCES lk_payment_method,
        first_name text NOT NULL,
        last_name text NOT NULL,
        middle_name text,
        other_name text,
        email_address text,
        phone_number text,
        cell_phone_number text,
        preferred_comm_method_type text,
        date_of_birth date,
        date_of_death date,
        fineos_customer_number text,
        latest_import_log_id integer REFERENCES import_log,
        ctr_vendor_customer_code text,
        ctr_address_pair_id uuid,
        mass_id_number text,
        out_of_state_id_number text,
        fineos_employee_first_name text,
        fineos_employee_middle_name text,
        fineos_employee_last_name text,
        {TIMES}
    """,
    "wages_and_contributions": f"""
        wage_and_contribution_id uuid CONSTRAINT wage_and_contribution_pkey PRIMARY KEY,
        account_key text NOT NULL,
        filing_period date NOT NULL,
        employee_id uuid NOT NULL REFERENCES employee,
        employer_id uuid NOT NULL REFERENCES employer,
        is_independent_contractor boolean NOT NULL,
        is_opted_in boolean NOT NULL,
        {AMOUNTS},
        latest_import_log_id integer REFERENCES import_log,
        {TIMES}
    """,
    "wages_and_contributions_history": f"""
        wages_and_contributions_history_id uuid PRIMARY KEY,
        wage_and_contribution_id uuid NOT NULL REFERENCES wages_and_contributions,
        is_independent_contractor boolean NOT NULL,
        is_opted_in boolean NOT NULL,
        {AMOUNTS},
        import_log_id integer REFERENCES import_log,
        {TIMES}
    """,
    "employer_quarterly_contribution": f"""
        employer_id uuid NOT NULL REFERENCES employer,
        filing_period date NOT NULL,
        employer_total_pfml_contribution numeric NOT NULL,
        pfm_account_id text NOT NULL,
        dor_received_date timestamptz,
        dor_updated_date timestamptz,
        latest_import_log_id integer REFERENCES import_log,
        {TIMES},
        PRIMARY KEY (employer_id, filing_period)
    """,
    "employer_push_to_fineos_queue": f"""
        employer_push_to_fineos_queue_id uuid PRIMARY KEY,
        employer_id uuid,
        action text,
        modified_at timestamptz,
        process_id integer,
        family_exemption boolean,
        medical_exemption boolean,
        exemption_commence_date date,
        exemption_cease_date date,
        {TIMES}
    """,
    "employee_push_to_fineos_queue": f"""
        employee_push_to_fineos_queue_id uuid PRIMARY KEY,
        employee_id uuid,
        employer_id uuid,
        action text,
        modified_at timestamptz,
        process_id integer,
        {TIMES}
    """,
    "organization_unit": f"""
        organization_unit_id uuid PRIMARY KEY,
        fineos_id text UNIQUE,
        name text NOT NULL,
        employer_id uuid NOT NULL REFERENCES employer,
        {TIMES},
        UNIQUE (name, employer_id)
    """,
    "employee_occupation": f"""
        employee_occupation_id uuid PRIMARY KEY,
        employee_id uuid NOT NULL REFERENCES employee,
        employer_id uuid NOT NULL REFERENCES employer,
        organization_unit_id uuid REFERENCES organization_unit,
        job_title text,
        employment_status text,
        manager_id text,
        worksite_id text,
        occupation_qualifier text,
        date_of_hire date,
        date_job_ended date,
        hours_worked_per_week numeric,
        days_worked_per_week numeric,
        {TIMES}
    """,
}

INDEXES = {
    "import_log": ("source", "import_type", "start"),
    "import_log_report_queue": ("import_log_id",),
    "employer": ("account_key", "employer_fein", "latest_import_log_id"),
    "employee": (
        "phone_number", "cell_phone_number", "fineos_customer_number", "latest_import_log_id", "ctr_address_pair_id",
    ),
    "wages_and_contributions": ("filing_period", "employee_id", "employer_id", "latest_import_log_id"),
    "wages_and_contributions_history": ("wage_and_contribution_id", "import_log_id"),
    "employer_quarterly_contribution": ("employer_id", "pfm_account_id", "latest_import_log_id"),
    "employer_push_to_fineos_queue": ("employer_id", "action", "process_id"),
    "employee_push_to_fineos_queue": ("employee_id", "employer_id", "action", "process_id"),
    "organization_unit": ("employer_id",),
    "employee_occupation": ("employee_id", "employer_id", "organization_unit_id"),
}  # fmt: skip
UNIQUE_INDEXES = {
    "employer": (("fineos_employer_id",),),
    "employee": (("tax_identifier_id",),),
    "employee_occupation": (("employee_id", "employer_id"),),
}


def upgrade() -> None:
    found = 0
    for table, columns in list_tables().items():
        if has_table(table):
            found += 1
            continue
        op.execute(f"CREATE TABLE {table} ({columns})")
        op.execute(f"COMMENT ON TABLE {table} IS '{COMMENT}'")
        for column in INDEXES.get(table, ()):
            op.execute(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")
        for key in UNIQUE_INDEXES.get(table, ()):
            op.execute(f"CREATE UNIQUE INDEX ix_{table}_{'_'.join(key)} ON {table} ({', '.join(key)})")
    log.info("base tables: %d found and left unchanged, %d created", found, len(list_tables()) - found)


def downgrade() -> None:
    created = [table for table in list_tables() if _was_created_here(table)]
    for table in created:
        if not table.startswith("lk_") and select_number(f"SELECT count(*) FROM (SELECT FROM {table} LIMIT 1) AS row"):
            raise CommandError(
                f"cannot drop the table {table} because it contains data. Drop the database if its data is no longer "
                "needed."
            )
    for table in reversed(created):
        op.execute(f"DROP TABLE {table}")
    log.info("base tables: %d dropped, %d existing ones retained", len(created), len(list_tables()) - len(created))


def list_tables() -> dict[str, str]:
    """Return the columns of each table, lookup tables first."""
    lookups = {
        f"lk_{name}": f"{name}_id integer PRIMARY KEY, {name}_description text NOT NULL"
        + (", fineos_gender_description text" if name == "gender" else "")
        for name in LOOKUPS
    }
    return lookups | TABLES


def _was_created_here(table: str) -> bool:
    comment = op.get_bind().execute(text("SELECT obj_description(to_regclass(:table), 'pg_class')"), {"table": table})
    return bool(comment.scalar_one() == COMMENT)
