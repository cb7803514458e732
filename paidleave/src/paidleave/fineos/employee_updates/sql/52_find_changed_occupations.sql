-- The occupations that are new (without a stored_id) or of which the file says something else than we have.
CREATE TEMPORARY TABLE occupation_change ON COMMIT DROP AS
SELECT
    said.employee_id,
    said.employer_id,
    stored.employee_occupation_id AS stored_id,
    coalesce(said.job_title, stored.job_title) AS job_title,
    coalesce(said.employment_status, stored.employment_status) AS employment_status,
    coalesce(said.manager_id, stored.manager_id) AS manager_id,
    coalesce(said.worksite_id, stored.worksite_id) AS worksite_id,
    coalesce(said.occupation_qualifier, stored.occupation_qualifier) AS occupation_qualifier,
    coalesce(said.date_of_hire, stored.date_of_hire) AS date_of_hire,
    coalesce(said.date_job_ended, stored.date_job_ended) AS date_job_ended,
    coalesce(said.hours_worked_per_week, stored.hours_worked_per_week) AS hours_worked_per_week,
    coalesce(said.days_worked_per_week, stored.days_worked_per_week) AS days_worked_per_week,
    coalesce(said.organization_unit_id, stored.organization_unit_id) AS organization_unit_id
FROM occupation_update AS said
LEFT JOIN employee_occupation AS stored USING (employee_id, employer_id)
WHERE stored.employee_occupation_id IS NULL
   OR coalesce(said.job_title, stored.job_title) IS DISTINCT FROM stored.job_title
   OR coalesce(said.employment_status, stored.employment_status) IS DISTINCT FROM stored.employment_status
   OR coalesce(said.manager_id, stored.manager_id) IS DISTINCT FROM stored.manager_id
   OR coalesce(said.worksite_id, stored.worksite_id) IS DISTINCT FROM stored.worksite_id
   OR coalesce(said.occupation_qualifier, stored.occupation_qualifier) IS DISTINCT FROM stored.occupation_qualifier
   OR coalesce(said.date_of_hire, stored.date_of_hire) IS DISTINCT FROM stored.date_of_hire
   OR coalesce(said.date_job_ended, stored.date_job_ended) IS DISTINCT FROM stored.date_job_ended
   OR coalesce(said.hours_worked_per_week, stored.hours_worked_per_week) IS DISTINCT FROM stored.hours_worked_per_week
   OR coalesce(said.days_worked_per_week, stored.days_worked_per_week) IS DISTINCT FROM stored.days_worked_per_week
   OR coalesce(said.organization_unit_id, stored.organization_unit_id) IS DISTINCT FROM stored.organization_unit_id
