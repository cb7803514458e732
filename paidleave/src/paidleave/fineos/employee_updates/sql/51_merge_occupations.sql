-- Merge the rows of each employee's occupation at an employer. Each column has the last value that is not empty.
CREATE TEMPORARY TABLE occupation_update ON COMMIT DROP AS
WITH placed AS (
    SELECT staged.*, employer.employer_id, unit.organization_unit_id,
           count(*) OVER (PARTITION BY staged.employee_id, employer.employer_id) AS row_count
    FROM staged_update AS staged
    JOIN employer USING (fineos_employer_id)
    LEFT JOIN organization_unit AS unit
        ON unit.employer_id = employer.employer_id AND unit.name = staged.organization_unit_name
)
SELECT
    employee_id,
    employer_id,
    job_title,
    employment_status,
    manager_id,
    worksite_id,
    occupation_qualifier,
    date_of_hire,
    date_job_ended,
    hours_worked_per_week,
    days_worked_per_week,
    organization_unit_id
FROM placed
WHERE row_count = 1
UNION ALL
SELECT
    employee_id,
    employer_id,
    (array_agg(staged.job_title ORDER BY staged.line_number DESC) FILTER (WHERE staged.job_title IS NOT NULL))[1] AS job_title,
    (array_agg(staged.employment_status ORDER BY staged.line_number DESC) FILTER (WHERE staged.employment_status IS NOT NULL))[1] AS employment_status,
    (array_agg(staged.manager_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.manager_id IS NOT NULL))[1] AS manager_id,
    (array_agg(staged.worksite_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.worksite_id IS NOT NULL))[1] AS worksite_id,
    (array_agg(staged.occupation_qualifier ORDER BY staged.line_number DESC) FILTER (WHERE staged.occupation_qualifier IS NOT NULL))[1] AS occupation_qualifier,
    (array_agg(staged.date_of_hire ORDER BY staged.line_number DESC) FILTER (WHERE staged.date_of_hire IS NOT NULL))[1] AS date_of_hire,
    (array_agg(staged.date_job_ended ORDER BY staged.line_number DESC) FILTER (WHERE staged.date_job_ended IS NOT NULL))[1] AS date_job_ended,
    (array_agg(staged.hours_worked_per_week ORDER BY staged.line_number DESC) FILTER (WHERE staged.hours_worked_per_week IS NOT NULL))[1] AS hours_worked_per_week,
    (array_agg(staged.days_worked_per_week ORDER BY staged.line_number DESC) FILTER (WHERE staged.days_worked_per_week IS NOT NULL))[1] AS days_worked_per_week,
    (array_agg(staged.organization_unit_id ORDER BY staged.line_number DESC) FILTER (WHERE staged.organization_unit_id IS NOT NULL))[1] AS organization_unit_id
FROM placed AS staged
WHERE row_count > 1
GROUP BY employee_id, employer_id
