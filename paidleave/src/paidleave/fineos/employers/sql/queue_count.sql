-- Count the employers that wait, those of them that are parked, and those of these that were parked today for the first time.
SELECT
    count(*) AS waiting,
    count(*) FILTER (WHERE attempts >= %(attempt_limit)s) AS parked,
    count(*) FILTER (WHERE attempts = %(attempt_limit)s AND failed > now() - %(parked_for)s) AS newly_parked,
    count(*) FILTER (WHERE in_hand) AS in_hand
FROM (
    SELECT
        min(attempts) AS attempts,
        max(lease_expires_at) AS failed,
        bool_or(
            claimed_by IS NOT NULL AND lease_expires_at >= now()
            AND claimed_by <> %(loader)s
            AND hashtextextended(claimed_by, %(claimants)s) IN (SELECT lock_key FROM living_claimant)
        ) AS in_hand
    FROM employer_push_to_fineos_queue
    WHERE action IN ('INSERT', 'UPDATE')
    GROUP BY employer_id
) AS employers;
