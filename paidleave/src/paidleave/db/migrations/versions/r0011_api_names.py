"""Give the tables that revision 0001 created the columns, key names and defaults of the API's database.

Revision 0001 guessed some names. The most important one is ``lk_address_type.address_description``, which the jobs
read. A table of the API has the right names already and remains unchanged.
"""

from __future__ import annotations

from alembic import op
from alembic.util import CommandError

from paidleave.db.migrations.queries import list_tables_with_comment, select_number

revision = "0011"
down_revision = "0010"

COMMENT = "Created by Nightferry, which found no such table of the API"

# The old and the new name of each constraint, by table.
CONSTRAINTS = {
    "address": {
        "address_address_type_id_fkey": "address_address_type_fkey",
        "address_country_id_fkey": "address_country_type_fkey",
        "address_geo_state_id_fkey": "address_state_type_fkey",
    },
    "employee": {
        "employee_education_level_id_fkey": "employee_education_level_type_fkey",
        "employee_gender_id_fkey": "employee_gender_type_fkey",
        "employee_marital_status_id_fkey": "employee_marital_status_type_fkey",
        "employee_occupation_id_fkey": "employee_occupation_type_fkey",
        "employee_race_id_fkey": "employee_race_type_fkey",
    },
    "employee_occupation": {
        "employee_occupation_organization_unit_id_fkey": "employee_occupation_organization_unit_fkey",
    },
    "organization_unit": {
        "organization_unit_name_employer_id_key": "uix_organization_unit_name_employer_id",
    },
    "wages_and_contributions": {
        "wage_and_contribution_pkey": "wage_and_contribution_id_pkey",
        "wages_and_contributions_employee_id_fkey": "wage_and_contribution_id_employee_id_fkey",
        "wages_and_contributions_employer_id_fkey": "wage_and_contribution_id_employer_id_fkey",
    },
}

# The sequence of each lookup table's key.
SEQUENCES = {
    "lk_address_type": "lk_address_type_address_type_seq",
    "lk_country": "lk_country_country_type_seq",
    "lk_education_level": "lk_education_level_education_level_type_seq",
    "lk_gender": "lk_gender_gender_type_seq",
    "lk_geo_state": "lk_geo_state_state_type_seq",
    "lk_industry_code": "lk_industry_code_industry_code_id_seq",
    "lk_marital_status": "lk_marital_status_marital_status_type_seq",
    "lk_occupation": "lk_occupation_occupation_type_seq",
    "lk_payment_method": "lk_payment_method_payment_method_id_seq",
    "lk_race": "lk_race_race_type_seq",
    "lk_title": "lk_title_title_id_seq",
}


def upgrade() -> None:
    created = list_tables_with_comment(COMMENT)
    if "lk_address_type" in created:
        op.execute("ALTER TABLE lk_address_type RENAME COLUMN address_type_description TO address_description")
    if "lk_industry_code" in created:
        _add_naics_code()
    for table in created:
        for old, new in CONSTRAINTS.get(table, {}).items():
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {old} TO {new}")
        if table in SEQUENCES:
            key = f"{table.removeprefix('lk_')}_id"
            op.execute(f"CREATE SEQUENCE {SEQUENCES[table]} AS integer OWNED BY {table}.{key}")
            op.execute(f"ALTER TABLE {table} ALTER {key} SET DEFAULT nextval('{SEQUENCES[table]}')")


def downgrade() -> None:
    created = list_tables_with_comment(COMMENT)
    for table in created:
        for old, new in CONSTRAINTS.get(table, {}).items():
            op.execute(f"ALTER TABLE {table} RENAME CONSTRAINT {new} TO {old}")
        if table in SEQUENCES:
            op.execute(f"ALTER TABLE {table} ALTER {table.removeprefix('lk_')}_id DROP DEFAULT")
            op.execute(f"DROP SEQUENCE {SEQUENCES[table]}")
    if "lk_industry_code" in created:
        op.execute("ALTER TABLE lk_industry_code DROP COLUMN industry_code_naics_code")
    if "lk_address_type" in created:
        op.execute("ALTER TABLE lk_address_type RENAME COLUMN address_description TO address_type_description")


def _add_naics_code() -> None:
    if rows := select_number("SELECT count(*) FROM lk_industry_code"):
        raise CommandError(
            f"cannot add the NAICS code to lk_industry_code: {rows} rows have none. "
            "Delete them, because no job reads or writes this table, and run db-migrate-up again."
        )
    op.execute("ALTER TABLE lk_industry_code ADD COLUMN industry_code_naics_code integer NOT NULL")
