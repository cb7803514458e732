-- Select every employee with a wage row at an employer for full mode. A view lets the pass use parallel workers.
CREATE OR REPLACE TEMPORARY VIEW eligibility_feed_pair AS
SELECT employer.fineos_employer_id AS number, pair.employer_id, pair.employee_id
FROM (SELECT DISTINCT employer_id, employee_id FROM wages_and_contributions) AS pair
JOIN employer ON employer.employer_id = pair.employer_id
WHERE employer.fineos_employer_id IS NOT NULL
