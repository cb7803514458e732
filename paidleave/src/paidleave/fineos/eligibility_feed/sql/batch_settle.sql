-- Remove the rows that requested the written files of the batch from the queue, if this export still claims them.
DELETE FROM employee_push_to_fineos_queue AS queue
USING eligibility_feed_obligation AS obligation, eligibility_feed_pair AS pair, eligibility_feed_employer AS feed_employer
WHERE feed_employer.fineos_employer_id = ANY (%(written)s)
  AND obligation.employer_id = feed_employer.employer_id
  AND pair.employer_id = obligation.employer_id AND pair.employee_id = obligation.employee_id
  AND queue.employee_push_to_fineos_queue_id = obligation.queue_id
  AND queue.claimed_by = %(claim)s
