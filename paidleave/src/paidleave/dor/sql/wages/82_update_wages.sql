-- Update the eight values of the changed wages.
-- The last three columns have indexes and retain their values. Without them in SET, PostgreSQL 14 and later expect old
-- entries of the same rows in each full page of these indexes and try to delete them, which fails before the commit.
UPDATE wages_and_contributions AS stored
SET is_independent_contractor = line.is_independent_contractor,
    is_opted_in = line.is_opted_in,
    employee_ytd_wages = line.employee_ytd_wages,
    employee_qtr_wages = line.employee_qtr_wages,
    employee_med_contribution = line.employee_med_contribution,
    employer_med_contribution = line.employer_med_contribution,
    employee_fam_contribution = line.employee_fam_contribution,
    employer_fam_contribution = line.employer_fam_contribution,
    latest_import_log_id = %(import_log_id)s,
    updated_at = now(),
    employee_id = stored.employee_id,
    employer_id = stored.employer_id,
    filing_period = stored.filing_period
FROM wage_change AS line
WHERE stored.wage_and_contribution_id = line.stored_id
