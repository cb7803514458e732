-- Overwrite the occupations that changed.
UPDATE employee_occupation AS stored
SET job_title = said.job_title,
    employment_status = said.employment_status,
    manager_id = said.manager_id,
    worksite_id = said.worksite_id,
    occupation_qualifier = said.occupation_qualifier,
    date_of_hire = said.date_of_hire,
    date_job_ended = said.date_job_ended,
    hours_worked_per_week = said.hours_worked_per_week,
    days_worked_per_week = said.days_worked_per_week,
    organization_unit_id = said.organization_unit_id,
    updated_at = now()
FROM occupation_change AS said
WHERE stored.employee_occupation_id = said.stored_id
