-- Queue entries of employers that don't exist: the queue has no foreign key.
SELECT count(*)
FROM employer_push_to_fineos_queue AS queue
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = queue.employer_id)
