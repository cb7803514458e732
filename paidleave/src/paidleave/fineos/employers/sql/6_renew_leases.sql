-- Keep what this loader has in hand.
UPDATE employer_push_to_fineos_queue
SET lease_expires_at = now() + %(lease)s
WHERE employer_id = ANY (%(employers)s) AND claimed_by = %(loader)s;
