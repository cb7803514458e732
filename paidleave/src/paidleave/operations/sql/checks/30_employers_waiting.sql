-- Employers that have been in the queue to FINEOS for too long.
SELECT count(*)
FROM employer_push_to_fineos_queue
WHERE coalesce(modified_at, created_at) < now() - make_interval(hours => %(queue_wait_hours)s)
