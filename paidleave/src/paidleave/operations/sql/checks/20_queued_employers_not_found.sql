-- Queue entries for employers that do not exist; the queue has no foreign key.
SELECT count(*)
FROM employer_push_to_fineos_queue AS queue
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = queue.employer_id)
