-- Count the waiting employers, the parked ones, those parked today for the first time, and those that others claim.
SELECT
    count(*) AS waiting,
    count(*) FILTER (WHERE attempts >= %(attempt_limit)s) AS parked,
    count(*) FILTER (WHERE attempts = %(attempt_limit)s AND failed > now() - %(parked_for)s) AS newly_parked,
    count(*) FILTER (WHERE claimed_by_others) AS claimed_by_others
FROM (
    SELECT
        min(attempts) AS attempts,
        max(lease_expires_at) AS failed,
        bool_or(
            claimed_by IS NOT NULL AND lease_expires_at >= now()
            AND claimed_by <> %(loader)s
            AND hashtextextended(claimed_by, %(claimants)s) IN (SELECT lock_key FROM live_claimant)
        ) AS claimed_by_others
    FROM employer_push_to_fineos_queue
    WHERE action IN ('INSERT', 'UPDATE')
    GROUP BY employer_id
) AS employers;
