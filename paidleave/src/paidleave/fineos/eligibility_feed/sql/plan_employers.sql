-- Order the files by attempts and waiting time. An employer that is not at FINEOS gets no position.
CREATE TEMPORARY TABLE eligibility_feed_employer AS
SELECT
    plan.employer_id, employer.fineos_employer_id,
    CASE WHEN employer.fineos_employer_id IS NOT NULL THEN
        row_number() OVER (PARTITION BY employer.fineos_employer_id IS NULL
                           ORDER BY min(plan.attempts), min(plan.waiting_since), plan.employer_id)::integer
    END AS number,
    CASE WHEN employer.fineos_employer_id IS NULL THEN coalesce(failure.error, 'EmployerUnknownToFineos') END AS error
FROM eligibility_feed_plan AS plan
JOIN employer ON employer.employer_id = plan.employer_id
LEFT JOIN eligibility_feed_failure AS failure ON failure.employer_id = plan.employer_id
GROUP BY plan.employer_id, employer.fineos_employer_id, failure.error
