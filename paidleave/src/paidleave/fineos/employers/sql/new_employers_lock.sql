-- Try to lock the next employers, by id, that FINEOS does not have; return which locks we got.
WITH candidate AS MATERIALIZED (
    SELECT employer_id, employer_fein, employer_name, employer_dba
    FROM employer
    WHERE fineos_employer_id IS NULL AND employer_id > %(after)s
    ORDER BY employer_id
    LIMIT %(limit)s
)
SELECT candidate.*, pg_try_advisory_lock(hashtextextended(employer_id::text, %(seed)s)) AS is_mine
FROM candidate
ORDER BY employer_id;
