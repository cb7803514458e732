-- Count the outcomes of the rows. One row counts per employee and employer number. The others are duplicates; their
-- values are used if a later row has none. People and occupations are counted separately.
WITH named AS (
    SELECT employee_id, fineos_employer_id, count(*) AS row_count
    FROM staged_update
    GROUP BY employee_id, fineos_employer_id
), outcome AS (
    SELECT
        named.row_count,
        NOT person.is_known AS is_new,
        person_change.employee_id IS NOT NULL OR occupation_change.employee_id IS NOT NULL AS is_changed
    FROM named
    JOIN person USING (employee_id)
    LEFT JOIN person_change USING (employee_id)
    LEFT JOIN employer USING (fineos_employer_id)
    LEFT JOIN occupation_change
        ON occupation_change.employee_id = named.employee_id
       AND occupation_change.employer_id = employer.employer_id
)
SELECT
    count(*) FILTER (WHERE is_new) AS created_employees_count,
    count(*) FILTER (WHERE is_changed AND NOT is_new) AS updated_employees_count,
    count(*) FILTER (WHERE NOT is_changed AND NOT is_new) AS unmodified_employees_count,
    coalesce(sum(row_count - 1), 0)::bigint AS duplicate_employees_count,
    (SELECT count(*) FROM person WHERE outcome = 'create') AS created_people_count,
    (SELECT count(*) FROM person_change) AS updated_people_count,
    (SELECT count(*) FROM occupation_change WHERE stored_id IS NULL) AS created_occupations_count,
    (SELECT count(*) FROM occupation_change WHERE stored_id IS NOT NULL) AS updated_occupations_count
FROM outcome
