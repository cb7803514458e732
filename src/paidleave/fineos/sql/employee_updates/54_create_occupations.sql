-- Create the occupations that are new.
INSERT INTO employee_occupation (
    employee_occupation_id, employee_id, employer_id,
    job_title, employment_status, manager_id, worksite_id, occupation_qualifier,
    date_of_hire, date_job_ended, hours_worked_per_week, days_worked_per_week, organization_unit_id
)
SELECT
    gen_random_uuid(), employee_id, employer_id,
    job_title, employment_status, manager_id, worksite_id, occupation_qualifier,
    date_of_hire, date_job_ended, hours_worked_per_week, days_worked_per_week, organization_unit_id
FROM occupation_change
WHERE stored_id IS NULL
ORDER BY employee_id, employer_id
