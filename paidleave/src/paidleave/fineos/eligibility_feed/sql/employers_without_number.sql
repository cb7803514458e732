-- Return a page of the employers of full and list mode that have no stored customer number.
SELECT employer.employer_id, employer.employer_fein
FROM employer
WHERE employer.fineos_employer_id IS NULL
  AND (%(employer_ids)s::uuid[] IS NULL OR employer.employer_id = ANY (%(employer_ids)s))
  AND (%(after)s::uuid IS NULL OR employer.employer_id > %(after)s)
ORDER BY employer.employer_id
LIMIT 1000
