-- Update the occupations that changed.
UPDATE employee_occupation AS stored
SET job_title = incoming.job_title,
    employment_status = incoming.employment_status,
    manager_id = incoming.manager_id,
    worksite_id = incoming.worksite_id,
    occupation_qualifier = incoming.occupation_qualifier,
    date_of_hire = incoming.date_of_hire,
    date_job_ended = incoming.date_job_ended,
    hours_worked_per_week = incoming.hours_worked_per_week,
    days_worked_per_week = incoming.days_worked_per_week,
    organization_unit_id = incoming.organization_unit_id,
    updated_at = now()
FROM occupation_change AS incoming
WHERE stored.employee_occupation_id = incoming.stored_id
