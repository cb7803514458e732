-- Store the error in the rows that remain queued. If the employer's file was not attempted, the attempt does not count.
UPDATE employee_push_to_fineos_queue AS queue
SET last_error = feed_employer.error,
    attempts = queue.attempts - CASE WHEN feed_employer.error IS NULL THEN 1 ELSE 0 END,
    updated_at = now()
FROM eligibility_feed_obligation AS obligation
JOIN eligibility_feed_employer AS feed_employer ON feed_employer.employer_id = obligation.employer_id
WHERE queue.employee_push_to_fineos_queue_id = obligation.queue_id AND queue.claimed_by = %(claim)s
