-- Count the employers of full and list mode in the snapshot of the pass: all employers, employers with employees that
-- are at FINEOS (their number determines the bundles), and employers with employees that are not at FINEOS.
SELECT
    count(*) AS employers,
    count(*) FILTER (WHERE has_employees AND fineos_employer_id IS NOT NULL) AS known,
    count(*) FILTER (WHERE has_employees AND fineos_employer_id IS NULL) AS unknown
FROM (
    SELECT
        employer.fineos_employer_id,
        EXISTS (SELECT FROM wages_and_contributions AS wage WHERE wage.employer_id = employer.employer_id) AS has_employees
    FROM employer
    WHERE %(employer_ids)s::uuid[] IS NULL OR employer.employer_id = ANY (%(employer_ids)s)
) AS employer
