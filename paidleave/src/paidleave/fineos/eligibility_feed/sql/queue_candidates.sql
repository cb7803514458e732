-- List every queued employee once with attempts, waiting time, whether another export claims it, and whether it has a
-- name and an employer. Rows that the old system left with a process ID count as available.
CREATE TEMPORARY TABLE eligibility_feed_candidate ON COMMIT DROP AS
SELECT
    queued.*,
    btrim(employee.first_name) <> '' AND btrim(employee.last_name) <> '' AS has_name,
    queued.employer_named
    OR EXISTS (SELECT FROM wages_and_contributions AS wage WHERE wage.employee_id = queued.employee_id) AS has_employer
FROM (
    SELECT
        queue.employee_id,
        min(queue.attempts) AS attempts,
        min(coalesce(queue.modified_at, '-infinity')) AS waiting_since,
        bool_or(
            queue.claimed_by IS NOT NULL AND queue.lease_expires_at > now()
            AND hashtextextended(queue.claimed_by, %(claimants)s) IN (SELECT lock_key FROM live_claimant)
        ) AS held,
        bool_or(employer.employer_id IS NOT NULL) AS employer_named
    FROM employee_push_to_fineos_queue AS queue
    LEFT JOIN employer ON employer.employer_id = queue.employer_id
    WHERE queue.action IN ('INSERT', 'UPDATE', 'UPDATE_NEW_EMPLOYER')
    GROUP BY queue.employee_id
) AS queued
JOIN employee ON employee.employee_id = queued.employee_id
