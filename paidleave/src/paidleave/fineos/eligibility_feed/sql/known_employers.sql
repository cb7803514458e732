-- Return the customer numbers of the employers of full and list mode that get a file, in the order of the pass.
SELECT fineos_employer_id
FROM employer
WHERE fineos_employer_id IS NOT NULL
  AND (%(employer_ids)s::uuid[] IS NULL OR employer_id = ANY (%(employer_ids)s))
ORDER BY fineos_employer_id
