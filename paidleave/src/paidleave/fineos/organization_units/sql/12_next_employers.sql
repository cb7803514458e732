-- Return the next employers at FINEOS in the order of their IDs.
SELECT employer_id, employer_fein, fineos_employer_id
FROM employer
WHERE fineos_employer_id IS NOT NULL AND employer_id > %(after)s
ORDER BY employer_id
LIMIT %(limit)s
