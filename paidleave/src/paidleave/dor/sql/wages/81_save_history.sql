-- Save the wages to be overwritten in the history, with the import that wrote them.
INSERT INTO wages_and_contributions_history (
    wages_and_contributions_history_id, wage_and_contribution_id, is_independent_contractor, is_opted_in,
    employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
    employee_fam_contribution, employer_fam_contribution, import_log_id
)
SELECT
    (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER ()))::uuid,
    stored.wage_and_contribution_id, stored.is_independent_contractor, stored.is_opted_in,
    stored.employee_ytd_wages, stored.employee_qtr_wages,
    stored.employee_med_contribution, stored.employer_med_contribution,
    stored.employee_fam_contribution, stored.employer_fam_contribution,
    stored.latest_import_log_id
FROM wage_change AS line
JOIN wages_and_contributions AS stored ON stored.wage_and_contribution_id = line.stored_id
