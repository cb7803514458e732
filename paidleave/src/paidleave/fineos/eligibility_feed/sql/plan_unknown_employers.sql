-- Return a page of the employers in the plan that have no stored customer number.
SELECT employer_id, employer_fein
FROM employer
WHERE fineos_employer_id IS NULL
  AND employer_id IN (SELECT plan.employer_id FROM eligibility_feed_plan AS plan)
  AND (%(after)s::uuid IS NULL OR employer_id > %(after)s)
ORDER BY employer_id
LIMIT 1000
