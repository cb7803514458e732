-- Remove the rows that were claimed and are done; rows that came meanwhile stay.
DELETE FROM employer_push_to_fineos_queue
WHERE employer_push_to_fineos_queue_id = ANY (%(rows)s) AND claimed_by = %(loader)s;
