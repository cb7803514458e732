-- Find the next employers, in the order of IDs, with queue rows that are due and that no live loader claims.
-- In a row that failed, lease_expires_at is the time of the failure and claimed_by is NULL.
SELECT DISTINCT queue.employer_id
FROM employer_push_to_fineos_queue AS queue
WHERE queue.employer_id > %(after)s
  AND queue.action IN ('INSERT', 'UPDATE')
  AND CASE
          WHEN queue.claimed_by IS NOT NULL
              THEN queue.lease_expires_at < now()
                OR hashtextextended(queue.claimed_by, %(claimants)s) NOT IN (SELECT lock_key FROM live_claimant)
          WHEN queue.lease_expires_at IS NULL THEN TRUE
          WHEN queue.attempts >= %(attempt_limit)s THEN queue.lease_expires_at < now() - %(parked_for)s
          ELSE queue.lease_expires_at < %(started)s
      END
ORDER BY queue.employer_id
LIMIT %(limit)s;
