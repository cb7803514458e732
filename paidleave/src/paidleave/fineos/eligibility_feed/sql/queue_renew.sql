-- Keep what we claimed for another lease.
UPDATE employee_push_to_fineos_queue
SET lease_expires_at = now() + make_interval(secs => %(lease_seconds)s)
WHERE claimed_by = %(claim)s
