-- Remove the claimed rows of loaded employers. Rows added since the claim remain.
DELETE FROM employer_push_to_fineos_queue
WHERE employer_push_to_fineos_queue_id = ANY (%(rows)s) AND claimed_by = %(loader)s;
