-- Try to lock the next employers, in the order of IDs, that are not at FINEOS. Return whether each lock was acquired.
WITH candidate AS MATERIALIZED (
    SELECT employer_id, employer_fein, employer_name, employer_dba
    FROM employer
    WHERE fineos_employer_id IS NULL AND employer_id > %(after)s
    ORDER BY employer_id
    LIMIT %(limit)s
)
SELECT candidate.*, pg_try_advisory_lock(hashtextextended(employer_id::text, %(seed)s)) AS is_locked
FROM candidate
ORDER BY employer_id;
