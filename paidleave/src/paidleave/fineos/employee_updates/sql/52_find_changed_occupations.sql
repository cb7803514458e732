-- Find the occupations that are new (stored_id is NULL) or whose data change.
CREATE TEMPORARY TABLE occupation_change ON COMMIT DROP AS
SELECT
    incoming.employee_id,
    incoming.employer_id,
    stored.employee_occupation_id AS stored_id,
    coalesce(incoming.job_title, stored.job_title) AS job_title,
    coalesce(incoming.employment_status, stored.employment_status) AS employment_status,
    coalesce(incoming.manager_id, stored.manager_id) AS manager_id,
    coalesce(incoming.worksite_id, stored.worksite_id) AS worksite_id,
    coalesce(incoming.occupation_qualifier, stored.occupation_qualifier) AS occupation_qualifier,
    coalesce(incoming.date_of_hire, stored.date_of_hire) AS date_of_hire,
    coalesce(incoming.date_job_ended, stored.date_job_ended) AS date_job_ended,
    coalesce(incoming.hours_worked_per_week, stored.hours_worked_per_week) AS hours_worked_per_week,
    coalesce(incoming.days_worked_per_week, stored.days_worked_per_week) AS days_worked_per_week,
    coalesce(incoming.organization_unit_id, stored.organization_unit_id) AS organization_unit_id
FROM occupation_update AS incoming
LEFT JOIN employee_occupation AS stored USING (employee_id, employer_id)
WHERE stored.employee_occupation_id IS NULL
   OR coalesce(incoming.job_title, stored.job_title) IS DISTINCT FROM stored.job_title
   OR coalesce(incoming.employment_status, stored.employment_status) IS DISTINCT FROM stored.employment_status
   OR coalesce(incoming.manager_id, stored.manager_id) IS DISTINCT FROM stored.manager_id
   OR coalesce(incoming.worksite_id, stored.worksite_id) IS DISTINCT FROM stored.worksite_id
   OR coalesce(incoming.occupation_qualifier, stored.occupation_qualifier) IS DISTINCT FROM stored.occupation_qualifier
   OR coalesce(incoming.date_of_hire, stored.date_of_hire) IS DISTINCT FROM stored.date_of_hire
   OR coalesce(incoming.date_job_ended, stored.date_job_ended) IS DISTINCT FROM stored.date_job_ended
   OR coalesce(incoming.hours_worked_per_week, stored.hours_worked_per_week) IS DISTINCT FROM stored.hours_worked_per_week
   OR coalesce(incoming.days_worked_per_week, stored.days_worked_per_week) IS DISTINCT FROM stored.days_worked_per_week
   OR coalesce(incoming.organization_unit_id, stored.organization_unit_id) IS DISTINCT FROM stored.organization_unit_id
