-- Return a page of the employers of full and list mode that have employees but no stored customer number.
SELECT employer.employer_id, employer.employer_fein
FROM employer
WHERE employer.fineos_employer_id IS NULL
  AND (%(employer_ids)s::uuid[] IS NULL OR employer.employer_id = ANY (%(employer_ids)s))
  AND EXISTS (SELECT FROM wages_and_contributions AS wage WHERE wage.employer_id = employer.employer_id)
  AND (%(after)s::uuid IS NULL OR employer.employer_id > %(after)s)
ORDER BY employer.employer_id
LIMIT 1000
