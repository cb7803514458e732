-- List mode: which of the listed ids are no employer.
SELECT listed.employer_id
FROM unnest(%(employer_ids)s::uuid[]) AS listed (employer_id)
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = listed.employer_id)
ORDER BY listed.employer_id
