-- Create the new occupations in the order of their employees. Their IDs are UUIDs of version 7 (RFC 9562) with a
-- timestamp, random digits and a counter. They increase over time and therefore fill the index from its end.
WITH prefix AS MATERIALIZED (
    SELECT lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0')
           || '7' || substr(random.digits, 1, 3) || '8' || substr(random.digits, 4, 7) AS digits
    FROM (SELECT replace(gen_random_uuid()::text, '-', '') AS digits) AS random
), created AS (
    SELECT *
    FROM occupation_change
    WHERE stored_id IS NULL
    ORDER BY employee_id, employer_id
)
INSERT INTO employee_occupation (
    employee_occupation_id, employee_id, employer_id,
    job_title, employment_status, manager_id, worksite_id, occupation_qualifier,
    date_of_hire, date_job_ended, hours_worked_per_week, days_worked_per_week, organization_unit_id
)
SELECT
    (prefix.digits || to_hex(268435456 + row_number() OVER ()))::uuid, employee_id, employer_id,
    job_title, employment_status, manager_id, worksite_id, occupation_qualifier,
    date_of_hire, date_job_ended, hours_worked_per_week, days_worked_per_week, organization_unit_id
FROM created, prefix
