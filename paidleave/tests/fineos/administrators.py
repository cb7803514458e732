"""Leave administrators: the API's tables, and FINEOS's list of them."""

from __future__ import annotations

import csv
from pathlib import Path

# Tables of the API's own migrations, as its public source declares them (only the columns that matter here).
TABLES = """
CREATE TABLE "user" (user_id uuid PRIMARY KEY, email_address text);
CREATE TABLE link_user_leave_administrator (
    user_leave_administrator_id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES "user",
    employer_id uuid NOT NULL REFERENCES employer,
    UNIQUE (user_id, employer_id)
);
CREATE TABLE link_user_leave_administrator_org_unit (
    user_leave_administrator_id uuid REFERENCES link_user_leave_administrator,
    organization_unit_id uuid REFERENCES organization_unit,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_leave_administrator_id, organization_unit_id)
)
"""
COLUMNS = ("USERENABLED", "FEIN", "EMAIL", "ORGUNIT_NAME", "OTHER")


def write_list(folder: Path, *rows: tuple[str, ...], day: int = 1, header: tuple[str, ...] = COLUMNS) -> None:
    """Write a list whose rows have the values of the columns except the last one."""
    with (folder / f"2026-01-{day:02}-20-00-00-VBI_ORGUNIT_DETAILS_SOM.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([header, *((*row, "x") for row in rows)])
