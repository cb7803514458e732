-- Store the customer numbers of employers that have none, except numbers that another employer already has.
UPDATE employer
SET fineos_employer_id = found.number, updated_at = now()
FROM unnest(%(employers)s::uuid [], %(numbers)s::integer []) AS found (employer_id, number)
WHERE employer.employer_id = found.employer_id
  AND employer.fineos_employer_id IS NULL
  AND NOT EXISTS (SELECT FROM employer AS other WHERE other.fineos_employer_id = found.number);
