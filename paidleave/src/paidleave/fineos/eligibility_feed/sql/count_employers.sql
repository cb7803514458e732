-- Full and list mode, in the pass's snapshot: employers in all, those with employees that FINEOS knows (each may get a
-- file; their number decides the bundles), and those with employees that FINEOS does not know.
SELECT
    count(*) AS employers,
    count(*) FILTER (WHERE busy AND fineos_employer_id IS NOT NULL) AS known,
    count(*) FILTER (WHERE busy AND fineos_employer_id IS NULL) AS unknown
FROM (
    SELECT
        employer.fineos_employer_id,
        EXISTS (SELECT FROM wages_and_contributions AS wage WHERE wage.employer_id = employer.employer_id) AS busy
    FROM employer
    WHERE %(employer_ids)s::uuid[] IS NULL OR employer.employer_id = ANY (%(employer_ids)s)
) AS employer
