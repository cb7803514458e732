-- Remove queue rows that lead to no call: of an employer that does not exist, or about a deletion.
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
