"""Upsert wages with psycopg's ``executemany``, in batches of 5,000 lines with a commit each."""

from __future__ import annotations

from uuid import UUID, uuid4

import psycopg

from benchmarks.peer_programs.b_lines import read_arguments, read_batches

BATCH = 5_000
_WAGE = """
    INSERT INTO wages_and_contributions (
        wage_and_contribution_id, account_key, filing_period, employee_id, employer_id,
        is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages,
        employee_med_contribution, employer_med_contribution, employee_fam_contribution, employer_fam_contribution
    )
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
    ON CONFLICT (employee_id, employer_id, filing_period) DO UPDATE
    SET is_independent_contractor = excluded.is_independent_contractor,
        is_opted_in = excluded.is_opted_in,
        employee_ytd_wages = excluded.employee_ytd_wages,
        employee_qtr_wages = excluded.employee_qtr_wages,
        employee_med_contribution = excluded.employee_med_contribution,
        employer_med_contribution = excluded.employer_med_contribution,
        employee_fam_contribution = excluded.employee_fam_contribution,
        employer_fam_contribution = excluded.employer_fam_contribution,
        updated_at = now()
"""


def main() -> None:
    """Load the file."""
    file, fields, conninfo = read_arguments()
    with psycopg.connect(conninfo) as connection:
        employers: dict[str, UUID] = dict(
            connection.execute("SELECT account_key, employer_id FROM employer").fetchall()
        )
        people: dict[str, UUID] = dict(
            connection.execute(
                "SELECT tax_identifier, employee_id FROM employee JOIN tax_identifier USING (tax_identifier_id)"
            ).fetchall()
        )
        for batch in read_batches(file, fields, BATCH):
            new = {line["employee_ssn"]: line for line in batch if line["employee_ssn"] not in people}
            people |= {ssn: uuid4() for ssn in new}
            cursor = connection.cursor()
            cursor.executemany(
                "INSERT INTO tax_identifier (tax_identifier_id, tax_identifier) VALUES (%s, %s)",
                [(people[ssn], ssn) for ssn in new],
            )
            cursor.executemany(
                "INSERT INTO employee (employee_id, tax_identifier_id, first_name, last_name) VALUES (%s, %s, %s, %s)",
                [
                    (people[ssn], people[ssn], line["employee_first_name"], line["employee_last_name"])
                    for ssn, line in new.items()
                ],
            )
            cursor.executemany(
                _WAGE,
                [
                    (
                        *(uuid4(), line["account_key"], line["filing_period"]),
                        *(people[line["employee_ssn"]], employers[line["account_key"]]),
                        *(line["independent_contractor"], line["opt_in"]),
                        *(line["employee_ytd_wages"], line["employee_qtr_wages"]),
                        *(line["employee_medical"], line["employer_medical"]),
                        *(line["employee_family"], line["employer_family"]),
                    )
                    for line in batch
                ],
            )
            connection.commit()


if __name__ == "__main__":
    main()
