-- Create the wages of new employees, who have no stored wages, in the order in which the employees were created.
-- This order inserts into every index at its end or in few places.
INSERT INTO wages_and_contributions (
    wage_and_contribution_id, account_key, filing_period, employee_id, employer_id,
    is_independent_contractor, is_opted_in, employee_ytd_wages, employee_qtr_wages,
    employee_med_contribution, employer_med_contribution, employee_fam_contribution, employer_fam_contribution,
    latest_import_log_id
)
SELECT
    (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER ()))::uuid,
    employer.account_key, line.filing_period, line.employee_id, line.employer_id,
    line.is_independent_contractor, line.is_opted_in, line.employee_ytd_wages, line.employee_qtr_wages,
    line.employee_med_contribution, line.employer_med_contribution,
    line.employee_fam_contribution, line.employer_fam_contribution,
    %(import_log_id)s
FROM (
    SELECT * FROM staged_wage JOIN person USING (ssn) WHERE person.is_new ORDER BY ssn, line_number
) AS line
JOIN employer USING (employer_id)
