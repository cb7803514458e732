-- The exports whose lease on queue rows still runs; whether they live is asked of each one's lock.
SELECT DISTINCT claimed_by
FROM employee_push_to_fineos_queue
WHERE claimed_by IS NOT NULL AND lease_expires_at > now()
