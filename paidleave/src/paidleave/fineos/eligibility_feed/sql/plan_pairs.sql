-- Assign each employee to the file of the main employer and to the file of each employer in the queue rows.
CREATE TEMPORARY TABLE eligibility_feed_plan AS
SELECT employee_id, employer_id, min(attempts) AS attempts, min(waiting_since) AS waiting_since
FROM (
    SELECT employee_id, employer_id, attempts, waiting_since FROM eligibility_feed_obligation
    UNION ALL
    SELECT employee_id, main_employer_id, attempts, waiting_since FROM eligibility_feed_obligation
) AS pair
WHERE employer_id IS NOT NULL
GROUP BY employee_id, employer_id
