-- Save the wages to be overwritten in the history, with the import that wrote them.
INSERT INTO wages_and_contributions_history (
    wages_and_contributions_history_id, wage_and_contribution_id, is_independent_contractor, is_opted_in,
    employee_ytd_wages, employee_qtr_wages, employee_med_contribution, employer_med_contribution,
    employee_fam_contribution, employer_fam_contribution, import_log_id
)
SELECT
    (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER ()))::uuid,
    stored_id, old_is_independent_contractor, old_is_opted_in,
    old_employee_ytd_wages, old_employee_qtr_wages, old_employee_med_contribution, old_employer_med_contribution,
    old_employee_fam_contribution, old_employer_fam_contribution, old_import_log_id
FROM wage_change
WHERE stored_id IS NOT NULL
