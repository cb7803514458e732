-- Give back what this loader claimed and did not get to.
UPDATE employer_push_to_fineos_queue
SET claimed_by = NULL, process_id = NULL, lease_expires_at = NULL
WHERE employer_id = ANY (%(employers)s) AND claimed_by = %(loader)s;
