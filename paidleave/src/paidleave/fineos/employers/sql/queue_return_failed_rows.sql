-- Release the rows of failed employers and store the error. The attempt does not count if FINEOS was unavailable.
UPDATE employer_push_to_fineos_queue AS queue
SET claimed_by = NULL,
    process_id = NULL,
    lease_expires_at = clock_timestamp(),
    attempts = queue.attempts + failed.counts::integer,
    last_error = failed.error,
    updated_at = now()
FROM unnest(%(rows)s::uuid [], %(errors)s::text [], %(counts)s::boolean []) AS failed (row_id, error, counts)
WHERE queue.employer_push_to_fineos_queue_id = failed.row_id AND queue.claimed_by = %(loader)s;
