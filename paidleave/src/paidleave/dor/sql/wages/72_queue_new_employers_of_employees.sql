-- Queue each known employee with first wages from an employer, once per employee and employer.
INSERT INTO employee_push_to_fineos_queue (
    employee_push_to_fineos_queue_id, employee_id, employer_id, action, modified_at
)
SELECT
    (%(uuid_prefix)s || to_hex(268435456 + row_number() OVER ()))::uuid,
    pair.employee_id, pair.employer_id, 'UPDATE_NEW_EMPLOYER', now()
FROM (
    SELECT DISTINCT employee_id, employer_id
    FROM wage_change
    WHERE stored_id IS NULL
) AS pair
WHERE NOT EXISTS (
    SELECT FROM wages_and_contributions AS stored
    WHERE stored.employee_id = pair.employee_id AND stored.employer_id = pair.employer_id
)
