-- Claim all rows of the employees that can be sent. Employees with the fewest attempts and the longest wait come first,
-- so that employees that always fail do not exhaust the limit. Rows added later are not claimed.
UPDATE employee_push_to_fineos_queue AS queue
SET claimed_by = %(claim)s,
    lease_expires_at = now() + %(lease)s,
    attempts = queue.attempts + 1,
    process_id = 1,
    updated_at = now()
FROM (
    SELECT employee_id
    FROM eligibility_feed_candidate
    WHERE NOT held AND has_name AND has_employer
    ORDER BY attempts, waiting_since, employee_id
    LIMIT %(employee_limit)s
) AS chosen
WHERE queue.employee_id = chosen.employee_id AND queue.action IN ('INSERT', 'UPDATE', 'UPDATE_NEW_EMPLOYER')
