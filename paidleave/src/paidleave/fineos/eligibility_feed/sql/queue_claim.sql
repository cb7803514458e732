-- Take the employees that can be sent, those tried least and waiting longest first: who fails again and again doesn't
-- fill the limit for the others. A claim takes all rows of an employee; rows that arrive later stay free.
UPDATE employee_push_to_fineos_queue AS queue
SET claimed_by = %(claim)s,
    lease_expires_at = now() + make_interval(secs => %(lease_seconds)s),
    attempts = queue.attempts + 1,
    process_id = 1,
    updated_at = now()
FROM (
    SELECT employee_id
    FROM eligibility_feed_candidate
    WHERE NOT held AND named AND employed
    ORDER BY attempts, waiting_since, employee_id
    LIMIT %(employee_limit)s
) AS chosen
WHERE queue.employee_id = chosen.employee_id AND queue.action IN ('INSERT', 'UPDATE', 'UPDATE_NEW_EMPLOYER')
