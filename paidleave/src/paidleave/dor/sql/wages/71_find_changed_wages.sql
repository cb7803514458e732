-- Select the wages of known employees to write: new wages, and changed ones if the file may update them.
-- stored_id is NULL for new wages, and the columns old_… have the values to be overwritten. A repeated import retains the
-- wages of later files, and a replay also those of the other lines of its file.
CREATE TEMPORARY TABLE wage_change ON COMMIT DROP AS
SELECT
    stored.wage_and_contribution_id AS stored_id,
    person.employee_id,
    line.line_number, line.employer_id, line.filing_period, line.is_independent_contractor, line.is_opted_in,
    line.employee_ytd_wages, line.employee_qtr_wages,
    line.employee_med_contribution, line.employer_med_contribution,
    line.employee_fam_contribution, line.employer_fam_contribution,
    stored.is_independent_contractor AS old_is_independent_contractor,
    stored.is_opted_in AS old_is_opted_in,
    stored.employee_ytd_wages AS old_employee_ytd_wages,
    stored.employee_qtr_wages AS old_employee_qtr_wages,
    stored.employee_med_contribution AS old_employee_med_contribution,
    stored.employer_med_contribution AS old_employer_med_contribution,
    stored.employee_fam_contribution AS old_employee_fam_contribution,
    stored.employer_fam_contribution AS old_employer_fam_contribution,
    stored.latest_import_log_id AS old_import_log_id
FROM staged_wage AS line
JOIN person USING (ssn)
LEFT JOIN wages_and_contributions AS stored
    ON stored.employee_id = person.employee_id
   AND stored.employer_id = line.employer_id
   AND stored.filing_period = line.filing_period
WHERE NOT person.is_new AND (
    stored.wage_and_contribution_id IS NULL
    OR %(updates)s AND (
        stored.is_independent_contractor <> line.is_independent_contractor
        OR stored.is_opted_in <> line.is_opted_in
        OR stored.employee_ytd_wages <> line.employee_ytd_wages
        OR stored.employee_qtr_wages <> line.employee_qtr_wages
        OR stored.employee_med_contribution <> line.employee_med_contribution
        OR stored.employer_med_contribution <> line.employer_med_contribution
        OR stored.employee_fam_contribution <> line.employee_fam_contribution
        OR stored.employer_fam_contribution <> line.employer_fam_contribution
    ) AND coalesce(stored.latest_import_log_id, 0) NOT IN (
        SELECT import_log_id FROM later_import WHERE NOT is_own OR %(is_replay)s
    )
)
