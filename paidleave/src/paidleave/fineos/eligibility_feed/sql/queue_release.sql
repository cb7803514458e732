-- Whatever is still claimed by this export is free for the next.
UPDATE employee_push_to_fineos_queue
SET claimed_by = NULL, lease_expires_at = NULL, process_id = NULL, updated_at = now()
WHERE claimed_by = %(claim)s
