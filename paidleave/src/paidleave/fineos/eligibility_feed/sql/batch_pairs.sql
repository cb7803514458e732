-- Select the pairs of one batch of files in the snapshot of the pass. Employees that were deleted or lost their name
-- since the claim are not included, and their rows remain queued.
CREATE TEMPORARY TABLE eligibility_feed_pair AS
SELECT feed_employer.number, plan.employer_id, plan.employee_id
FROM eligibility_feed_employer AS feed_employer
JOIN eligibility_feed_plan AS plan ON plan.employer_id = feed_employer.employer_id
JOIN employee ON employee.employee_id = plan.employee_id
WHERE feed_employer.number BETWEEN %(first)s AND %(last)s
  AND btrim(employee.first_name) <> '' AND btrim(employee.last_name) <> ''
