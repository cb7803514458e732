-- The next employers that FINEOS knows, in the order of their ids.
SELECT employer_id, employer_fein, fineos_employer_id
FROM employer
WHERE fineos_employer_id IS NOT NULL AND employer_id > %(after)s
ORDER BY employer_id
LIMIT %(limit)s
