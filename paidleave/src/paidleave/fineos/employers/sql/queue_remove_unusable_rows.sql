-- Remove queue rows that do not result in a call: deletions, and rows whose employer does not exist.
WITH removed AS (
    DELETE FROM employer_push_to_fineos_queue AS queue
    WHERE queue.action = 'DELETE'
       OR NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = queue.employer_id)
    RETURNING queue.action = 'DELETE' AS is_deletion
)
SELECT
    count(*) FILTER (WHERE is_deletion) AS deletions,
    count(*) FILTER (WHERE is_deletion IS NOT TRUE) AS without_employer
FROM removed;
