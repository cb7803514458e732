-- Return the IDs of list mode that do not belong to an employer.
SELECT listed.employer_id
FROM unnest(%(employer_ids)s::uuid[]) AS listed (employer_id)
WHERE NOT EXISTS (SELECT FROM employer WHERE employer.employer_id = listed.employer_id)
ORDER BY listed.employer_id
