-- Release the locks of the processed employers.
SELECT pg_advisory_unlock(hashtextextended(employer_id::text, %(seed)s))
FROM unnest(%(employers)s::uuid []) AS done (employer_id);
