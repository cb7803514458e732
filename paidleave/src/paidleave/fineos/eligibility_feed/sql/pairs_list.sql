-- Select every employee with a wage row at one of the listed employers for list mode.
CREATE TEMPORARY TABLE eligibility_feed_pair ON COMMIT DROP AS
SELECT DISTINCT employer.fineos_employer_id AS number, wage.employer_id, wage.employee_id
FROM wages_and_contributions AS wage
JOIN employer ON employer.employer_id = wage.employer_id
WHERE employer.employer_id = ANY (%(employer_ids)s) AND employer.fineos_employer_id IS NOT NULL
